//! Binding of `icl`.

use numpy::{PyArray1, PyReadonlyArray1, PyReadonlyArray2, PyReadonlyArray3, ToPyArray};
use pyo3::prelude::*;

use super::convert::to_sizes;
use super::detach::detached;
use super::icl_arrays::{
    LayerArrays, Matrix, MixtureArrays, MixturesOut, PredictorArrays, PredictorOut, Vector,
    WeightArrays, count, layer_arrays, matrix_array, mixture_arrays, predictor_arrays, stacked,
};
use crate::icl::adam::{Schedule, train};
use crate::icl::attention::{Sequences, forward};
use crate::icl::constants::asymptotic_constant;
use crate::icl::descent::descend;
use crate::icl::estimate::{Data, Sharing, estimate};
use crate::icl::optimum::{Optimum, optimum};
use crate::icl::setting::Setting;
use crate::icl::simulate::{Method, Moments, simulate};
use crate::icl::solve::Solver;
use crate::icl::weights::{AttentionWeights, weights};

/// Everything an optimum consists of; becomes a dictionary.
#[derive(IntoPyObject)]
struct OptimumArrays<'py> {
    loss_without_noise: f64,
    task_losses: Vector<'py>,
    preconditioner: Matrix<'py>,
    scales: Vector<'py>,
    shifts: Matrix<'py>,
    biases: Matrix<'py>,
    query: Matrix<'py>,
    key: Matrix<'py>,
    value: Matrix<'py>,
    prompts: Matrix<'py>,
    heads: Matrix<'py>,
    prompt_residuals: Vector<'py>,
    is_attained: bool,
    condition_number: f64,
    solver: &'static str,
    n_solves: usize,
}

impl<'py> OptimumArrays<'py> {
    fn new(py: Python<'py>, found: &Optimum, raw: &AttentionWeights, is_attained: bool) -> Self {
        let predictor = &found.predictor;
        Self {
            loss_without_noise: found.loss_without_noise,
            task_losses: found.task_losses.to_pyarray(py),
            preconditioner: matrix_array(py, predictor.preconditioner.as_ref()),
            scales: predictor.scales.to_pyarray(py),
            shifts: stacked(py, &predictor.shifts),
            biases: stacked(py, &predictor.biases),
            query: matrix_array(py, raw.query.as_ref()),
            key: matrix_array(py, raw.key.as_ref()),
            value: matrix_array(py, raw.value.as_ref()),
            prompts: matrix_array(py, raw.prompts.as_ref()),
            heads: matrix_array(py, raw.heads.as_ref()),
            prompt_residuals: raw.prompt_residuals.to_pyarray(py),
            is_attained,
            condition_number: found.condition_number,
            solver: found.solver.name(),
            n_solves: found.n_solves,
        }
    }
}

#[pyfunction]
fn icl_settings() -> Vec<&'static str> {
    Setting::ALL.map(Setting::name).to_vec()
}

#[pyfunction]
fn icl_check_mixture(mixture: MixtureArrays<'_>) -> PyResult<()> {
    mixture.mixture()?;
    Ok(())
}

#[pyfunction]
fn icl_optimum<'py>(
    py: Python<'py>,
    mixture: MixtureArrays<'py>,
    n_examples: i64,
    setting: &str,
    solver: &str,
) -> PyResult<OptimumArrays<'py>> {
    let mixture = mixture.mixture()?;
    let (n, setting) = (count(n_examples, "n_examples")?, Setting::parse(setting)?);
    let solver = Solver::parse(solver, &mixture)?;
    let (found, raw) = detached(py, Some(1), None, |monitor| {
        let found = optimum(&mixture, n, setting, solver, monitor)?;
        let raw = weights(&found, setting)?;
        Ok((found, raw))
    })?;
    let is_attained = raw.is_attained(mixture.occurring());
    Ok(OptimumArrays::new(py, &found, &raw, is_attained))
}

#[pyfunction]
fn icl_asymptotic_constant(mixture: MixtureArrays<'_>, setting: &str) -> PyResult<f64> {
    let setting = Setting::parse(setting)?;
    Ok(asymptotic_constant(&mixture.mixture()?, setting)?)
}

