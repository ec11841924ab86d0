//! Binding of the prompt algebra of `composition`.

use numpy::{PyArray1, PyReadonlyArray1, ToPyArray};
use pyo3::prelude::*;

use crate::composition::{Factors, Sources, Values, attend, attend_slopes, canonical};

type Numbers<'py> = PyReadonlyArray1<'py, f64>;
type Vector<'py> = Bound<'py, PyArray1<f64>>;

/// Numbers, sources, rows of weights, and whether every row has values of its own.
#[derive(FromPyObject)]
struct Mixed<'py>(Numbers<'py>, usize, usize, bool);

impl Mixed<'_> {
    fn parts(&self) -> (Vec<f64>, Values) {
        let kind = if self.3 { Values::ByRow } else { Values::Alike };
        (self.0.as_array().to_vec(), kind)
    }
}

#[pyfunction]
fn mix_sources<'py>(
    py: Python<'py>,
    values: Mixed<'py>,
    weights: Numbers<'py>,
) -> PyResult<Vector<'py>> {
    let (numbers, kind) = values.parts();
    let sources = Sources::new(&numbers, kind, values.1, values.2)?;
    Ok(sources.mix(&weights.as_array().to_vec())?.to_pyarray(py))
}

#[pyfunction]
fn mix_slopes<'py>(
    py: Python<'py>,
    values: Mixed<'py>,
    upstream: Numbers<'py>,
) -> PyResult<Vector<'py>> {
    let (numbers, kind) = values.parts();
    let sources = Sources::new(&numbers, kind, values.1, values.2)?;
    Ok(sources
        .slopes(&upstream.as_array().to_vec())?
        .to_pyarray(py))
}

#[pyfunction]
fn attention_weights<'py>(
    py: Python<'py>,
    queries: Numbers<'py>,
    keys: Numbers<'py>,
    dim: usize,
    sharpness: f64,
) -> PyResult<Vector<'py>> {
    let (queries, keys) = (queries.as_array().to_vec(), keys.as_array().to_vec());
    Ok(attend(&queries, &keys, dim, sharpness)?.to_pyarray(py))
}

#[pyfunction]
fn attention_slopes<'py>(
    py: Python<'py>,
    weights: Numbers<'py>,
    flow: Numbers<'py>,
    keys: Numbers<'py>,
    dim: usize,
    sharpness: f64,
) -> PyResult<Vector<'py>> {
    let [weights, flow, keys] = [weights, flow, keys].map(|values| values.as_array().to_vec());
    Ok(attend_slopes(&weights, &flow, &keys, dim, sharpness)?.to_pyarray(py))
}

#[pyfunction]
fn hadamard_prompt<'py>(
    py: Python<'py>,
    shared: Numbers<'py>,
    columns: Numbers<'py>,
    rows: Numbers<'py>,
    n_ranks: usize,
) -> PyResult<Vector<'py>> {
    let [shared, columns, rows] = [shared, columns, rows].map(|values| values.as_array().to_vec());
    let factors = Factors::new(&columns, &rows, n_ranks)?;
    Ok(factors.prompt(&shared)?.to_pyarray(py))
}

#[pyfunction]
#[pyo3(signature = (first, second, n_ranks, shared=None))]
fn hadamard_inner<'py>(
    first: (Numbers<'py>, Numbers<'py>),
    second: (Numbers<'py>, Numbers<'py>),
    n_ranks: usize,
    shared: Option<Numbers<'py>>,
) -> PyResult<f64> {
    let all = [first.0, first.1, second.0, second.1];
    let [a, b, c, d] = all.map(|values| values.as_array().to_vec());
    let shared = shared.map(|values| values.as_array().to_vec());
    let second = Factors::new(&c, &d, n_ranks)?;
    Ok(Factors::new(&a, &b, n_ranks)?.inner(&second, shared.as_deref())?)
}

#[pyfunction]
fn hadamard_canonical<'py>(
    py: Python<'py>,
    columns: Numbers<'py>,
    rows: Numbers<'py>,
    n_ranks: usize,
) -> PyResult<(Vector<'py>, Vector<'py>)> {
    let (columns, rows) = (columns.as_array().to_vec(), rows.as_array().to_vec());
    let (columns, rows) = canonical(&columns, &rows, n_ranks)?;
    Ok((columns.to_pyarray(py), rows.to_pyarray(py)))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(mix_sources, module)?)?;
    module.add_function(wrap_pyfunction!(mix_slopes, module)?)?;
    module.add_function(wrap_pyfunction!(attention_weights, module)?)?;
    module.add_function(wrap_pyfunction!(attention_slopes, module)?)?;
    module.add_function(wrap_pyfunction!(hadamard_prompt, module)?)?;
    module.add_function(wrap_pyfunction!(hadamard_inner, module)?)?;
    module.add_function(wrap_pyfunction!(hadamard_canonical, module)?)
}
