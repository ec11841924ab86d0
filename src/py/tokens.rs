//! Binding of `tokens`.

use pyo3::prelude::*;

use super::convert::PackedTokens;

#[pyfunction]
fn first_nonfinite(
    py: Python<'_>,
    tokens: PackedTokens<'_>,
) -> PyResult<Option<(usize, usize, usize)>> {
    let view = tokens.view()?;
    Ok(py.detach(|| view.first_nonfinite()))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(first_nonfinite, module)?)
}
