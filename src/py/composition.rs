//! Binding of `composition`.

use numpy::PyUntypedArrayMethods;
use numpy::{Element, PyArray1, PyReadonlyArray1, PyReadonlyArray2, PyReadonlyArray3, ToPyArray};
use pyo3::prelude::*;

use super::detach::detached;
use crate::composition::{Mode, Options, Plan, Problem, Real, Rows, Shape, auc, initial};
use crate::error::{Error, Result};

type Vector<'py, T> = Bound<'py, PyArray1<T>>;
/// Parameters, (loss, AUC, log-loss) of every epoch, number of the best.
type TrainedArrays<'py> = (Vector<'py, f32>, Vec<(f64, f64, f64)>, usize);

/// dim, width, number of sources, tower, mode.
#[derive(FromPyObject)]
struct Sizes(usize, usize, usize, Vec<usize>, String);

impl Sizes {
    fn shape(self) -> Result<Shape> {
        Ok(Shape {
            dim: self.0,
            width: self.1,
            n_sources: self.2,
            tower: self.3,
            mode: Mode::from_name(&self.4)?,
        })
    }
}

/// tau, beta_kl, penalty on the tower's weights.
#[derive(FromPyObject)]
struct Aims(f64, f64, f64);

impl Aims {
    fn options(&self) -> Options {
        Options {
            tau: self.0,
            beta_kl: self.1,
            decay: self.2,
        }
    }
}

/// Learning rate, rows of a batch, epochs, patience, seed.
#[derive(FromPyObject)]
struct Pace(f64, usize, usize, usize, u64);

impl Pace {
    fn plan(&self) -> Plan {
        Plan {
            learning_rate: self.0,
            batch_size: self.1.max(1),
            epochs: self.2,
            patience: self.3,
            seed: self.4,
        }
    }
}

/// x `[n, dim]`, shared `[n, width]`, own `[n, n_own, width]`, expert of each source.
#[derive(FromPyObject)]
struct Table<'py, T: Element>(
    PyReadonlyArray2<'py, T>,
    PyReadonlyArray2<'py, T>,
    PyReadonlyArray3<'py, T>,
    Vec<usize>,
);

impl<T: Element + Real> Table<'_, T> {
    fn rows(&self) -> Result<Rows<'_, T>> {
        let lies = |_| Error::Shape("features: arrays must be C-contiguous".into());
        let x = self.0.as_slice().map_err(lies)?;
        let shared = self.1.as_slice().map_err(lies)?;
        let own = self.2.as_slice().map_err(lies)?;
        let sizes = (self.0.shape()[1], self.1.shape()[1], self.2.shape()[1]);
        Rows::new(x, shared, own, &self.3, sizes)
    }
}

/// Features and their labels `[n]`.
#[derive(FromPyObject)]
struct Labelled<'py, T: Element>(Table<'py, T>, PyReadonlyArray1<'py, bool>);

impl<T: Element + Real> Labelled<'_, T> {
    fn parts(&self) -> Result<(Rows<'_, T>, &[bool])> {
        let lies = |_| Error::Shape("labels: the array must be contiguous".into());
        Ok((self.0.rows()?, self.1.as_slice().map_err(lies)?))
    }
}

/// Sizes, aims and the prompts of the sources `[n_sources * width]`.
#[derive(FromPyObject)]
struct Head<'py, T: Element>(Sizes, Aims, PyReadonlyArray1<'py, T>);

impl<T: Element + Real> Head<'_, T> {
    fn parts(self) -> Result<(Shape, Options, Vec<T>)> {
        let keys = self.2.as_array().to_vec();
        Ok((self.0.shape()?, self.1.options(), keys))
    }
}

/// Name and sizes of every tensor of a head, in the order of its parameters.
#[pyfunction]
fn head_tensors(sizes: Sizes) -> PyResult<Vec<(String, Vec<usize>)>> {
    let tensors = sizes.shape()?.tensors()?;
    let named = tensors
        .into_iter()
        .map(|tensor| (tensor.name, tensor.sizes));
    Ok(named.collect())
}

