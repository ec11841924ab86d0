//! Binding of `similarity::task2vec`.

use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;

use super::convert::PackedTokens;
use super::detach::detached;
use crate::similarity::task2vec::{NAMES, Score, matrix};

#[pyfunction]
#[pyo3(signature = (sources, targets, kernel, trivial=None, n_threads=None, progress=None))]
fn task2vec_matrix<'py>(
    py: Python<'py>,
    sources: PackedTokens<'py>,
    targets: Option<PackedTokens<'py>>,
    kernel: &str,
    trivial: Option<(PyReadonlyArray1<'py, f64>, f64)>,
    n_threads: Option<usize>,
    progress: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let alpha = trivial.as_ref().map_or(0.0, |(_, alpha)| *alpha);
    let trivial = trivial
        .as_ref()
        .map(|(trivial, _)| trivial.as_slice())
        .transpose()?;
    let score = Score::from_name(kernel, trivial, alpha)?;
    let sources = sources.view()?;
    let targets = targets.as_ref().map(PackedTokens::view).transpose()?;
    let found = detached(py, n_threads, progress.as_ref(), |monitor| {
        let targets = targets.map(|targets| targets.widen());
        matrix(&sources.widen(), targets.as_ref(), score, monitor)
    })?;
    Ok(found.into_pyarray(py))
}

#[pyfunction]
fn task2vec_kernels() -> Vec<&'static str> {
    NAMES.to_vec()
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(task2vec_kernels, module)?)?;
    module.add_function(wrap_pyfunction!(task2vec_matrix, module)?)
}
