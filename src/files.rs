//! Weights files on disk: opened, checked against their own header, handed out tensor by tensor.

mod header;
mod tensor;
mod window;
mod writer;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use memmap2::Mmap;
use safetensors::SafeTensors;
use safetensors::tensor::Metadata;

use crate::error::{Error, Result};

pub use tensor::{Tensor, Values};
pub use window::Window;
pub use writer::serialize;

// Below this, one read is as fast as a mapping and leaves nothing that another process could
// change under us; above it, a mapping keeps a file of many gigabytes out of memory.
const MAPPING_THRESHOLD: u64 = 64 << 20;
const HEADER_LENGTH: usize = 8;

enum Contents {
    Owned(Vec<u8>),
    Mapped(Mmap, File),
}

impl Contents {
    fn bytes(&self) -> &[u8] {
        match self {
            Contents::Owned(bytes) => bytes,
            Contents::Mapped(mapping, _) => mapping,
        }
    }
}

/// A validated safetensors file; tensors are copied out one at a time.
pub struct TensorFile {
    label: String,
    contents: Contents,
    metadata: Metadata,
    start: usize,
}

impl std::fmt::Debug for TensorFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "TensorFile({})", self.label)
    }
}

impl TensorFile {
    /// Opens and validates a file.
    pub fn open(path: &Path) -> Result<Self> {
        let label = path.display().to_string();
        let contents = read(path, &label)?;
        Self::validated(label, contents)
    }

    /// Validates bytes already in memory; `label` stands for the file in messages.
    pub fn from_bytes(label: &str, bytes: Vec<u8>) -> Result<Self> {
        Self::validated(label.to_string(), Contents::Owned(bytes))
    }

    fn validated(label: String, contents: Contents) -> Result<Self> {
        let refused = |reason: String| Error::Format(format!("{label}: {reason}"));
        header::check(contents.bytes()).map_err(refused)?;
        let (length, metadata) = SafeTensors::read_metadata(contents.bytes())
            .map_err(|error| refused(error.to_string()))?;
        Ok(Self {
            start: HEADER_LENGTH + length,
            label,
            contents,
            metadata,
        })
    }

    /// What messages call this file.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names = self.metadata.offset_keys();
        names.sort_unstable();
        names
    }

    /// Shape of a tensor, if the file has it.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.metadata.info(name).map(|info| info.shape.as_slice())
    }

    /// Element type of a tensor as the file calls it, if the file has it.
    pub fn stored_type(&self, name: &str) -> Option<String> {
        self.metadata.info(name).map(|info| info.dtype.to_string())
    }

    /// The free text pairs of the header.
    pub fn texts(&self) -> BTreeMap<String, String> {
        let texts = self.metadata.metadata().iter().flatten();
        texts
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    /// Copies a tensor out, keeping its element type.
    pub fn tensor(&self, name: &str) -> Result<Tensor> {
        let info = self
            .metadata
            .info(name)
            .ok_or_else(|| Error::Format(format!("{}: there is no tensor '{name}'", self.label)))?;
        let (from, to) = info.data_offsets;
        let bytes = self.contents.bytes();
        let bytes = bytes
            .get(self.start + from..self.start + to)
            .unwrap_or_default();
        Tensor::from_bytes(info.dtype, &info.shape, bytes).ok_or_else(|| {
            Error::DType(format!(
                "{}: tensor '{name}' is stored as {}, expected F16, BF16, F32 or F64",
                self.label, info.dtype
            ))
        })
    }
}

