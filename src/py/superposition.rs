//! Binding of `superposition`: records and their statistics.

use numpy::{PyArray1, PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods, ToPyArray};
use pyo3::prelude::*;

use super::detach::detached;
use crate::error::{Error, Result};
use crate::superposition::analysis::{Settings, Table, analyse};
use crate::superposition::positions::position_weights;
use crate::superposition::prompt::{CoverageRule, measure_all};
use crate::superposition::records::{Records, condition_codes};
use crate::superposition::vote::{Curves, Threshold};
use crate::superposition::{across, condition, prompt};

type Floats<'py> = Bound<'py, PyArray1<f64>>;
type Three<'py> = (Floats<'py>, Floats<'py>, Floats<'py>);

/// Arrays of a record as Python hands them over; all C-contiguous.
#[derive(FromPyObject)]
pub struct Arrays<'py> {
    log_probabilities: PyReadonlyArray2<'py, f64>,
    mixture: PyReadonlyArray2<'py, f64>,
    condition: PyReadonlyArray1<'py, i64>,
    cluster: PyReadonlyArray1<'py, i64>,
    last: Option<PyReadonlyArray1<'py, i64>>,
    completed: Option<PyReadonlyArray1<'py, f64>>,
}

fn contiguous<'a, T, E>(slice: std::result::Result<&'a [T], E>, name: &str) -> Result<&'a [T]> {
    slice.map_err(|_| Error::Shape(format!("{name}: the array must be C-contiguous")))
}

impl Arrays<'_> {
    fn view(&self) -> Result<Records<'_>> {
        let records = Records {
            log_probabilities: contiguous(self.log_probabilities.as_slice(), "log_probabilities")?,
            mixture: contiguous(self.mixture.as_slice(), "mixture")?,
            condition: contiguous(self.condition.as_slice(), "condition")?,
            cluster: contiguous(self.cluster.as_slice(), "cluster")?,
            last: match &self.last {
                Some(last) => Some(contiguous(last.as_slice(), "last")?),
                None => None,
            },
            completed: match &self.completed {
                Some(share) => Some(contiguous(share.as_slice(), "completed")?),
                None => None,
            },
            n_tasks: self.log_probabilities.shape()[1],
        };
        records.check().map(|()| records)
    }
}

fn threshold_of(name: &str) -> Result<Threshold> {
    match name {
        "majority" => Ok(Threshold::Majority),
        "fitted" => Ok(Threshold::Fitted),
        _ => Err(Error::UnknownName(format!(
            "threshold='{name}' is unknown; expected one of: majority, fitted"
        ))),
    }
}

/// Names of the prompt, condition, task and across statistics, in the order of their columns.
#[pyfunction]
fn superposition_names() -> [Vec<&'static str>; 4] {
    [
        prompt::NAMES.to_vec(),
        condition::NAMES.to_vec(),
        condition::TASK_NAMES.to_vec(),
        across::NAMES.to_vec(),
    ]
}

#[pyfunction]
fn superposition_conditions<'py>(
    py: Python<'py>,
    mixture: PyReadonlyArray2<'py, f64>,
) -> PyResult<(Bound<'py, PyArray1<i64>>, Vec<usize>)> {
    let n_tasks = mixture.shape()[1];
    let values = contiguous(mixture.as_slice(), "mixture")?;
    let (codes, rows) = py.detach(|| condition_codes(values, n_tasks));
    Ok((codes.to_pyarray(py), rows))
}

#[pyfunction]
#[pyo3(signature = (record, coverage, n_threads=None))]
fn superposition_prompts<'py>(
    py: Python<'py>,
    record: Arrays<'py>,
    coverage: (f64, bool),
    n_threads: Option<usize>,
) -> PyResult<(Floats<'py>, Floats<'py>)> {
    let records = record.view()?;
    let rule = CoverageRule {
        threshold: coverage.0,
        absent_tasks: coverage.1,
    };
    let found = detached(py, n_threads, None, |_| Ok(measure_all(&records, rule)))?;
    Ok((found.0.to_pyarray(py), found.1.to_pyarray(py)))
}

/// Plain numbers of an analysis, one tuple each for coverage, replicates and vote model.
#[derive(FromPyObject)]
pub struct Options {
    coverage: (f64, bool),
    replicates: (usize, f64, u64),
    vote: (usize, String),
}

impl Options {
    fn settings(&self) -> Result<Settings> {
        Ok(Settings {
            rule: CoverageRule {
                threshold: self.coverage.0,
                absent_tasks: self.coverage.1,
            },
            n_replicates: self.replicates.0,
            confidence: self.replicates.1,
            seed: self.replicates.2,
            n_max: self.vote.0,
            threshold: threshold_of(&self.vote.1)?,
        })
    }
}

fn three<'py>(py: Python<'py>, table: &Table) -> Three<'py> {
    (
        table.estimate.to_pyarray(py),
        table.low.to_pyarray(py),
        table.high.to_pyarray(py),
    )
}

#[pyfunction]
#[pyo3(signature = (record, keep, options, n_threads=None, progress=None))]
fn superposition_analysis<'py>(
    py: Python<'py>,
    record: Arrays<'py>,
    keep: PyReadonlyArray1<'py, bool>,
    options: Options,
    n_threads: Option<usize>,
    progress: Option<Bound<'py, PyAny>>,
) -> PyResult<(Three<'py>, Three<'py>, Floats<'py>, Vec<usize>)> {
    let records = record.view()?;
    let keep = contiguous(keep.as_slice(), "keep")?;
    let settings = options.settings()?;
    let job = |monitor: &_| analyse(&records, keep, settings, monitor);
    let found = detached(py, n_threads, progress.as_ref(), job)?;
    let (conditions, across) = (three(py, &found.conditions), three(py, &found.across));
    Ok((
        conditions,
        across,
        found.mixture.to_pyarray(py),
        found.n_clusters,
    ))
}

#[pyfunction]
fn superposition_vote(
    lambdas: Vec<f64>,
    means: Vec<f64>,
    n_max: usize,
    threshold: &str,
) -> PyResult<(f64, f64, f64)> {
    let vote = Curves::new(&lambdas, n_max, threshold_of(threshold)?).fit(&means);
    Ok((vote.n_eff, vote.threshold, vote.rmse))
}

#[pyfunction]
fn superposition_positions<'py>(
    py: Python<'py>,
    indicators: PyReadonlyArray2<'py, f64>,
    probabilities: PyReadonlyArray1<'py, f64>,
    cluster: PyReadonlyArray1<'py, i64>,
) -> PyResult<(Floats<'py>, Floats<'py>)> {
    let n_positions = indicators.shape()[1];
    let design = contiguous(indicators.as_slice(), "indicators")?;
    let response = contiguous(probabilities.as_slice(), "probabilities")?;
    let cluster = contiguous(cluster.as_slice(), "cluster")?;
    let job = || position_weights(design, response, cluster, n_positions);
    let (weights, errors) = py.detach(job)?;
    Ok((weights.to_pyarray(py), errors.to_pyarray(py)))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(superposition_names, module)?)?;
    module.add_function(wrap_pyfunction!(superposition_conditions, module)?)?;
    module.add_function(wrap_pyfunction!(superposition_prompts, module)?)?;
    module.add_function(wrap_pyfunction!(superposition_analysis, module)?)?;
    module.add_function(wrap_pyfunction!(superposition_vote, module)?)?;
    module.add_function(wrap_pyfunction!(superposition_positions, module)?)
}
