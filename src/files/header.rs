//! Checks of a safetensors header that name the tensor at fault, and that see repeated names
//! (a map would silently keep one of them).

use std::collections::HashMap;
use std::fmt;

use safetensors::Dtype;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;

const HEADER_LENGTH: usize = 8;
const METADATA: &str = "__metadata__";
const LFS_POINTER: &[u8] = b"version https://git-lfs";

/// Header entries in file order, each name once.
struct Entries(Vec<(String, Value)>);

#[derive(Deserialize)]
struct Info {
    dtype: Dtype,
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

/// Says what is wrong with the header of `bytes`, or nothing.
pub fn check(bytes: &[u8]) -> Result<(), String> {
    if bytes.starts_with(LFS_POINTER) {
        return Err(
            "this is a Git LFS pointer, not the weights; fetch them with git lfs pull".into(),
        );
    }
    let (length, rest) = bytes
        .split_first_chunk::<HEADER_LENGTH>()
        .ok_or_else(|| format!("{} bytes are too few for a safetensors file", bytes.len()))?;
    let length = u64::from_le_bytes(*length);
    let length = usize::try_from(length)
        .ok()
        .filter(|length| *length <= rest.len())
        .ok_or_else(|| {
            format!(
                "the header claims {length} bytes, the file has {} after its first {HEADER_LENGTH}; \
                 it is truncated or not a safetensors file",
                rest.len()
            )
        })?;
    let (header, data) = rest.split_at(length);
    let entries: Entries = serde_json::from_slice(header)
        .map_err(|error| format!("the header is not valid: {error}"))?;
    for (name, value) in entries.0 {
        if name != METADATA {
            check_tensor(&name, value, data.len())?;
        }
    }
    Ok(())
}

fn check_tensor(name: &str, value: Value, available: usize) -> Result<(), String> {
    let info = Info::deserialize(value).map_err(|error| format!("tensor '{name}': {error}"))?;
    let (from, to) = info.data_offsets;
    if from > to || to > available {
        return Err(format!(
            "tensor '{name}' claims bytes {from} to {to}, the file holds {available}; \
             it is truncated or damaged"
        ));
    }
    let bits = info
        .shape
        .iter()
        .try_fold(info.dtype.bitsize(), |bits, &size| bits.checked_mul(size));
    if bits != (to - from).checked_mul(8) {
        return Err(format!(
            "tensor '{name}' of shape {:?} and type {} does not fit its {} bytes",
            info.shape,
            info.dtype,
            to - from
        ));
    }
    Ok(())
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(UniqueNames)
    }
}

struct UniqueNames;

impl<'de> Visitor<'de> for UniqueNames {
    type Value = Entries;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object that describes tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
        let mut seen = HashMap::new();
        let mut entries = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            if seen.insert(name.clone(), ()).is_some() {
                return Err(A::Error::custom(format!("'{name}' appears more than once")));
            }
            entries.push((name, value));
        }
        Ok(Entries(entries))
    }
}