fn read(path: &Path, label: &str) -> Result<Contents> {
    let refused = |error: std::io::Error| Error::Io(format!("cannot read {label}: {error}"));
    let mut file = File::open(path).map_err(refused)?;
    let about = file.metadata().map_err(refused)?;
    if !about.is_file() {
        return Err(Error::Io(format!(
            "cannot read {label}: it is not a plain file"
        )));
    }
    if about.len() >= MAPPING_THRESHOLD {
        let mapping = map(&file).map_err(refused)?;
        return Ok(Contents::Mapped(mapping, file));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(refused)?;
    Ok(Contents::Owned(bytes))
}

#[allow(unsafe_code)]
fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: the mapping is private and read-only, and every access goes through bounds-checked
    // slices of plain bytes, so foreign writes can change numbers but break no invariant of ours.
    // Shortening the file meanwhile ends the process, as with any mapped file; the alternative is
    // to copy tens of gigabytes.
    unsafe { Mmap::map(file) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    fn message(bytes: Vec<u8>) -> String {
        match TensorFile::from_bytes("prompt.safetensors", bytes) {
            Err(Error::Format(text)) => text,
            other => panic!("expected a format error, got {other:?}"),
        }
    }

    #[test]
    fn what_is_written_is_read_back_with_its_type() {
        let half: Vec<u8> = [1.0f32, -2.5]
            .iter()
            .flat_map(|v| half::bf16::from_f32(*v).to_le_bytes())
            .collect();
        let wide: Vec<u8> = [0.1f64].iter().flat_map(|v| v.to_le_bytes()).collect();
        let texts = BTreeMap::from([("b".to_string(), "2".to_string()), ("a".into(), "1".into())]);
        let tensors: [(&str, &str, &[usize], &[u8]); 2] = [
            ("x", "bfloat16", &[2, 1], &half),
            ("y", "float64", &[1], &wide),
        ];
        let bytes = serialize(&tensors, &texts).unwrap();
        assert_eq!(bytes, serialize(&tensors, &texts).unwrap());
        let file = TensorFile::from_bytes("f", bytes).unwrap();
        assert_eq!(file.texts(), texts);
        assert_eq!(file.names(), ["x", "y"]);
        assert_eq!(file.tensor("x").unwrap().values.dtype(), "bfloat16");
        assert_eq!(file.tensor("x").unwrap().values.widen(), [1.0, -2.5]);
        assert_eq!(file.tensor("y").unwrap().values, Values::F64(vec![0.1]));
    }

    #[test]
    fn a_truncated_file_names_the_tensor_that_is_cut() {
        let header = r#"{"prompt":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
        let text = message(file(header, &[0; 5]));
        assert!(
            text.contains("'prompt'") && text.contains("truncated"),
            "{text}"
        );
        assert!(message(file(header, &[])[..20].to_vec()).contains("truncated"));
        assert!(message(vec![1, 2, 3]).contains("too few"));
    }

    #[test]
    fn a_header_longer_than_the_file_is_refused() {
        let mut bytes = u64::MAX.to_le_bytes().to_vec();
        bytes.extend([b'{'; 40]);
        assert!(message(bytes).contains("header claims"));
    }

    #[test]
    fn repeated_names_are_refused() {
        let header = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
                     "a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#;
        assert!(message(file(header, &[0; 8])).contains("'a' appears more than once"));
    }

    #[test]
    fn overlapping_tensors_and_unclaimed_bytes_are_refused() {
        let header = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
                     "b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}"#;
        assert!(message(file(header, &[0; 6])).contains("`b`"));
        let header = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
        message(file(header, &[0; 12]));
    }

    #[test]
    fn sizes_that_do_not_fit_and_unknown_types_name_the_tensor() {
        let header = r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,4]}}"#;
        assert!(message(file(header, &[0; 4])).contains("'a' of shape [3]"));
        let header =
            r#"{"a":{"dtype":"F32","shape":[18446744073709551615,9],"data_offsets":[0,4]}}"#;
        assert!(message(file(header, &[0; 4])).contains("'a'"));
        let header = r#"{"a":{"dtype":"F7","shape":[1],"data_offsets":[0,4]}}"#;
        let text = message(file(header, &[0; 4]));
        assert!(text.contains("'a'") && text.contains("F7"), "{text}");
    }

    #[test]
    fn integers_are_no_tokens() {
        let header = r#"{"a":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}}"#;
        let file = TensorFile::from_bytes("f", file(header, &[0; 4])).unwrap();
        assert!(matches!(file.tensor("a"), Err(Error::DType(text)) if text.contains("I32")));
        assert!(matches!(file.tensor("b"), Err(Error::Format(_))));
    }

    #[test]
    fn a_missing_file_and_a_folder_are_refused_by_name() {
        for path in ["/nowhere/at/all.safetensors", "."] {
            let error = TensorFile::open(Path::new(path)).unwrap_err();
            assert!(matches!(error, Error::Io(text) if text.contains(path)));
        }
    }

    #[test]
    fn a_mapped_file_reads_like_an_owned_one() {
        let path =
            std::env::temp_dir().join(format!("kinatlas-{}.safetensors", std::process::id()));
        let bytes: Vec<u8> = [1.0f32, 2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        let tensors: [(&str, &str, &[usize], &[u8]); 1] = [("x", "float32", &[1, 2], &bytes)];
        std::fs::write(&path, serialize(&tensors, &BTreeMap::new()).unwrap()).unwrap();
        let file = File::open(&path).unwrap();
        let mapping = map(&file).unwrap();
        let mapped =
            TensorFile::validated("mapped".into(), Contents::Mapped(mapping, file)).unwrap();
        assert_eq!(
            mapped.tensor("x").unwrap(),
            TensorFile::open(&path).unwrap().tensor("x").unwrap()
        );
        std::fs::remove_file(path).unwrap();
    }
}
