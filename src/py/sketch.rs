//! Binding of the sketches of `similarity`.

use numpy::{PyArray1, PyReadonlyArray1, PyReadonlyArray2, ToPyArray};
use pyo3::prelude::*;

use super::convert::{PackedTokens, to_sizes};
use super::detach::detached;
use super::low_rank::{Tasks, view};
use super::similarity::Options;
use crate::similarity::{Frame, Vector, largest_products, low_rank, sketch};

#[pyfunction]
#[pyo3(signature = (tokens, options, frame, size, n_threads=None))]
fn sketch_tokens<'py>(
    py: Python<'py>,
    tokens: PackedTokens<'py>,
    options: Options,
    frame: (PyReadonlyArray1<'py, f64>, PyReadonlyArray1<'py, i64>),
    size: (usize, u64),
    n_threads: Option<usize>,
) -> PyResult<Bound<'py, PyArray1<f32>>> {
    let vector = Vector::of_kernel(&options.0)?;
    let (view, normalize) = (tokens.view()?, options.asking(None, false)?.normalize);
    let (rows, counts) = (frame.0.as_array().to_vec(), to_sizes(&frame.1));
    let found = detached(py, n_threads, None, |monitor| {
        let tokens = view.widen();
        let frame = Frame::fitted(rows, tokens.dim, counts)?;
        sketch(&tokens, (&frame, normalize), vector, size, monitor)
    })?;
    Ok(found.to_pyarray(py))
}

#[pyfunction]
#[pyo3(signature = (tasks, size, n_threads=None))]
fn sketch_updates<'py>(
    py: Python<'py>,
    tasks: Tasks<'py>,
    size: (usize, u64),
    n_threads: Option<usize>,
) -> PyResult<Bound<'py, PyArray1<f32>>> {
    let tasks = view(&tasks)?;
    let found = detached(py, n_threads, None, |monitor| {
        low_rank::sketch(&tasks, size, monitor)
    })?;
    Ok(found.to_pyarray(py))
}

/// Places [n_queries * k] of the largest products; both sides are C-contiguous.
#[pyfunction]
#[pyo3(signature = (queries, rows, k, n_threads=None))]
fn largest_sketches<'py>(
    py: Python<'py>,
    queries: PyReadonlyArray2<'py, f32>,
    rows: PyReadonlyArray2<'py, f32>,
    k: usize,
    n_threads: Option<usize>,
) -> PyResult<Bound<'py, PyArray1<i64>>> {
    let width = rows.as_array().ncols();
    let (queries, rows) = (queries.as_slice()?, rows.as_slice()?);
    let found = detached(py, n_threads, None, |monitor| {
        largest_products(queries, rows, (width, k), monitor)
    })?;
    Ok(found.to_pyarray(py))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(sketch_tokens, module)?)?;
    module.add_function(wrap_pyfunction!(largest_sketches, module)?)?;
    module.add_function(wrap_pyfunction!(sketch_updates, module)?)
}
