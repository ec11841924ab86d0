//! Binding of what comparing methods needs from `evaluation`.

use numpy::{PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;

use super::convert::to_sizes;
use super::detach::detached;
use super::evaluation::Conventions;
use crate::evaluation::{self, Lists, friedman, permuted_means};

/// Scores, truth and source of every candidate.
#[derive(FromPyObject)]
struct Candidates<'py>(
    PyReadonlyArray1<'py, f64>,
    PyReadonlyArray1<'py, f64>,
    PyReadonlyArray1<'py, i64>,
);

/// Offsets, baseline and target of every list.
#[derive(FromPyObject)]
struct ListArrays<'py>(
    PyReadonlyArray1<'py, i64>,
    PyReadonlyArray1<'py, f64>,
    PyReadonlyArray1<'py, i64>,
);

fn to_lists(candidates: &Candidates<'_>, lists: &ListArrays<'_>) -> Lists {
    Lists {
        scores: candidates.0.as_array().to_vec(),
        truth: candidates.1.as_array().to_vec(),
        sources: to_sizes(&candidates.2),
        offsets: to_sizes(&lists.0),
        baseline: lists.1.as_array().to_vec(),
        targets: to_sizes(&lists.2),
    }
}

#[pyfunction]
fn permuted_metric(
    py: Python<'_>,
    candidates: Candidates<'_>,
    lists: ListArrays<'_>,
    conventions: Conventions,
    metric: usize,
    streams: (u64, u64),
    n_threads: Option<usize>,
) -> PyResult<Vec<f64>> {
    let (protocol, lists) = (conventions.protocol()?, to_lists(&candidates, &lists));
    detached(py, n_threads, None, |monitor| {
        permuted_means(&protocol, metric, &lists, streams.1, streams.0, monitor)
    })
}

/// Average ranks, statistic, p-value and critical difference.
#[pyfunction]
fn friedman_test(
    scores: PyReadonlyArray2<'_, f64>,
    confidence: f64,
) -> PyResult<(Vec<f64>, f64, f64, f64)> {
    let found = friedman(scores.as_array(), confidence)?;
    Ok((
        found.average_ranks,
        found.statistic,
        found.p_value,
        found.critical_difference,
    ))
}

#[pyfunction]
fn adjusted_p_values(p_values: Vec<f64>, method: &str) -> PyResult<Vec<f64>> {
    Ok(evaluation::adjusted(&p_values, method)?)
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(permuted_metric, module)?)?;
    module.add_function(wrap_pyfunction!(adjusted_p_values, module)?)?;
    module.add_function(wrap_pyfunction!(friedman_test, module)?)
}
