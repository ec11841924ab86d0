//! Binding of `superposition`: the geometry of hidden states.

use numpy::{PyArray1, PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods, ToPyArray};
use pyo3::prelude::*;

use super::detach::detached;
use crate::error::{Error, Result};
use crate::superposition::coordinate::coordinates;
use crate::superposition::decomposition::{Replicates, decompose};
use crate::superposition::discriminant::{Discriminant, fit};
use crate::superposition::metric::Whitening;
use crate::superposition::permutation::permutation_test;
use crate::superposition::rows::Rows;

type Floats<'py> = Bound<'py, PyArray1<f64>>;
type Sets<'py> = Vec<PyReadonlyArray2<'py, f64>>;

fn rows<'a>(array: &'a PyReadonlyArray2<'_, f64>) -> Result<Rows<'a>> {
    let values = array
        .as_slice()
        .map_err(|_| Error::Shape("states: the array must be C-contiguous".into()))?;
    Rows::new(values, array.shape()[1])
}

fn settings_of(replicates: (usize, usize, f64, u64)) -> Replicates {
    let (n_replicates, n_splits, confidence, seed) = replicates;
    Replicates {
        n_replicates,
        n_splits,
        confidence,
        seed,
    }
}

fn all_rows<'a>(sets: &'a Sets<'_>) -> Result<Vec<Rows<'a>>> {
    sets.iter().map(rows).collect()
}

#[pyfunction]
#[pyo3(signature = (pure, mixture, shares, replicates, n_threads=None, progress=None))]
fn superposition_decomposition<'py>(
    py: Python<'py>,
    pure: Sets<'py>,
    mixture: PyReadonlyArray2<'py, f64>,
    shares: Vec<f64>,
    replicates: (usize, usize, f64, u64),
    n_threads: Option<usize>,
    progress: Option<Bound<'py, PyAny>>,
) -> PyResult<([Floats<'py>; 3], f64, f64, f64)> {
    let settings = settings_of(replicates);
    let (sets, mixed) = (all_rows(&pure)?, rows(&mixture)?);
    let job = |monitor: &_| decompose(&sets, mixed, &shares, settings, monitor);
    let found = detached(py, n_threads, progress.as_ref(), job)?;
    let tables = found.estimate.map(|row| row.to_pyarray(py));
    Ok((
        tables,
        found.floor,
        found.condition_number,
        found.max_cosine,
    ))
}

#[pyfunction]
#[pyo3(signature = (scores, seed, n_threads=None))]
fn superposition_permutations(
    py: Python<'_>,
    scores: PyReadonlyArray2<'_, f64>,
    seed: u64,
    n_threads: Option<usize>,
) -> PyResult<(f64, f64, usize)> {
    let n_mixtures = scores.shape()[0];
    let values: Vec<f64> = scores.as_array().iter().copied().collect();
    let job = |monitor: &_| permutation_test(&values, n_mixtures, seed, monitor);
    detached(py, n_threads, None, job)
}

#[pyfunction]
fn superposition_coordinates<'py>(
    py: Python<'py>,
    states: PyReadonlyArray2<'py, f64>,
    first: PyReadonlyArray1<'py, f64>,
    second: PyReadonlyArray1<'py, f64>,
) -> PyResult<(Floats<'py>, [f64; 3])> {
    let (first, second) = (first.as_array().to_vec(), second.as_array().to_vec());
    let (values, summary) = coordinates(rows(&states)?, &first, &second)?;
    Ok((values.to_pyarray(py), summary))
}

#[pyfunction]
#[pyo3(signature = (pure, sets, n_threads=None))]
fn superposition_whitened<'py>(
    py: Python<'py>,
    pure: Sets<'py>,
    sets: Sets<'py>,
    n_threads: Option<usize>,
) -> PyResult<(Vec<Floats<'py>>, f64)> {
    let (fitted, applied) = (all_rows(&pure)?, all_rows(&sets)?);
    let (white, shrinkage) = detached(py, n_threads, None, |_| {
        let whitening = Whitening::new(&fitted)?;
        let white: Vec<Vec<f64>> = applied.iter().map(|set| whitening.apply(*set)).collect();
        Ok((white, whitening.shrinkage))
    })?;
    Ok((
        white.iter().map(|set| set.to_pyarray(py)).collect(),
        shrinkage,
    ))
}

/// Shrinkage, centre [dim], projection [dim, n_axes] and centroids [n_tasks, n_axes].
#[pyfunction]
#[pyo3(signature = (pure, n_threads=None))]
fn superposition_discriminant<'py>(
    py: Python<'py>,
    pure: Sets<'py>,
    n_threads: Option<usize>,
) -> PyResult<(f64, Floats<'py>, Floats<'py>, Floats<'py>)> {
    let sets = all_rows(&pure)?;
    let found = detached(py, n_threads, None, |_| fit(&sets))?;
    let arrays = [found.centre, found.projection, found.centroids].map(|row| row.to_pyarray(py));
    let [centre, projection, centroids] = arrays;
    Ok((found.shrinkage, centre, projection, centroids))
}

#[pyfunction]
fn superposition_placed<'py>(
    py: Python<'py>,
    states: PyReadonlyArray2<'py, f64>,
    plane: (Vec<f64>, Vec<f64>, Vec<f64>),
) -> PyResult<(Floats<'py>, Bound<'py, PyArray1<i64>>)> {
    let (centre, projection, centroids) = plane;
    let n_axes = projection.len() / centre.len().max(1);
    let plane = Discriminant {
        centre,
        projection,
        centroids,
        shrinkage: f64::NAN,
        n_axes,
    };
    let (coordinates, nearest) = plane.place(rows(&states)?);
    Ok((coordinates.to_pyarray(py), nearest.to_pyarray(py)))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(superposition_decomposition, module)?)?;
    module.add_function(wrap_pyfunction!(superposition_permutations, module)?)?;
    module.add_function(wrap_pyfunction!(superposition_coordinates, module)?)?;
    module.add_function(wrap_pyfunction!(superposition_whitened, module)?)?;
    module.add_function(wrap_pyfunction!(superposition_discriminant, module)?)?;
    module.add_function(wrap_pyfunction!(superposition_placed, module)?)
}
