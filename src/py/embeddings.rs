//! Binding of `embeddings`: adapter files in, arrays out. bfloat16 leaves as uint16 bits beside
//! its name.

use std::path::PathBuf;

use pyo3::prelude::*;

use super::files::{NamedArray, array};
use crate::embeddings::adapters::{self, Content, Factors, Reading};
use crate::error::Result;
use crate::files::TensorFile;

/// (module, A, B, scale, is_transposed)
type FactorArrays<'py> = (String, NamedArray<'py>, NamedArray<'py>, f64, bool);

#[derive(IntoPyObject)]
struct PartDict<'py> {
    suffix: Option<String>,
    method: String,
    layout: String,
    tokens: Option<NamedArray<'py>>,
    factors: Option<Vec<FactorArrays<'py>>>,
}

#[derive(IntoPyObject)]
struct ReadingDict<'py> {
    base_model: Option<String>,
    parts: Vec<PartDict<'py>>,
    skipped: Vec<(String, String)>,
    notes: Vec<String>,
    reason: Option<String>,
}

#[pyfunction]
#[pyo3(signature = (path, config=None, base=Vec::new()))]
fn read_adapter<'py>(
    py: Python<'py>,
    path: PathBuf,
    config: Option<String>,
    base: Vec<PathBuf>,
) -> PyResult<ReadingDict<'py>> {
    let reading = py.detach(|| read(TensorFile::open(&path), config.as_deref(), &base))?;
    wrap(py, reading)
}

#[pyfunction]
#[pyo3(signature = (label, bytes, config=None, base=Vec::new()))]
fn read_adapter_bytes<'py>(
    py: Python<'py>,
    label: &str,
    bytes: Vec<u8>,
    config: Option<String>,
    base: Vec<PathBuf>,
) -> PyResult<ReadingDict<'py>> {
    let file = TensorFile::from_bytes(label, bytes);
    let reading = py.detach(|| read(file, config.as_deref(), &base))?;
    wrap(py, reading)
}

fn read(file: Result<TensorFile>, config: Option<&str>, base: &[PathBuf]) -> Result<Reading> {
    let base = base.iter().map(|path| TensorFile::open(path));
    adapters::read(config, &file?, &base.collect::<Result<Vec<_>>>()?)
}

fn wrap(py: Python<'_>, reading: Reading) -> PyResult<ReadingDict<'_>> {
    let parts = reading.parts.into_iter().map(|part| {
        let (tokens, factors) = match part.content {
            Content::Tokens(tensor) => (Some(array(py, tensor)?), None),
            Content::LowRank(modules) => (None, Some(factor_arrays(py, modules)?)),
        };
        Ok(PartDict {
            suffix: part.suffix,
            method: part.method,
            layout: part.layout,
            tokens,
            factors,
        })
    });
    Ok(ReadingDict {
        base_model: reading.base_model,
        parts: parts.collect::<PyResult<_>>()?,
        skipped: reading.skipped,
        notes: reading.notes,
        reason: reading.reason,
    })
}

fn factor_arrays(py: Python<'_>, modules: Vec<Factors>) -> PyResult<Vec<FactorArrays<'_>>> {
    let arrays = modules.into_iter().map(|factors| {
        let (a, b) = (array(py, factors.a)?, array(py, factors.b)?);
        Ok((factors.module, a, b, factors.scale, factors.is_transposed))
    });
    arrays.collect()
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(read_adapter, module)?)?;
    module.add_function(wrap_pyfunction!(read_adapter_bytes, module)?)
}
