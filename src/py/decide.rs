//! Binding of `evaluation::decide`.

use numpy::{PyArray1, PyReadonlyArray1, PyReadonlyArray2, PyReadonlyArray3, ToPyArray};
use pyo3::prelude::*;

use super::convert::to_sizes;
use super::detach::detached;
use crate::error::{Error, Result};
use crate::evaluation::decide::{
    Cell, GainModel, HelpModel, diverse_subset, risk_coverage, stacked,
};

type Numbers<'py> = Bound<'py, PyArray1<f64>>;

#[pyfunction]
fn fit_help(
    scores: PyReadonlyArray1<'_, f64>,
    helps: PyReadonlyArray1<'_, bool>,
) -> PyResult<(f64, f64)> {
    let helps = helps.as_array().to_vec();
    let model = HelpModel::fit(&scores.as_array().to_vec(), &helps)?;
    Ok((model.intercept, model.slope))
}

#[pyfunction]
fn help_probability(intercept: f64, slope: f64, score: f64) -> f64 {
    HelpModel { intercept, slope }.probability(score)
}

#[pyfunction]
fn coverage_curve<'py>(
    py: Python<'py>,
    confidence: PyReadonlyArray1<'py, f64>,
    losses: PyReadonlyArray1<'py, f64>,
) -> PyResult<(Numbers<'py>, Numbers<'py>, [f64; 3])> {
    let losses = losses.as_array().to_vec();
    let found = risk_coverage(&confidence.as_array().to_vec(), &losses)?;
    Ok((
        found.risk.to_pyarray(py),
        found.best.to_pyarray(py),
        found.area,
    ))
}

#[pyfunction]
fn pick_diverse(
    scores: PyReadonlyArray1<'_, f64>,
    closeness: PyReadonlyArray2<'_, f64>,
    k: usize,
    diversity: f64,
) -> PyResult<Vec<usize>> {
    let closeness: Vec<f64> = closeness.as_array().iter().copied().collect();
    Ok(diverse_subset(
        &scores.as_array().to_vec(),
        &closeness,
        k,
        diversity,
    )?)
}

#[pyfunction]
fn stack_predictors<'py>(
    py: Python<'py>,
    predictors: PyReadonlyArray3<'py, f64>,
    truth: PyReadonlyArray2<'py, f64>,
) -> PyResult<Numbers<'py>> {
    let pages = predictors.as_array();
    let pages: Vec<Vec<f64>> = pages
        .outer_iter()
        .map(|page| page.iter().copied().collect())
        .collect();
    let (cells, width) = (truth.as_array(), truth.as_array().ncols());
    let cells: Vec<f64> = cells.iter().copied().collect();
    Ok(stacked(&pages, &cells, width)?.to_pyarray(py))
}

/// Targets, sources and scores of cells.
type Cells<'py> = (
    PyReadonlyArray1<'py, i64>,
    PyReadonlyArray1<'py, i64>,
    PyReadonlyArray1<'py, f64>,
);

fn cells((targets, sources, scores): &Cells<'_>) -> Result<Vec<Cell>> {
    let (targets, sources) = (to_sizes(targets), to_sizes(sources));
    let scores = scores.as_array().to_vec();
    if targets.len() != scores.len() || sources.len() != scores.len() {
        return Err(Error::Shape(
            "cells: targets, sources and scores differ in length".into(),
        ));
    }
    let ends = targets.into_iter().zip(sources).zip(scores);
    Ok(ends
        .map(|((target, source), score)| Cell {
            target,
            source,
            score,
        })
        .collect())
}

#[pyfunction]
fn forecast_gains(
    py: Python<'_>,
    known: Cells<'_>,
    gains: PyReadonlyArray1<'_, f64>,
    wanted: Cells<'_>,
    best: PyReadonlyArray1<'_, f64>,
) -> PyResult<Vec<(f64, f64, f64)>> {
    let (known, gains, wanted) = (cells(&known)?, gains.as_array().to_vec(), cells(&wanted)?);
    let model = detached(py, Some(1), None, |_| GainModel::fit(known, &gains))?;
    let described = |(cell, &best)| {
        let found = model.forecast(cell);
        (found.mean, found.deviation, found.improvement(best))
    };
    Ok(wanted
        .into_iter()
        .zip(best.as_array())
        .map(described)
        .collect())
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(fit_help, module)?)?;
    module.add_function(wrap_pyfunction!(help_probability, module)?)?;
    module.add_function(wrap_pyfunction!(coverage_curve, module)?)?;
    module.add_function(wrap_pyfunction!(pick_diverse, module)?)?;
    module.add_function(wrap_pyfunction!(stack_predictors, module)?)?;
    module.add_function(wrap_pyfunction!(forecast_gains, module)?)
}
