//! Binding of `transferability`.

use numpy::PyReadonlyArray1;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::convert::{PackedTokens, to_sizes};
use super::detach::detached;
use crate::error::Result;
use crate::transferability::{Classes, Covariance, Features, Method, Options, score_cells};

/// Inputs of one source for one target, and one class number an example.
type Cell<'py> = (PackedTokens<'py>, PyReadonlyArray1<'py, i64>);

/// Neighbours, distortion, temperature and the shape of a class.
#[derive(FromPyObject)]
struct Chosen(usize, f64, f64, String);

impl Chosen {
    fn options(&self) -> Result<Options> {
        Ok(Options {
            k: self.0,
            epsilon: self.1,
            temperature: self.2,
            covariance: Covariance::from_name(&self.3)?,
        })
    }
}

fn widened(cells: &[Cell<'_>]) -> Result<Vec<(Features, Classes)>> {
    let widened = cells.iter().map(|(inputs, labels)| {
        let tokens = inputs.view()?.widen();
        let features = Features::new(tokens.buffer, tokens.dim)?;
        Ok((features, Classes::new(&to_sizes(labels))?))
    });
    widened.collect()
}

#[pyfunction]
#[pyo3(signature = (cells, method, options, n_threads=None, progress=None))]
fn transferability_scores(
    py: Python<'_>,
    cells: Vec<Cell<'_>>,
    method: &str,
    options: Chosen,
    n_threads: Option<usize>,
    progress: Option<Bound<'_, PyAny>>,
) -> PyResult<Vec<f64>> {
    let (method, options) = (Method::from_name(method)?, options.options()?);
    let cells = widened(&cells)?;
    detached(py, n_threads, progress.as_ref(), |monitor| {
        score_cells(method, &cells, &options, monitor)
    })
}

#[pyfunction]
fn transferability_methods(py: Python<'_>) -> PyResult<Vec<Bound<'_, PyDict>>> {
    let described = |method: &Method| {
        let (row, about) = (PyDict::new(py), method.about());
        row.set_item("name", about.name)?;
        row.set_item("formula", about.formula)?;
        row.set_item("summary", about.summary)?;
        row.set_item("needs", about.needs.name())?;
        row.set_item("range", about.range)?;
        row.set_item("scale_free", about.scale_free)?;
        row.set_item("rotation_free", about.rotation_free)?;
        row.set_item("translation_free", about.translation_free)?;
        row.set_item("options", about.options.to_vec())?;
        row.set_item("source", about.source)?;
        Ok(row)
    };
    Method::ALL.iter().map(described).collect()
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(transferability_scores, module)?)?;
    module.add_function(wrap_pyfunction!(transferability_methods, module)?)
}
