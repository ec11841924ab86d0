//! Binding of `similarity` for one block of a large comparison: the frame first, once for all
//! blocks, then the scores of any rows and columns.

use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1, PyReadonlyArray2, ToPyArray};
use pyo3::prelude::*;

use super::convert::{PackedTokens, to_sizes};
use super::detach::detached;
use super::similarity::{Center, Numbers, Options, decided, origin};
use crate::error::Error;
use crate::similarity::{
    Frame, Origin, decide, is_single, longest, mean_of_sums, part, token_sums,
};

/// Rows, one after the other, and how many rows were averaged into each.
type Parts<'py> = (Bound<'py, PyArray1<f64>>, Bound<'py, PyArray1<i64>>);

/// Scores; error bound and path of `f32`.
type Scored<'py> = (Bound<'py, PyArray1<f64>>, Option<(f64, &'static str)>);

#[pyfunction]
#[pyo3(signature = (sources, center=None))]
fn fit_frame<'py>(
    py: Python<'py>,
    sources: PackedTokens<'py>,
    center: Option<Center<'py>>,
) -> PyResult<Parts<'py>> {
    let Origin::Fixed(centre) = origin(center)? else {
        return Err(Error::UnknownName("center 'auto' has to be decided first".into()).into());
    };
    let view = sources.view()?;
    let frame = detached(py, None, None, |_| Frame::fit(&centre, &view))?;
    let counts: Vec<i64> = frame.parts().1.iter().map(|&count| count as i64).collect();
    Ok((frame.parts().0.to_pyarray(py), counts.to_pyarray(py)))
}

/// The sum of the tokens of every task [n_tasks * dim].
#[pyfunction]
fn sum_tokens<'py>(
    py: Python<'py>,
    sources: PackedTokens<'py>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let view = sources.view()?;
    let sums = detached(py, None, None, |_| Ok(token_sums(&view)))?;
    Ok(sums.into_pyarray(py))
}

/// The mean token of sums [n_tasks, dim] over so many tokens.
#[pyfunction]
fn mean_token<'py>(
    py: Python<'py>,
    sums: PyReadonlyArray2<'py, f64>,
    n_tokens: usize,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let (dim, values) = (sums.as_array().ncols(), sums.as_slice()?);
    let mean = detached(py, None, None, |_| Ok(mean_of_sums(values, dim, n_tokens)))?;
    Ok(mean.into_pyarray(py))
}

#[pyfunction]
#[pyo3(signature = (sources, targets=None))]
fn decide_center(
    py: Python<'_>,
    sources: PackedTokens<'_>,
    targets: Option<PackedTokens<'_>>,
) -> PyResult<(bool, String, Numbers)> {
    let sources = sources.view()?;
    let targets = targets.as_ref().map(PackedTokens::view).transpose()?;
    let decision = detached(py, None, None, |monitor| {
        let longest = targets.map(|targets| longest(targets.offsets()));
        decide(&sources, longest, monitor)
    })?;
    Ok(decided(decision))
}

#[pyfunction]
#[pyo3(signature = (sources, targets, options, frame, n_threads=None))]
fn block_scores<'py>(
    py: Python<'py>,
    sources: PackedTokens<'py>,
    targets: Option<PackedTokens<'py>>,
    options: Options,
    frame: (PyReadonlyArray1<'py, f64>, PyReadonlyArray1<'py, i64>),
    n_threads: Option<usize>,
) -> PyResult<Scored<'py>> {
    let question = options.asking(None, false)?;
    let sources = sources.view()?;
    let targets = targets.as_ref().map(PackedTokens::view).transpose()?;
    let (rows, counts) = (frame.0.as_array().to_vec(), to_sizes(&frame.1));
    let (scores, single) = detached(py, n_threads, None, |monitor| {
        let frame = Frame::fitted(rows, sources.dim(), counts)?;
        part(sources, targets, &frame, &question, monitor)
    })?;
    let single = single.map(|(bound, simd, _)| (bound, simd));
    Ok((scores.into_pyarray(py), single))
}

/// Whether tokens will be multiplied in float32.
#[pyfunction]
fn multiplies_in_float32(
    sources: PackedTokens<'_>,
    targets: PackedTokens<'_>,
    options: Options,
) -> PyResult<bool> {
    let question = options.asking(None, false)?;
    Ok(is_single(
        &question,
        sources.view()?,
        Some(targets.view()?),
    )?)
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(fit_frame, module)?)?;
    module.add_function(wrap_pyfunction!(sum_tokens, module)?)?;
    module.add_function(wrap_pyfunction!(mean_token, module)?)?;
    module.add_function(wrap_pyfunction!(decide_center, module)?)?;
    module.add_function(wrap_pyfunction!(multiplies_in_float32, module)?)?;
    module.add_function(wrap_pyfunction!(block_scores, module)?)
}
