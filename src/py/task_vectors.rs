//! Binding of `embeddings::task_vectors`.

use std::path::PathBuf;

use numpy::{IntoPyArray, PyArray1};
use pyo3::prelude::*;

use super::detach::detached;
use crate::embeddings::checkpoint::Checkpoint;
use crate::embeddings::sketch::Sketch;
use crate::embeddings::task_vectors::{Difference, Form, difference, products};
use crate::error::{Error, Result};

type Floats<'py> = Bound<'py, PyArray1<f64>>;
/// (values, names and sizes of tensors, fingerprint of the base model)
type Differences<'py> = (Floats<'py>, Vec<(String, usize)>, u64);

/// (name, dim, seed)
fn form(name: &str, dim: usize, seed: u64) -> Result<Form> {
    match name {
        "flat" => Ok(Form::Flat),
        "projected" => Sketch::new(seed, dim).map(Form::Projected),
        "tensors" => Sketch::new(seed, dim).map(Form::Tensors),
        _ => Err(Error::UnknownName(format!("form '{name}' is unknown"))),
    }
}

fn wrap(py: Python<'_>, found: Difference) -> Differences<'_> {
    (found.values.into_pyarray(py), found.tensors, found.base)
}

#[pyfunction]
#[pyo3(signature = (base, tuned, form, n_threads=None, progress=None))]
fn task_vector<'py>(
    py: Python<'py>,
    base: PathBuf,
    tuned: PathBuf,
    form: (String, usize, u64),
    n_threads: Option<usize>,
    progress: Option<Bound<'py, PyAny>>,
) -> PyResult<Differences<'py>> {
    let form = self::form(&form.0, form.1, form.2)?;
    let found = detached(py, n_threads, progress.as_ref(), |monitor| {
        let (base, tuned) = (Checkpoint::open(&base)?, Checkpoint::open(&tuned)?);
        difference(&base, &tuned, form, monitor)
    })?;
    Ok(wrap(py, found))
}

#[pyfunction]
#[pyo3(signature = (base, tuned, n_threads=None, progress=None))]
fn task_vector_products<'py>(
    py: Python<'py>,
    base: PathBuf,
    tuned: Vec<PathBuf>,
    n_threads: Option<usize>,
    progress: Option<Bound<'py, PyAny>>,
) -> PyResult<(Floats<'py>, Vec<String>)> {
    let found = detached(py, n_threads, progress.as_ref(), |monitor| {
        let base = Checkpoint::open(&base)?;
        let open = |path: &PathBuf| Checkpoint::open(path);
        let tuned: Vec<Checkpoint> = tuned.iter().map(open).collect::<Result<_>>()?;
        products(&base, &tuned, monitor)
    })?;
    Ok((found.values.into_pyarray(py), found.tensors))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(task_vector, module)?)?;
    module.add_function(wrap_pyfunction!(task_vector_products, module)?)
}
