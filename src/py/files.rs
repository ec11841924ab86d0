//! Binding of `files`: safetensors headers, tensors and bytes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use half::bf16;
use half::vec::HalfFloatVecExt;
use numpy::{Element, PyArray1, PyArrayMethods, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::error::Result;
use crate::files::{Tensor, TensorFile, Values, serialize};

/// An array and the name of its number type.
pub type NamedArray<'py> = (Bound<'py, PyAny>, &'static str);
type Texts = BTreeMap<String, String>;
/// (name, stored type, shape)
type Outline = Vec<(String, String, Vec<usize>)>;

/// Hands a tensor to NumPy without a copy.
pub fn array(py: Python<'_>, tensor: Tensor) -> PyResult<NamedArray<'_>> {
    let dtype = tensor.values.dtype();
    let shape = tensor.shape;
    let array = match tensor.values {
        Values::F16(values) => shaped(py, values, shape)?,
        Values::Bf16(values) => shaped(py, bits(values), shape)?,
        Values::F32(values) => shaped(py, values, shape)?,
        Values::F64(values) => shaped(py, values, shape)?,
    };
    Ok((array, dtype))
}

fn bits(values: Vec<bf16>) -> Vec<u16> {
    values.reinterpret_into()
}

fn shaped<T: Element>(
    py: Python<'_>,
    values: Vec<T>,
    shape: Vec<usize>,
) -> PyResult<Bound<'_, PyAny>> {
    Ok(PyArray1::from_vec(py, values).reshape(shape)?.into_any())
}

#[pyfunction]
fn outline_tensors(py: Python<'_>, path: PathBuf) -> PyResult<(Texts, Outline)> {
    let file = py.detach(|| TensorFile::open(&path))?;
    let about = |name: String| {
        let dtype = file.stored_type(&name).unwrap_or_default();
        let shape = file.shape(&name).unwrap_or_default().to_vec();
        (name, dtype, shape)
    };
    Ok((file.texts(), file.names().into_iter().map(about).collect()))
}

#[pyfunction]
fn read_tensors<'py>(
    py: Python<'py>,
    path: PathBuf,
    names: Vec<String>,
) -> PyResult<Vec<NamedArray<'py>>> {
    let tensors = py.detach(|| {
        let file = TensorFile::open(&path)?;
        names
            .iter()
            .map(|name| file.tensor(name))
            .collect::<Result<Vec<_>>>()
    })?;
    tensors
        .into_iter()
        .map(|tensor| array(py, tensor))
        .collect()
}

#[pyfunction]
fn serialize_tensors<'py>(
    py: Python<'py>,
    tensors: Vec<(String, String, Vec<usize>, PyReadonlyArray1<'py, u8>)>,
    texts: Texts,
) -> PyResult<Bound<'py, PyBytes>> {
    let mut named = Vec::with_capacity(tensors.len());
    for (name, dtype, shape, bytes) in &tensors {
        named.push((
            name.as_str(),
            dtype.as_str(),
            shape.as_slice(),
            bytes.as_slice()?,
        ));
    }
    Ok(PyBytes::new(py, &serialize(&named, &texts)?))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(outline_tensors, module)?)?;
    module.add_function(wrap_pyfunction!(read_tensors, module)?)?;
    module.add_function(wrap_pyfunction!(serialize_tensors, module)?)
}
