//! Tensors to bytes that every safetensors reader opens, the same bytes for the same input.
//!
//! The crate that parses can also write, but it keeps the text pairs in a hash map, so that two
//! runs give different bytes; artefacts should have one hash.

use std::collections::BTreeMap;

use safetensors::Dtype;
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};

const ALIGNMENT: usize = 8;

/// A named tensor as bytes: element type in NumPy's words, shape, little-endian numbers.
pub type NamedBytes<'a> = (&'a str, &'a str, &'a [usize], &'a [u8]);

/// Bytes of a safetensors file with the given tensors and text pairs.
pub fn serialize(tensors: &[NamedBytes<'_>], texts: &BTreeMap<String, String>) -> Result<Vec<u8>> {
    let mut header = Map::new();
    header.insert("__metadata__".into(), json!(texts));
    let mut order = Vec::with_capacity(tensors.len());
    for (name, dtype, shape, bytes) in tensors {
        order.push((stored_type(name, dtype)?, *name, *shape, *bytes));
    }
    // Wide types first keeps every tensor aligned, as the format's own writers do.
    order.sort_by(|left, right| right.0.cmp(&left.0).then(left.1.cmp(right.1)));
    let mut offset = 0;
    for (dtype, name, shape, bytes) in &order {
        let about = json!({
            "dtype": dtype.to_string(),
            "shape": shape,
            "data_offsets": [offset, offset + bytes.len()],
        });
        if header.insert((*name).to_string(), about).is_some() {
            return Err(Error::Format(format!(
                "tensor '{name}' appears more than once"
            )));
        }
        offset += bytes.len();
    }
    let mut head = Value::Object(header).to_string().into_bytes();
    head.resize(head.len().next_multiple_of(ALIGNMENT), b' ');
    let mut file = Vec::with_capacity(ALIGNMENT + head.len() + offset);
    file.extend((head.len() as u64).to_le_bytes());
    file.extend(head);
    for (_, _, _, bytes) in order {
        file.extend(bytes);
    }
    Ok(file)
}

fn stored_type(name: &str, dtype: &str) -> Result<Dtype> {
    match dtype {
        "float16" => Ok(Dtype::F16),
        "bfloat16" => Ok(Dtype::BF16),
        "float32" => Ok(Dtype::F32),
        "float64" => Ok(Dtype::F64),
        _ => Err(Error::DType(format!(
            "tensor '{name}' is {dtype}, expected float16, bfloat16, float32 or float64"
        ))),
    }
}
