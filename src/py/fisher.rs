//! Binding of `embeddings::{fisher, heads, sketch}`.

use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;

use super::convert::PackedTokens;
use super::detach::detached;
use crate::embeddings::fisher::{Fisher, Layout, Square, Sums};
use crate::embeddings::heads::{Head, Labels, head_fisher};
use crate::embeddings::sketch::Sketch;
use crate::error::{Error, Result};

type Floats<'py> = Bound<'py, PyArray1<f64>>;
/// (name, whole, running)
type SumArrays<'py> = (String, Floats<'py>, Floats<'py>);
type Given<'py> = (
    String,
    PyReadonlyArray1<'py, f64>,
    PyReadonlyArray1<'py, f64>,
);

/// Sums of squared gradients; `kinatlas.embeddings.FisherAccumulator` is its face.
#[pyclass(module = "kinatlas._core")]
struct FisherSums {
    inner: Fisher,
}

fn layout(shard_size: usize, rows_per_example: usize, square: &str) -> Result<Layout> {
    let square = match square {
        "each_example" => Square::EachExample,
        "batch_mean" => Square::BatchMean,
        _ => return Err(Error::UnknownName(format!("square '{square}' is unknown"))),
    };
    Ok(Layout {
        shard_size,
        rows_per_example,
        square,
    })
}

#[pymethods]
impl FisherSums {
    #[new]
    fn new(
        parameters: Vec<(String, usize)>,
        shard_size: usize,
        rows_per_example: usize,
        square: &str,
    ) -> Result<Self> {
        let layout = layout(shard_size, rows_per_example, square)?;
        Fisher::new(&parameters, layout).map(|inner| Self { inner })
    }

    #[staticmethod]
    fn restored(
        sums: Vec<Given<'_>>,
        counts: [usize; 2],
        layout: (usize, usize, String),
    ) -> PyResult<Self> {
        let layout = self::layout(layout.0, layout.1, &layout.2)?;
        let owned = |(name, whole, running): Given<'_>| {
            Ok(Sums {
                name,
                whole: whole.as_slice()?.to_vec(),
                running: running.as_slice()?.to_vec(),
            })
        };
        let sums = sums.into_iter().map(owned).collect::<PyResult<_>>()?;
        Ok(Self {
            inner: Fisher::restored(sums, counts, layout)?,
        })
    }

    #[pyo3(signature = (batch, weights=None, n_threads=None))]
    fn add(
        &mut self,
        py: Python<'_>,
        batch: Vec<PackedTokens<'_>>,
        weights: Option<PyReadonlyArray1<'_, f64>>,
        n_threads: Option<usize>,
    ) -> PyResult<()> {
        let views = batch
            .iter()
            .map(PackedTokens::view)
            .collect::<Result<Vec<_>>>()?;
        let weights = weights
            .as_ref()
            .map(|weights| weights.as_slice())
            .transpose()?;
        let inner = &mut self.inner;
        detached(py, n_threads, None, |monitor| {
            inner.add(&views, weights, monitor)
        })
    }

    fn merge(&mut self, later: &Self) -> Result<()> {
        self.inner.merge(&later.inner)
    }

    fn counts(&self) -> [usize; 2] {
        self.inner.counts()
    }

    fn sums<'py>(&self, py: Python<'py>) -> Vec<SumArrays<'py>> {
        let arrays = |sums: &Sums| {
            let whole = PyArray1::from_slice(py, &sums.whole);
            (
                sums.name.clone(),
                whole,
                PyArray1::from_slice(py, &sums.running),
            )
        };
        self.inner.sums().iter().map(arrays).collect()
    }

    fn mean<'py>(&self, py: Python<'py>) -> Result<Vec<Floats<'py>>> {
        let means = self.inner.mean()?;
        Ok(means
            .into_iter()
            .map(|mean| mean.into_pyarray(py))
            .collect())
    }
}

/// (head, noise variance)
fn head(name: &str, variance: f64) -> Result<Head> {
    match name {
        "softmax" => Ok(Head::Softmax),
        "logistic" => Ok(Head::Logistic),
        "linear" => Ok(Head::Linear(variance)),
        _ => Err(Error::UnknownName(format!("head '{name}' is unknown"))),
    }
}

#[pyfunction]
#[pyo3(signature = (features, outputs, head, labels=None, draws=None, n_threads=None))]
fn fisher_of_head<'py>(
    py: Python<'py>,
    features: PackedTokens<'py>,
    outputs: PyReadonlyArray1<'py, f64>,
    head: (String, f64),
    labels: Option<PyReadonlyArray1<'py, f64>>,
    draws: Option<(usize, u64)>,
    n_threads: Option<usize>,
) -> PyResult<Floats<'py>> {
    let (view, outputs, head) = (
        features.view()?,
        outputs.as_slice()?,
        self::head(&head.0, head.1)?,
    );
    let gold = labels
        .as_ref()
        .map(|labels| labels.as_slice())
        .transpose()?;
    let drawn = draws.map(|(count, seed)| Labels::MonteCarlo(count, seed));
    let labels = drawn.or(gold.map(Labels::Gold)).unwrap_or(Labels::Exact);
    let found = detached(py, n_threads, None, |_| {
        head_fisher(&view.widen(), outputs, head, labels)
    })?;
    Ok(found.into_pyarray(py))
}

#[pyfunction]
fn sketch_vector<'py>(
    py: Python<'py>,
    values: PyReadonlyArray1<'py, f64>,
    dim: usize,
    seed: u64,
) -> PyResult<Floats<'py>> {
    let (sketch, values) = (Sketch::new(seed, dim)?, values.as_slice()?);
    let mut projection = vec![0.0; dim];
    py.detach(|| sketch.add(0, values, &mut projection));
    Ok(projection.into_pyarray(py))
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<FisherSums>()?;
    module.add_function(wrap_pyfunction!(fisher_of_head, module)?)?;
    module.add_function(wrap_pyfunction!(sketch_vector, module)?)
}
