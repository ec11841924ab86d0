//! Binding of `similarity::low_rank`.

use half::f16;
use numpy::{IntoPyArray, PyArray2, PyArray3, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;

use super::detach::detached;
use crate::error::{Error, Result};
use crate::linalg::simd::Path;
use crate::similarity::low_rank::{self, Asked, Factors, Numbers, Score};

/// A factor as it crosses from Python.
#[derive(FromPyObject)]
pub enum Matrix<'py> {
    F32(PyReadonlyArray2<'py, f32>),
    F64(PyReadonlyArray2<'py, f64>),
    F16(PyReadonlyArray2<'py, f16>),
}

impl Matrix<'_> {
    fn view(&self) -> Result<(Numbers<'_>, [usize; 2])> {
        let refused = |_| Error::Shape("factors must be C-contiguous".into());
        let (numbers, shape) = match self {
            Matrix::F16(array) => (array.as_slice().map(Numbers::F16), array.shape()),
            Matrix::F32(array) => (array.as_slice().map(Numbers::F32), array.shape()),
            Matrix::F64(array) => (array.as_slice().map(Numbers::F64), array.shape()),
        };
        Ok((numbers.map_err(refused)?, [shape[0], shape[1]]))
    }
}

/// Per task, per module: A `[rank, n_in]`, B `[n_out, rank]` and the scale, or None.
pub type Tasks<'py> = Vec<Vec<Option<(Matrix<'py>, Matrix<'py>, f64)>>>;

pub fn view<'a>(tasks: &'a Tasks<'_>) -> Result<Vec<Vec<Option<Factors<'a>>>>> {
    let views = tasks.iter().map(|task| {
        let views = task
            .iter()
            .map(|module| module.as_ref().map(factors).transpose());
        views.collect()
    });
    views.collect()
}

fn factors<'a>((a, b, scale): &'a (Matrix<'_>, Matrix<'_>, f64)) -> Result<Factors<'a>> {
    let (a, [rank, n_in]) = a.view()?;
    let (b, [n_out, rank_of_b]) = b.view()?;
    if rank != rank_of_b {
        return Err(Error::Shape(format!(
            "A has rank {rank}, B has rank {rank_of_b}"
        )));
    }
    let sizes = [rank, n_in, n_out];
    Ok(Factors {
        a,
        b,
        sizes,
        scale: *scale,
    })
}

fn asked(kernel: &str, precision: &str) -> Result<Asked> {
    let score = Score::from_name(kernel)?;
    match precision {
        "float64" => Ok(Asked::of(score)),
        "float32" => Ok(Asked {
            score,
            single: Some(Path::chosen()?),
        }),
        _ => Err(Error::UnknownName(format!(
            "precision '{precision}': low-rank updates know 'float64' and 'float32'"
        ))),
    }
}

#[pyfunction]
#[pyo3(signature = (targets, sources, kernel, n_threads=None, progress=None, precision="float64"))]
fn low_rank_matrix<'py>(
    py: Python<'py>,
    targets: Tasks<'py>,
    sources: Option<Tasks<'py>>,
    kernel: &str,
    n_threads: Option<usize>,
    progress: Option<Bound<'py, PyAny>>,
    precision: &str,
) -> PyResult<Bound<'py, PyArray2<f64>>> {
    let asked = asked(kernel, precision)?;
    let (targets, sources) = (view(&targets)?, sources.as_ref().map(view).transpose()?);
    let scores = detached(py, n_threads, progress.as_ref(), |monitor| {
        low_rank::matrix(&targets, sources.as_deref(), asked, monitor)
    })?;
    Ok(scores.into_pyarray(py))
}

#[pyfunction]
#[pyo3(signature = (targets, sources, kernel, n_threads=None, progress=None, precision="float64"))]
fn low_rank_modules<'py>(
    py: Python<'py>,
    targets: Tasks<'py>,
    sources: Option<Tasks<'py>>,
    kernel: &str,
    n_threads: Option<usize>,
    progress: Option<Bound<'py, PyAny>>,
    precision: &str,
) -> PyResult<Bound<'py, PyArray3<f64>>> {
    let asked = asked(kernel, precision)?;
    let (targets, sources) = (view(&targets)?, sources.as_ref().map(view).transpose()?);
    let scores = detached(py, n_threads, progress.as_ref(), |monitor| {
        low_rank::modules(&targets, sources.as_deref(), asked, monitor)
    })?;
    Ok(scores.into_pyarray(py))
}

#[pyfunction]
fn low_rank_kernels() -> Vec<&'static str> {
    low_rank::SCORES.iter().map(|(name, _)| *name).collect()
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(low_rank_kernels, module)?)?;
    module.add_function(wrap_pyfunction!(low_rank_matrix, module)?)?;
    module.add_function(wrap_pyfunction!(low_rank_modules, module)?)
}
