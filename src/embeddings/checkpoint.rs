//! A model on disk: one safetensors file, or many with an index beside them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{Error, Result};
use crate::files::{TensorFile, Window};

const SINGLE: [&str; 2] = ["model.safetensors", "diffusion_pytorch_model.safetensors"];
const INDEX: &str = ".safetensors.index.json";

/// Every tensor of a model, unread.
#[derive(Debug)]
pub struct Checkpoint {
    label: String,
    files: Vec<TensorFile>,
    // Sorted, so that every walk over a model has one order.
    places: BTreeMap<String, usize>,
}

impl Checkpoint {
    /// Opens a safetensors file, an index, or a folder that holds one of them.
    pub fn open(path: &Path) -> Result<Self> {
        let label = path.display().to_string();
        let path = if path.is_dir() {
            found(path, &label)?
        } else {
            path.to_path_buf()
        };
        if path.to_string_lossy().ends_with(INDEX) {
            return Self::sharded(label, &path);
        }
        let file = TensorFile::open(&path)?;
        let places = file.names().into_iter().map(|name| (name, 0)).collect();
        Ok(Self {
            label,
            files: vec![file],
            places,
        })
    }

    fn sharded(label: String, index: &Path) -> Result<Self> {
        let places = weight_map(index)?;
        let mut shards: Vec<&String> = places.values().collect();
        shards.sort_unstable();
        shards.dedup();
        let folder = index.parent().unwrap_or(Path::new("."));
        let open = |shard: &&String| {
            let path = folder.join(shard);
            if !path.is_file() {
                return Err(Error::Format(format!(
                    "{label}: the shard {shard} that {} names is missing",
                    index.display()
                )));
            }
            TensorFile::open(&path)
        };
        let files: Vec<TensorFile> = shards.iter().map(open).collect::<Result<_>>()?;
        for (name, shard) in &places {
            let at = shards.partition_point(|other| *other < shard);
            if files[at].shape(name).is_none() {
                return Err(Error::Format(format!(
                    "{label}: the shard {shard} does not hold the tensor '{name}' that the index \
                     says it does"
                )));
            }
        }
        let place = |(name, shard): (&String, &String)| {
            (name.clone(), shards.partition_point(|other| *other < shard))
        };
        let numbered = places.iter().map(place).collect();
        Ok(Self {
            label,
            files,
            places: numbered,
        })
    }

    /// What messages call the model.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Names of all floating-point tensors, sorted.
    pub fn names(&self) -> Vec<&str> {
        let names = self.places.keys().map(String::as_str);
        names.filter(|name| self.window(name).is_some()).collect()
    }

    /// Shape of a tensor, if the model has it.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.files[*self.places.get(name)?].shape(name)
    }

    /// A floating-point tensor, unread, if the model has it.
    pub fn window<'a>(&'a self, name: &'a str) -> Option<Window<'a>> {
        self.files[*self.places.get(name)?].window(name)
    }
}

fn found(folder: &Path, label: &str) -> Result<PathBuf> {
    let mut indexes: Vec<PathBuf> = std::fs::read_dir(folder)
        .map_err(|error| Error::Io(format!("cannot read {label}: {error}")))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.to_string_lossy().ends_with(INDEX))
        .collect();
    indexes.sort();
    match &indexes[..] {
        [index] => return Ok(index.clone()),
        [] => {}
        [first, second, ..] => {
            return Err(Error::Format(format!(
                "{label}: {} and {} both describe a model; name one of them",
                first.display(),
                second.display()
            )));
        }
    }
    let single = SINGLE
        .iter()
        .map(|name| folder.join(name))
        .find(|path| path.is_file());
    single.ok_or_else(|| {
        Error::Format(format!(
            "{label}: found neither model.safetensors nor an index of shards (*{INDEX}); name the \
             file itself"
        ))
    })
}

fn weight_map(index: &Path) -> Result<BTreeMap<String, String>> {
    let label = index.display();
    let text = std::fs::read_to_string(index)
        .map_err(|error| Error::Io(format!("cannot read {label}: {error}")))?;
    let refused = |reason: String| Error::Format(format!("{label}: {reason}"));
    let value: Value = serde_json::from_str(&text).map_err(|error| refused(error.to_string()))?;
    let map = value.get("weight_map").and_then(Value::as_object);
    let map = map.ok_or_else(|| refused("there is no object 'weight_map'".into()))?;
    let entry = |(name, shard): (&String, &Value)| match shard.as_str() {
        // A shard lies beside its index; anything else could name any file of the machine.
        Some(shard) if !shard.contains(['/', '\\']) => Ok((name.clone(), shard.to_string())),
        _ => Err(refused(format!(
            "tensor '{name}' names no file beside the index"
        ))),
    };
    map.iter().map(entry).collect()
}