#[pyfunction]
fn icl_transfer_losses<'py>(
    py: Python<'py>,
    mixture: MixtureArrays<'py>,
    n_examples: i64,
    predictor: PredictorArrays<'py>,
) -> PyResult<Matrix<'py>> {
    let mixture = mixture.mixture()?;
    let predictor = predictor.predictor(&mixture)?;
    let losses = predictor.transfer_losses(&mixture, count(n_examples, "n_examples")?);
    Ok(matrix_array(py, losses.as_ref()))
}

type Simulated<'py> = (Vector<'py>, Vector<'py>, Bound<'py, PyArray1<usize>>);

#[pyfunction]
#[pyo3(signature = (mixture, predictor, n_examples, n_sequences, method, seed, n_threads=None))]
fn icl_simulate<'py>(
    py: Python<'py>,
    mixture: MixtureArrays<'py>,
    predictor: PredictorArrays<'py>,
    n_examples: i64,
    n_sequences: i64,
    method: &str,
    seed: u64,
    n_threads: Option<usize>,
) -> PyResult<Simulated<'py>> {
    let mixture = mixture.mixture()?;
    let (predictor, method) = (predictor.predictor(&mixture)?, Method::parse(method)?);
    let n = count(n_examples, "n_examples")?;
    let total = count(n_sequences, "n_sequences")?;
    let result = detached(py, n_threads, None, |monitor| {
        simulate(&mixture, &predictor, n, total, method, seed, monitor)
    })?;
    let (means, errors) = moments(py, &result.tasks);
    Ok((means, errors, result.n_sequences.to_pyarray(py)))
}

#[pyfunction]
#[pyo3(signature = (weights, inputs, labels, queries, tasks, n_threads=None))]
fn icl_attention_forward<'py>(
    py: Python<'py>,
    weights: WeightArrays<'py>,
    inputs: PyReadonlyArray3<'py, f64>,
    labels: PyReadonlyArray2<'py, f64>,
    queries: PyReadonlyArray2<'py, f64>,
    tasks: PyReadonlyArray1<'py, i64>,
    n_threads: Option<usize>,
) -> PyResult<Vector<'py>> {
    let weights = weights.weights()?;
    let sequences = Sequences {
        inputs: &inputs.as_array().iter().copied().collect::<Vec<_>>(),
        labels: &labels.as_array().iter().copied().collect::<Vec<_>>(),
        queries: &queries.as_array().iter().copied().collect::<Vec<_>>(),
        tasks: &to_sizes(&tasks),
        n_examples: labels.as_array().ncols(),
    };
    let job = |monitor: &_| forward(&weights, sequences, monitor);
    Ok(detached(py, n_threads, None, job)?.to_pyarray(py))
}

#[pyfunction]
fn icl_descend<'py>(
    py: Python<'py>,
    mixture: MixtureArrays<'py>,
    n_examples: i64,
    setting: &str,
    start: PredictorArrays<'py>,
    n_steps: i64,
) -> PyResult<(PredictorOut<'py>, Vector<'py>)> {
    let mixture = mixture.mixture()?;
    let (start, setting) = (start.predictor(&mixture)?, Setting::parse(setting)?);
    let (n, n_steps) = (count(n_examples, "n_examples")?, count(n_steps, "n_steps")?);
    let reached = detached(py, Some(1), None, |monitor| {
        descend(&mixture, n, setting, start, n_steps, monitor)
    })?;
    let predictor = predictor_arrays(py, &reached.predictor);
    Ok((predictor, reached.history.to_pyarray(py)))
}

/// Steps, sequences of every task in a step, highest learning rate, sequences of the final check.
#[derive(FromPyObject)]
struct ScheduleTuple(i64, i64, f64, i64);

impl ScheduleTuple {
    fn schedule(&self) -> crate::error::Result<Schedule> {
        Ok(Schedule {
            n_steps: count(self.0, "n_steps")?,
            batch_per_task: count(self.1, "batch_per_task")?,
            learning_rate: self.2,
            n_check: count(self.3, "n_check")?,
        })
    }
}

