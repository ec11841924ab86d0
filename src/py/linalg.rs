//! Binding of what measurements need to know about `linalg::simd`.

use pyo3::prelude::*;

use super::detach::detached;
use crate::linalg::simd::{Path, peak};

/// GFLOP/s of all threads together with nothing but products in registers; None where unknown.
#[pyfunction]
#[pyo3(name = "_fma_peak", signature = (rounds, n_threads=None, *, is_bf16=false))]
fn fma_peak(
    py: Python<'_>,
    rounds: usize,
    n_threads: Option<usize>,
    is_bf16: bool,
) -> PyResult<Option<f64>> {
    let path = if is_bf16 {
        Path::for_bf16()?
    } else {
        Path::chosen()?
    };
    detached(py, n_threads, None, |_| {
        let peaks = rayon::broadcast(|_| peak(path, rounds));
        Ok(peaks.into_iter().sum())
    })
}

// A name and all names.
type Paths = (&'static str, Vec<&'static str>);

/// The path in use and all that this processor has; the same for tokens rounded to bfloat16, and for
/// screens, with what is for them alone.
#[pyfunction]
#[pyo3(name = "_simd_paths")]
fn simd_paths() -> PyResult<(Paths, Paths, Paths)> {
    let named = |path: Path, paths: Vec<Path>| {
        let names = paths.into_iter().map(Path::name).collect();
        (path.name(), names)
    };
    Ok((
        named(Path::chosen()?, Path::all()),
        named(Path::for_bf16()?, Path::in_pairs()),
        named(Path::for_screens()?, Path::in_quads()),
    ))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(fma_peak, module)?)?;
    module.add_function(wrap_pyfunction!(simd_paths, module)?)
}
