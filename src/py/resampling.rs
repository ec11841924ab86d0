//! Binding of `resampling`.

use numpy::{
    IntoPyArray, PyArray1, PyArray2, PyReadonlyArray1, PyReadonlyArray2, PyReadonlyArray3,
    ToPyArray,
};
use pyo3::prelude::*;

use super::convert::to_sizes;
use super::detach::detached;
use crate::error::Result;
use crate::resampling::{
    Anchor, Cube, Interval, Plan, RankModel, Reference, SeedError, Tally, Unit, interval,
    range_distribution, range_quantile, rank_interval, replicates, seed_error, sign_flip,
    student_quantile, wilson,
};

type Vector<'py> = Bound<'py, PyArray1<f64>>;
type Matrix<'py> = Bound<'py, PyArray2<f64>>;

/// Unit, strata [n_targets] and seed.
#[derive(FromPyObject)]
struct PlanArrays<'py>(String, PyReadonlyArray1<'py, i64>, u64);

impl PlanArrays<'_> {
    fn plan(&self) -> Result<Plan> {
        Plan::new(Unit::from_name(&self.0)?, &to_sizes(&self.1), self.2)
    }
}

#[pyfunction]
fn resample_means<'py>(
    py: Python<'py>,
    cube: PyReadonlyArray3<'py, f64>,
    plan: PlanArrays<'py>,
    range: (u64, u64),
    n_threads: Option<usize>,
) -> PyResult<Matrix<'py>> {
    let (plan, cube) = (plan.plan()?, Cube::new(cube.as_array())?);
    let found = detached(py, n_threads, None, |monitor| {
        cube.resample_all(&plan, range.0..range.1, monitor)
    })?;
    Ok(found.into_pyarray(py))
}

#[pyfunction]
fn resample_indices(
    plan: PlanArrays<'_>,
    number: u64,
    n_seeds: usize,
) -> PyResult<Vec<(usize, Vec<usize>)>> {
    Ok(plan.plan()?.indices(number, n_seeds))
}

/// Estimate, low and high of each contrast `(plus, minus)`; minus -1 is the column alone.
#[pyfunction]
fn mean_intervals<'py>(
    py: Python<'py>,
    cube: PyReadonlyArray3<'py, f64>,
    drawn: PyReadonlyArray2<'py, f64>,
    contrasts: Vec<(usize, isize)>,
    method: &str,
    confidence: f64,
) -> PyResult<Matrix<'py>> {
    let (cube, method) = (Cube::new(cube.as_array())?, Interval::from_name(method)?);
    let drawn = drawn.as_array();
    let found = detached(py, None, None, |_| {
        cube.contrast_intervals(
            drawn,
            &contrasts,
            |values: &mut [f64], known: &Reference| interval(method, values, known, confidence),
        )
    })?;
    Ok(found.to_pyarray(py))
}

/// Shares of places [n, n], of wins [n, n], and place intervals [n, 2].
#[pyfunction]
fn rank_shares<'py>(
    py: Python<'py>,
    drawn: PyReadonlyArray2<'py, f64>,
    confidence: f64,
) -> (Matrix<'py>, Matrix<'py>, Vec<(f64, f64)>, u64) {
    let tally = Tally::of(drawn.as_array());
    let (places, wins) = tally.shares();
    let intervals = places
        .outer_iter()
        .map(|row| rank_interval(row, confidence));
    let intervals = intervals.collect();
    (
        places.to_pyarray(py),
        wins.to_pyarray(py),
        intervals,
        tally.count,
    )
}

/// What seeds say about means; becomes a dictionary.
#[derive(IntoPyObject)]
struct SeedErrorArrays<'py> {
    means: Vector<'py>,
    variance: f64,
    freedom: f64,
    intervals: Vec<(f64, f64)>,
    level_variance: f64,
    n_units: usize,
    least_difference: f64,
}

#[pyfunction]
fn seed_errors<'py>(
    py: Python<'py>,
    values: PyReadonlyArray3<'py, f64>,
    confidence: f64,
) -> PyResult<SeedErrorArrays<'py>> {
    let found: SeedError = seed_error(values.as_array(), confidence)?;
    Ok(SeedErrorArrays {
        least_difference: found.least_difference(confidence)?,
        means: found.means.to_pyarray(py),
        variance: found.variance,
        freedom: found.freedom,
        intervals: found.intervals,
        level_variance: found.level_variance,
        n_units: found.n_units,
    })
}

/// Draws of true means; anchor is (score, variance, freedom) of a candidate of known score.
#[pyfunction]
fn rank_draws<'py>(
    py: Python<'py>,
    means: PyReadonlyArray1<'py, f64>,
    error: (f64, f64),
    anchor: Option<(f64, f64, f64)>,
    streams: (u64, u64, u64),
    n_threads: Option<usize>,
) -> PyResult<Matrix<'py>> {
    let anchor = anchor.map(Anchor::from);
    let model = RankModel::new(&means.as_array().to_vec(), error.0, error.1, anchor)?;
    let found = detached(py, n_threads, None, |monitor| {
        replicates(
            streams.1..streams.2,
            model.width(),
            monitor,
            |number, row| {
                model.draw(streams.0, number, row);
            },
        )
    })?;
    Ok(found.into_pyarray(py))
}

#[pyfunction]
#[pyo3(name = "sign_flip")]
fn sign_flips(differences: PyReadonlyArray1<'_, f64>, n_draws: u64, seed: u64) -> PyResult<f64> {
    Ok(sign_flip(&differences.as_array().to_vec(), n_draws, seed)?)
}

#[pyfunction]
#[pyo3(name = "student_quantile")]
fn student(level: f64, freedom: f64) -> PyResult<f64> {
    Ok(student_quantile(level, freedom)?)
}

#[pyfunction]
#[pyo3(name = "range_quantile")]
fn studentised_quantile(level: f64, n: usize, freedom: f64) -> PyResult<f64> {
    Ok(range_quantile(level, n, freedom)?)
}

#[pyfunction]
#[pyo3(name = "range_distribution")]
fn studentised_distribution(q: f64, n: usize, freedom: f64) -> PyResult<f64> {
    Ok(range_distribution(q, n, freedom)?)
}

#[pyfunction]
#[pyo3(name = "wilson")]
fn wilson_interval(successes: f64, n: f64, confidence: f64) -> PyResult<(f64, f64)> {
    Ok(wilson(successes, n, confidence)?)
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(resample_means, module)?)?;
    module.add_function(wrap_pyfunction!(resample_indices, module)?)?;
    module.add_function(wrap_pyfunction!(mean_intervals, module)?)?;
    module.add_function(wrap_pyfunction!(rank_shares, module)?)?;
    module.add_function(wrap_pyfunction!(seed_errors, module)?)?;
    module.add_function(wrap_pyfunction!(rank_draws, module)?)?;
    module.add_function(wrap_pyfunction!(sign_flips, module)?)?;
    module.add_function(wrap_pyfunction!(student, module)?)?;
    module.add_function(wrap_pyfunction!(studentised_quantile, module)?)?;
    module.add_function(wrap_pyfunction!(studentised_distribution, module)?)?;
    module.add_function(wrap_pyfunction!(wilson_interval, module)?)
}
