//! Binding of `behavior`.

use numpy::{
    PyArray2, PyArray3, PyReadonlyArray1, PyReadonlyArray2, PyReadonlyArray3, PyReadonlyArray4,
    ToPyArray,
};
use pyo3::prelude::*;

use super::convert::to_sizes;
use super::detach::detached;
use crate::behavior::coordinates::{Codec, Link};
use crate::behavior::paired::Sampling;
use crate::behavior::{alignment, coordinates, drift, paired, replicated, ridge, shares};
use crate::error::Result;
use crate::resampling::{Plan, Unit};

type Matrix<'py> = Bound<'py, PyArray2<f64>>;
type Cube<'py> = Bound<'py, PyArray3<f64>>;

/// Link, pseudo-count, least probability, and trailing columns left as they are.
#[derive(FromPyObject)]
struct CodecWords(String, f64, f64, usize);

impl CodecWords {
    fn codec(&self) -> Result<Codec> {
        Ok(Codec {
            link: Link::from_name(&self.0)?,
            smoothing: self.1,
            floor: self.2,
            n_plain: self.3,
        })
    }
}

/// Strata [n_probes], replicates, confidence, seed, and whether intervals are Fisher's.
#[derive(FromPyObject)]
struct Draws<'py>(PyReadonlyArray1<'py, i64>, u64, f64, u64, bool);

impl Draws<'_> {
    fn plan(&self, unit: Unit) -> Result<Plan> {
        Plan::new(unit, &to_sizes(&self.0), self.3)
    }

    fn sampling<'a>(&self, plan: &'a Plan) -> Sampling<'a> {
        Sampling {
            plan,
            n_replicates: self.1,
            confidence: self.2,
            is_fisher: self.4,
        }
    }
}

#[pyfunction]
fn behavior_coordinates<'py>(
    py: Python<'py>,
    answers: PyReadonlyArray4<'py, f64>,
    codec: CodecWords,
) -> PyResult<Cube<'py>> {
    let (codec, answers) = (codec.codec()?, answers.as_array());
    let found = py.detach(|| coordinates::coordinates(answers, codec))?;
    Ok(found.to_pyarray(py))
}

#[pyfunction]
#[pyo3(signature = (responses, draws, n_threads=None, progress=None))]
fn behavior_paired<'py>(
    py: Python<'py>,
    responses: PyReadonlyArray3<'py, f64>,
    draws: Draws<'py>,
    n_threads: Option<usize>,
    progress: Option<Bound<'py, PyAny>>,
) -> PyResult<Cube<'py>> {
    let (plan, data) = (draws.plan(Unit::Targets)?, responses.as_array());
    let sampling = draws.sampling(&plan);
    let job = |monitor: &_| paired::paired(data, sampling, monitor);
    Ok(detached(py, n_threads, progress.as_ref(), job)?.to_pyarray(py))
}

#[pyfunction]
#[pyo3(signature = (answers, codec, draws, n_threads=None, progress=None))]
fn behavior_nested<'py>(
    py: Python<'py>,
    answers: PyReadonlyArray4<'py, f64>,
    codec: CodecWords,
    draws: Draws<'py>,
    n_threads: Option<usize>,
    progress: Option<Bound<'py, PyAny>>,
) -> PyResult<Cube<'py>> {
    let (plan, data) = (draws.plan(Unit::TargetsThenSeeds)?, answers.as_array());
    let (codec, sampling) = (codec.codec()?, draws.sampling(&plan));
    let job = |monitor: &_| replicated::nested(data, codec, sampling, monitor);
    Ok(detached(py, n_threads, progress.as_ref(), job)?.to_pyarray(py))
}

#[pyfunction]
#[pyo3(signature = (answers, codec, halvings, n_threads=None))]
fn behavior_split_half(
    py: Python<'_>,
    answers: PyReadonlyArray4<'_, f64>,
    codec: CodecWords,
    halvings: (u64, u64),
    n_threads: Option<usize>,
) -> PyResult<Vec<f64>> {
    let (codec, data) = (codec.codec()?, answers.as_array());
    detached(py, n_threads, None, |monitor| {
        replicated::split_half(data, codec, halvings, monitor)
    })
}

