//! Binding of `evaluation`.

use numpy::{
    PyArray1, PyArray2, PyArray3, PyReadonlyArray1, PyReadonlyArray2, PyReadonlyArray3, ToPyArray,
};
use pyo3::prelude::*;

use super::convert::to_sizes;
use super::detach::detached;
use crate::evaluation::{self, Gain, Protocol, Undefined, Units};

type Array3<'py> = Bound<'py, PyArray3<f64>>;

/// How lists are evaluated, by the names Python uses.
#[derive(FromPyObject)]
pub struct Conventions(String, String, Vec<usize>);

impl Conventions {
    /// The protocol of these names.
    pub fn protocol(self) -> crate::error::Result<Protocol> {
        Ok(Protocol {
            gain: Gain::from_name(&self.0)?,
            units: Units::from_name(&self.1)?,
            k: self.2,
        })
    }
}

#[pyfunction]
fn gain_names() -> Vec<&'static str> {
    Gain::ALL.map(Gain::name).to_vec()
}

#[pyfunction]
fn undefined_reasons() -> Vec<&'static str> {
    Undefined::ALL.map(Undefined::words).to_vec()
}

#[pyfunction]
fn metric_names(conventions: Conventions) -> PyResult<Vec<String>> {
    Ok(conventions.protocol()?.metric_names())
}

#[pyfunction]
fn evaluate_lists<'py>(
    py: Python<'py>,
    candidates: (PyReadonlyArray1<'py, f64>, PyReadonlyArray1<'py, f64>),
    lists: (PyReadonlyArray1<'py, i64>, PyReadonlyArray1<'py, f64>),
    conventions: Conventions,
) -> PyResult<(Array3<'py>, Bound<'py, PyArray2<u8>>)> {
    let protocol = conventions.protocol()?;
    let [scores, truth, baseline] =
        [&candidates.0, &candidates.1, &lists.1].map(|column| column.as_array().to_vec());
    let offsets = to_sizes(&lists.0);
    let batch = detached(py, None, None, |monitor| {
        evaluation::evaluate_lists(&protocol, &scores, &truth, &baseline, &offsets, monitor)
    })?;
    Ok((batch.metrics.to_pyarray(py), batch.reasons.to_pyarray(py)))
}

type SummaryArrays<'py> = (
    Array3<'py>,
    Bound<'py, PyArray2<f64>>,
    Bound<'py, PyArray1<i64>>,
);

#[pyfunction]
fn summarise_metrics<'py>(
    py: Python<'py>,
    metrics: PyReadonlyArray3<'py, f64>,
    targets: PyReadonlyArray1<'py, i64>,
    n_targets: usize,
) -> PyResult<SummaryArrays<'py>> {
    let targets = to_sizes(&targets);
    let summary = evaluation::summarise(metrics.as_array(), &targets, n_targets)?;
    let per_target = summary.per_target.to_pyarray(py);
    let overall = summary.overall.to_pyarray(py);
    Ok((per_target, overall, summary.n_defined.to_pyarray(py)))
}

#[pyfunction]
#[pyo3(signature = (scores, baseline=None))]
fn seed_means<'py>(
    py: Python<'py>,
    scores: PyReadonlyArray3<'py, f64>,
    baseline: Option<PyReadonlyArray2<'py, f64>>,
) -> PyResult<Bound<'py, PyArray2<f64>>> {
    let baseline = baseline.as_ref().map(|values| values.as_array());
    Ok(evaluation::seed_means(scores.as_array(), baseline)?.to_pyarray(py))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(gain_names, module)?)?;
    module.add_function(wrap_pyfunction!(undefined_reasons, module)?)?;
    module.add_function(wrap_pyfunction!(metric_names, module)?)?;
    module.add_function(wrap_pyfunction!(evaluate_lists, module)?)?;
    module.add_function(wrap_pyfunction!(summarise_metrics, module)?)?;
    module.add_function(wrap_pyfunction!(seed_means, module)?)
}
