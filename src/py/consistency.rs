//! Binding of `consistency`.

use ndarray::ArrayView2;
use numpy::{PyArray2, PyReadonlyArray1, PyReadonlyArray2, PyReadonlyArray3, ToPyArray};
use pyo3::prelude::*;

use super::detach::detached;
use crate::consistency::{self, Agreement, COMPONENTS};
use crate::resampling::replicates;

fn rows(table: ArrayView2<'_, f64>) -> Vec<Vec<f64>> {
    table.outer_iter().map(|row| row.to_vec()).collect()
}

/// Agreement of two lists and its chance level.
#[pyfunction]
fn agreement(
    first: PyReadonlyArray1<'_, f64>,
    second: PyReadonlyArray1<'_, f64>,
    measure: &str,
    persistence: f64,
    k: usize,
) -> PyResult<(f64, f64)> {
    let measure = Agreement::from_name(measure, persistence, k)?;
    let [first, second] = [&first, &second].map(|list| list.as_array().to_vec());
    Ok(measure.of(&first, &second)?)
}

/// Mean agreement over all pairs of rows, and its chance level.
#[pyfunction]
fn mean_agreement(
    table: PyReadonlyArray2<'_, f64>,
    measure: &str,
    persistence: f64,
    k: usize,
) -> PyResult<(f64, f64)> {
    let measure = Agreement::from_name(measure, persistence, k)?;
    Ok(measure.mean_pairwise(&rows(table.as_array()))?)
}

#[pyfunction]
fn concordance(table: PyReadonlyArray2<'_, f64>) -> PyResult<f64> {
    Ok(consistency::concordance(&rows(table.as_array()))?)
}

/// Correlation of two halves, and stepped up to all rows.
#[pyfunction]
fn split_half(table: PyReadonlyArray2<'_, f64>) -> (f64, f64) {
    consistency::split_half(&rows(table.as_array()))
}

#[pyfunction]
fn component_names() -> Vec<&'static str> {
    COMPONENTS.to_vec()
}

type Parts<'py> = ([f64; 5], [f64; 5], Bound<'py, PyArray2<f64>>);

/// Estimates, degrees of freedom, and generalized draws [n_draws, 5].
#[pyfunction]
fn variance_components<'py>(
    py: Python<'py>,
    cube: PyReadonlyArray3<'py, f64>,
    streams: (u64, u64),
    n_threads: Option<usize>,
) -> PyResult<Parts<'py>> {
    let found = consistency::components(cube.as_array())?;
    let drawn = detached(py, n_threads, None, |monitor| {
        replicates(0..streams.1, 5, monitor, |number, row| {
            found.draw(streams.0, number, row);
        })
    })?;
    Ok((found.estimates(), found.freedom, drawn.to_pyarray(py)))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(agreement, module)?)?;
    module.add_function(wrap_pyfunction!(mean_agreement, module)?)?;
    module.add_function(wrap_pyfunction!(concordance, module)?)?;
    module.add_function(wrap_pyfunction!(split_half, module)?)?;
    module.add_function(wrap_pyfunction!(component_names, module)?)?;
    module.add_function(wrap_pyfunction!(variance_components, module)?)
}