#[pyfunction]
fn head_initial(py: Python<'_>, sizes: Sizes, seed: u64) -> PyResult<Vector<'_, f64>> {
    Ok(initial(&sizes.shape()?, seed)?.to_pyarray(py))
}

#[pyfunction]
#[pyo3(signature = (head, start, table, validation, pace, n_threads=None, progress=None))]
fn head_train<'py>(
    py: Python<'py>,
    head: Head<'py, f32>,
    start: PyReadonlyArray1<'py, f32>,
    table: Labelled<'py, f32>,
    validation: Option<Labelled<'py, f32>>,
    pace: Pace,
    n_threads: Option<usize>,
    progress: Option<Bound<'py, PyAny>>,
) -> PyResult<TrainedArrays<'py>> {
    let (shape, options, keys) = head.parts()?;
    let problem = Problem::new(&shape, &keys, options);
    let (start, (rows, labels), plan) = (start.as_array().to_vec(), table.parts()?, pace.plan());
    let judge = validation.as_ref().map(Labelled::parts).transpose()?;
    let found = detached(py, n_threads, progress.as_ref(), |monitor| {
        problem.train(rows, labels, judge, start, plan, monitor)
    })?;
    let epochs = found.history.iter();
    let history = epochs.map(|epoch| (epoch.loss, epoch.auc, epoch.log_loss));
    let history = history.collect();
    Ok((found.parameters.to_pyarray(py), history, found.best))
}

/// Logits `[n]`, weights `[n * n_sources]` and gate `[n * 2]`, the last two empty in mode share.
#[pyfunction]
#[pyo3(signature = (head, parameters, table, n_threads=None))]
fn head_answer<'py>(
    py: Python<'py>,
    head: Head<'py, f32>,
    parameters: PyReadonlyArray1<'py, f32>,
    table: Table<'py, f32>,
    n_threads: Option<usize>,
) -> PyResult<[Vector<'py, f32>; 3]> {
    let (shape, options, keys) = head.parts()?;
    let problem = Problem::new(&shape, &keys, options);
    let (parameters, rows) = (parameters.as_array().to_vec(), table.rows()?);
    let found = detached(py, n_threads, None, |monitor| {
        problem.answer(&parameters, rows, monitor)
    })?;
    Ok([found.logits, found.weights, found.gate].map(|values| values.to_pyarray(py)))
}

/// Objective of all rows as one batch and its gradient, in double precision.
#[pyfunction]
fn head_slopes<'py>(
    py: Python<'py>,
    head: Head<'py, f64>,
    parameters: PyReadonlyArray1<'py, f64>,
    table: Labelled<'py, f64>,
) -> PyResult<(f64, Vector<'py, f64>)> {
    let (shape, options, keys) = head.parts()?;
    let problem = Problem::new(&shape, &keys, options);
    let (parameters, (rows, labels)) = (parameters.as_array().to_vec(), table.parts()?);
    let (loss, slopes) = detached(py, None, None, |_| {
        problem.slopes(&parameters, rows, labels)
    })?;
    Ok((loss, slopes.to_pyarray(py)))
}

/// None where all labels are equal.
#[pyfunction]
fn area_under_curve(
    scores: PyReadonlyArray1<'_, f64>,
    labels: PyReadonlyArray1<'_, bool>,
) -> PyResult<Option<f64>> {
    let (scores, labels) = (scores.as_array().to_vec(), labels.as_array().to_vec());
    if scores.len() != labels.len() {
        let sizes = format!("{} scores and {} labels", scores.len(), labels.len());
        return Err(Error::Shape(format!("{sizes}, expected as many")).into());
    }
    Ok(auc(&scores, &labels))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(head_tensors, module)?)?;
    module.add_function(wrap_pyfunction!(head_initial, module)?)?;
    module.add_function(wrap_pyfunction!(head_train, module)?)?;
    module.add_function(wrap_pyfunction!(head_answer, module)?)?;
    module.add_function(wrap_pyfunction!(head_slopes, module)?)?;
    module.add_function(wrap_pyfunction!(area_under_curve, module)?)
}