#[pyfunction]
fn behavior_alignment(
    py: Python<'_>,
    first: PyReadonlyArray2<'_, f64>,
    second: PyReadonlyArray2<'_, f64>,
    is_ranked: bool,
) -> PyResult<f64> {
    let (a, b) = (first.as_array(), second.as_array());
    let kernel = if is_ranked {
        alignment::rsa
    } else {
        alignment::cka
    };
    Ok(py.detach(|| kernel(a, b))?)
}

#[pyfunction]
#[pyo3(signature = (before, after, permutations, n_threads=None))]
fn behavior_drift(
    py: Python<'_>,
    before: PyReadonlyArray3<'_, f64>,
    after: PyReadonlyArray3<'_, f64>,
    permutations: (u64, u64),
    n_threads: Option<usize>,
) -> PyResult<(f64, f64)> {
    let (a, b) = (before.as_array(), after.as_array());
    let job = |monitor: &_| drift::drift(a, b, permutations, monitor);
    detached(py, n_threads, None, job)
}

#[pyfunction]
fn ridge_moments<'py>(
    py: Python<'py>,
    features: PyReadonlyArray2<'py, f64>,
    responses: PyReadonlyArray2<'py, f64>,
) -> PyResult<Matrix<'py>> {
    let (x, y) = (features.as_array(), responses.as_array());
    Ok(py.detach(|| ridge::moments(x, y))?.to_pyarray(py))
}

/// Weights [n_features, n_responses] and the residual variance.
#[pyfunction]
fn ridge_fit<'py>(
    py: Python<'py>,
    moments: PyReadonlyArray2<'py, f64>,
    n_features: usize,
    penalty: f64,
) -> PyResult<(Matrix<'py>, f64)> {
    let sums = moments.as_array();
    let found = py.detach(|| ridge::fit(sums, n_features, penalty))?;
    Ok((found.weights.to_pyarray(py), found.noise))
}

#[pyfunction]
fn ridge_posterior<'py>(
    py: Python<'py>,
    moments: PyReadonlyArray2<'py, f64>,
    n_features: usize,
    penalty: f64,
    draws: (u64, u64),
) -> PyResult<Matrix<'py>> {
    let sums = moments.as_array();
    let job = || ridge::fit(sums, n_features, penalty)?.posterior(draws.0, draws.1);
    Ok(py.detach(job)?.to_pyarray(py))
}

#[pyfunction]
fn ridge_left_out<'py>(
    py: Python<'py>,
    features: PyReadonlyArray2<'py, f64>,
    responses: PyReadonlyArray2<'py, f64>,
    penalties: Vec<f64>,
) -> PyResult<Matrix<'py>> {
    let (x, y) = (features.as_array(), responses.as_array());
    let found = py.detach(|| ridge::left_out(x, y, &penalties))?;
    Ok(found.to_pyarray(py))
}

#[pyfunction]
fn symmetric_root<'py>(
    py: Python<'py>,
    covariance: PyReadonlyArray2<'py, f64>,
) -> PyResult<Matrix<'py>> {
    let matrix = covariance.as_array();
    Ok(py.detach(|| ridge::root(matrix))?.to_pyarray(py))
}

/// Names and variances of prompted models.
#[pyfunction]
fn behavior_shares(
    responses: PyReadonlyArray4<'_, f64>,
) -> PyResult<(Vec<&'static str>, Vec<f64>)> {
    let found = shares::shares(responses.as_array())?;
    Ok((shares::NAMES.to_vec(), found.to_vec()))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(behavior_coordinates, module)?)?;
    module.add_function(wrap_pyfunction!(behavior_paired, module)?)?;
    module.add_function(wrap_pyfunction!(behavior_nested, module)?)?;
    module.add_function(wrap_pyfunction!(behavior_split_half, module)?)?;
    module.add_function(wrap_pyfunction!(behavior_alignment, module)?)?;
    module.add_function(wrap_pyfunction!(behavior_drift, module)?)?;
    module.add_function(wrap_pyfunction!(ridge_moments, module)?)?;
    module.add_function(wrap_pyfunction!(ridge_fit, module)?)?;
    module.add_function(wrap_pyfunction!(ridge_posterior, module)?)?;
    module.add_function(wrap_pyfunction!(ridge_left_out, module)?)?;
    module.add_function(wrap_pyfunction!(symmetric_root, module)?)?;
    module.add_function(wrap_pyfunction!(behavior_shares, module)?)
}