type Trained<'py> = (LayerArrays<'py>, Vector<'py>, Vector<'py>, Vector<'py>);

#[pyfunction]
#[pyo3(signature = (mixture, n_examples, setting, start, schedule, seed, n_threads=None, progress=None))]
fn icl_train<'py>(
    py: Python<'py>,
    mixture: MixtureArrays<'py>,
    n_examples: i64,
    setting: &str,
    start: WeightArrays<'py>,
    schedule: ScheduleTuple,
    seed: u64,
    n_threads: Option<usize>,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Trained<'py>> {
    let mixture = mixture.mixture()?;
    let (start, setting) = (start.layer(&mixture)?, Setting::parse(setting)?);
    let (n, schedule) = (count(n_examples, "n_examples")?, schedule.schedule()?);
    let result = detached(py, n_threads, progress, |monitor| {
        train(&mixture, n, setting, start, schedule, seed, monitor)
    })?;
    let (means, errors) = moments(py, &result.tasks);
    let layer = layer_arrays(py, &result.layer);
    Ok((layer, result.history.to_pyarray(py), means, errors))
}

/// Rows `[n_rows, dim]`, labels `[n_rows]`, offsets `[n_sequences + 1]`, tasks `[n_sequences]`.
#[derive(FromPyObject)]
struct DataArrays<'py>(
    PyReadonlyArray2<'py, f64>,
    PyReadonlyArray1<'py, f64>,
    PyReadonlyArray1<'py, i64>,
    PyReadonlyArray1<'py, i64>,
);

#[pyfunction]
#[pyo3(signature = (data, n_tasks, sharing, n_replicates, seed, n_threads=None))]
fn icl_estimate<'py>(
    py: Python<'py>,
    data: DataArrays<'py>,
    n_tasks: usize,
    sharing: (bool, bool),
    n_replicates: i64,
    seed: u64,
    n_threads: Option<usize>,
) -> PyResult<MixturesOut<'py>> {
    let (rows, dim) = flat(&data.0);
    let labels = data.1.as_array().to_vec();
    let (offsets, tasks) = (to_sizes(&data.2), to_sizes(&data.3));
    let n_replicates = count(n_replicates, "n_replicates")?;
    let sharing = Sharing::new(sharing);
    let mixtures = detached(py, n_threads, None, |monitor| {
        let data = Data::new(&rows, &labels, &offsets, &tasks, dim)?;
        estimate(data, n_tasks, sharing, n_replicates, seed, monitor)
    })?;
    mixture_arrays(py, &mixtures)
}

fn flat(rows: &PyReadonlyArray2<'_, f64>) -> (Vec<f64>, usize) {
    let view = rows.as_array();
    (view.iter().copied().collect(), view.ncols())
}

fn moments<'py>(py: Python<'py>, tasks: &[Moments]) -> (Vector<'py>, Vector<'py>) {
    let means: Vec<f64> = tasks.iter().map(|task| task.mean).collect();
    let errors: Vec<f64> = tasks.iter().map(|task| task.standard_error()).collect();
    (means.to_pyarray(py), errors.to_pyarray(py))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(icl_settings, module)?)?;
    module.add_function(wrap_pyfunction!(icl_check_mixture, module)?)?;
    module.add_function(wrap_pyfunction!(icl_optimum, module)?)?;
    module.add_function(wrap_pyfunction!(icl_asymptotic_constant, module)?)?;
    module.add_function(wrap_pyfunction!(icl_transfer_losses, module)?)?;
    module.add_function(wrap_pyfunction!(icl_simulate, module)?)?;
    module.add_function(wrap_pyfunction!(icl_attention_forward, module)?)?;
    module.add_function(wrap_pyfunction!(icl_descend, module)?)?;
    module.add_function(wrap_pyfunction!(icl_train, module)?)?;
    module.add_function(wrap_pyfunction!(icl_estimate, module)?)
}
