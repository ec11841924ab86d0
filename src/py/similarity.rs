//! Binding of `similarity`.

use numpy::{PyArray1, PyReadonlyArray2, ToPyArray};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::convert::PackedTokens;
use super::detach::detached;
use crate::error::{Error, Result};
use crate::similarity::{
    self, About, Alignment, Centre, Decision, Direction, Kernel, Method, Normalize, Origin,
    Precision, Question, Settings, Single,
};

/// kernel, direction, normalize or None, k, temperature, precision, method
#[derive(FromPyObject)]
pub struct Options(
    pub String,
    String,
    Option<String>,
    usize,
    f64,
    String,
    String,
);

impl Options {
    pub fn asking(self, center: Option<Center<'_>>, inspects: bool) -> Result<Question> {
        let settings = Settings {
            kernel: Kernel::named(&self.0)?,
            direction: Direction::named(&self.1)?,
            k: self.3,
            temperature: self.4,
        };
        let normalize = match self.2.as_deref() {
            None => Normalize::Nothing,
            Some("tokens") => Normalize::Tokens,
            Some(name) => return Err(Error::UnknownName(format!("normalize '{name}' is unknown"))),
        };
        Ok(Question {
            settings,
            normalize,
            origin: origin(center)?,
            precision: Precision::named(&self.5)?,
            method: Method::named(&self.6)?,
            inspects,
        })
    }
}

/// None, a word, or tokens [n_tokens, dim]
#[derive(FromPyObject)]
pub enum Center<'py> {
    Word(String),
    Given(PyReadonlyArray2<'py, f64>),
}

pub fn origin(center: Option<Center<'_>>) -> Result<Origin> {
    Ok(match center {
        None => Origin::Fixed(Centre::Nothing),
        Some(Center::Given(rows)) => {
            Origin::Fixed(Centre::Given(rows.as_array().iter().copied().collect()))
        }
        Some(Center::Word(word)) => match word.as_str() {
            "auto" => Origin::Auto,
            "features" => Origin::Fixed(Centre::Features),
            "positions" => Origin::Fixed(Centre::Positions),
            _ => return Err(Error::UnknownName(format!("center '{word}' is unknown"))),
        },
    })
}

pub type Numbers = (Option<f64>, Option<f64>, Option<f64>, usize);

fn numbers(seen: &Alignment) -> Numbers {
    let (mean, median) = (seen.diagonal_fraction, seen.median_diagonal_fraction);
    (mean, median, seen.position_share, seen.n_pairs)
}

pub fn decided(decision: Decision) -> (bool, String, Numbers) {
    let centred = decision.centre == Centre::Positions;
    (centred, decision.reason, numbers(&decision.alignment))
}

/// Scores; why "auto" centred or not; what the prompts look like; what is known of `f32`.
type Compared<'py> = (
    Bound<'py, PyArray1<f64>>,
    Option<(bool, String, Numbers)>,
    Option<Numbers>,
    Option<Single>,
);

#[pyfunction]
#[pyo3(signature = (sources, targets, options, center=None, n_threads=None, progress=None, inspects=true))]
fn compare_tokens<'py>(
    py: Python<'py>,
    sources: PackedTokens<'py>,
    targets: Option<PackedTokens<'py>>,
    options: Options,
    center: Option<Center<'py>>,
    n_threads: Option<usize>,
    progress: Option<Bound<'py, PyAny>>,
    inspects: bool,
) -> PyResult<Compared<'py>> {
    let question = options.asking(center, inspects)?;
    let sources = sources.view()?;
    let targets = targets.as_ref().map(PackedTokens::view).transpose()?;
    let found = detached(py, n_threads, progress.as_ref(), |monitor| {
        similarity::compare(sources, targets, &question, monitor)
    })?;
    let seen = found.alignment.as_ref().map(numbers);
    Ok((
        found.scores.to_pyarray(py),
        found.decision.map(decided),
        seen,
        found.single,
    ))
}

#[pyfunction]
fn centred_tokens<'py>(
    py: Python<'py>,
    tokens: PackedTokens<'py>,
    center: Center<'py>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let Origin::Fixed(centre) = origin(Some(center))? else {
        return Err(
            Error::UnknownName("center 'auto' only chooses, it has no origin".into()).into(),
        );
    };
    let view = tokens.view()?;
    let moved = detached(py, None, None, |_| similarity::centred(&view, &centre))?;
    Ok(moved.to_pyarray(py))
}

#[pyfunction]
fn score_spreads(
    scores: PyReadonlyArray2<'_, f64>,
    own: Vec<Option<usize>>,
) -> Vec<(usize, f64, f64)> {
    let rows = scores.as_array();
    let spreads = rows.rows().into_iter().zip(own).map(|(row, own)| {
        let seen = similarity::spread(&row.to_vec(), own);
        (seen.count, seen.low, seen.high)
    });
    spreads.collect()
}

#[pyfunction]
#[pyo3(signature = (spreads, range=None))]
fn score_saturation(
    spreads: Vec<(usize, f64, f64)>,
    range: Option<(f64, f64)>,
) -> (Option<f64>, Vec<usize>) {
    let rows = spreads.into_iter();
    let rows: Vec<_> = rows
        .map(|(count, low, high)| similarity::Spread { count, low, high })
        .collect();
    let found = similarity::saturation(&rows, range);
    (found.saturation, found.constant_rows)
}

#[pyfunction]
fn kernels(py: Python<'_>) -> PyResult<Vec<Bound<'_, PyDict>>> {
    Kernel::ALL
        .iter()
        .map(|kernel| described(py, kernel.about()))
        .collect()
}

fn described<'py>(py: Python<'py>, about: &About) -> PyResult<Bound<'py, PyDict>> {
    let row = PyDict::new(py);
    row.set_item("name", about.name)?;
    row.set_item("formula", about.formula)?;
    row.set_item("summary", about.summary)?;
    row.set_item("range", about.range)?;
    row.set_item("symmetric", about.symmetric)?;
    row.set_item("scale_free", about.scale_free)?;
    row.set_item("order_free", about.order_free)?;
    row.set_item("needs_equal_length", about.needs_equal_length)?;
    row.set_item("seeks_partners", about.seeks_partners)?;
    row.set_item("parameters", about.parameters.to_vec())?;
    Ok(row)
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(compare_tokens, module)?)?;
    module.add_function(wrap_pyfunction!(centred_tokens, module)?)?;
    module.add_function(wrap_pyfunction!(score_spreads, module)?)?;
    module.add_function(wrap_pyfunction!(score_saturation, module)?)?;
    module.add_function(wrap_pyfunction!(kernels, module)?)
}
