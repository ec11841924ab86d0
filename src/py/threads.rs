//! Binding of `threads`.

use pyo3::prelude::*;

use crate::threads;

#[pyfunction]
#[pyo3(signature = (n_threads=None))]
fn set_num_threads(n_threads: Option<usize>) -> PyResult<()> {
    Ok(threads::set_num_threads(n_threads)?)
}

#[pyfunction]
fn num_threads() -> PyResult<usize> {
    Ok(threads::num_threads()?)
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(set_num_threads, module)?)?;
    module.add_function(wrap_pyfunction!(num_threads, module)?)
}
