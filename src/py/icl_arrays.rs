//! Arrays of `icl` in both directions.

use faer::{Col, Mat, MatRef};
use ndarray::Array2;
use numpy::{
    IntoPyArray, PyArray1, PyArray2, PyArray3, PyArray4, PyArrayMethods, PyReadonlyArray1,
    PyReadonlyArray2, PyReadonlyArray3, ToPyArray,
};
use pyo3::prelude::*;

use crate::error::{Error, Result};
use crate::icl::gradient::RawLayer;
use crate::icl::matrices::{from_rows, to_rows, to_vec};
use crate::icl::mixture::Mixture;
use crate::icl::predictor::Predictor;
use crate::icl::weights::AttentionWeights;

pub type Vector<'py> = Bound<'py, PyArray1<f64>>;
pub type Matrix<'py> = Bound<'py, PyArray2<f64>>;

/// Weights `[n_tasks]`, means `[n_tasks, dim]`, covariances `[n_tasks, dim, dim]`, input
/// covariances `[1 or n_tasks, dim, dim]`, noise variances `[1 or n_tasks]`.
#[derive(FromPyObject)]
pub struct MixtureArrays<'py>(
    PyReadonlyArray1<'py, f64>,
    PyReadonlyArray2<'py, f64>,
    PyReadonlyArray3<'py, f64>,
    PyReadonlyArray3<'py, f64>,
    PyReadonlyArray1<'py, f64>,
);

impl MixtureArrays<'_> {
    /// The checked mixture.
    pub fn mixture(&self) -> Result<Mixture> {
        Mixture::new(
            self.0.as_array().to_vec(),
            columns(&self.1),
            matrices(&self.2),
            matrices(&self.3),
            self.4.as_array().to_vec(),
        )
    }
}

/// Preconditioner `[dim, dim]`, scales `[n_tasks]`, shifts and biases `[n_tasks, dim]`.
#[derive(FromPyObject)]
pub struct PredictorArrays<'py>(
    PyReadonlyArray2<'py, f64>,
    PyReadonlyArray1<'py, f64>,
    PyReadonlyArray2<'py, f64>,
    PyReadonlyArray2<'py, f64>,
);

impl PredictorArrays<'_> {
    /// The predictor, if it fits the mixture.
    pub fn predictor(&self, mixture: &Mixture) -> Result<Predictor> {
        let predictor = Predictor {
            preconditioner: matrix(&self.0),
            scales: self.1.as_array().to_vec(),
            shifts: columns(&self.2),
            biases: columns(&self.3),
        };
        let (dim, n_tasks) = (mixture.dim(), mixture.n_tasks());
        let is_square = predictor.preconditioner.shape() == (dim, dim);
        let fits = |list: &[Col<f64>]| {
            list.len() == n_tasks && list.iter().all(|column| column.nrows() == dim)
        };
        if !is_square
            || predictor.scales.len() != n_tasks
            || !fits(&predictor.shifts)
            || !fits(&predictor.biases)
        {
            return Err(Error::Shape(format!(
                "the predictor does not fit the mixture, expected W [{dim}, {dim}], scales \
                 [{n_tasks}], shifts and biases [{n_tasks}, {dim}]"
            )));
        }
        Ok(predictor)
    }
}

/// Query, key and value `[dim + 1, dim + 1]`, prompts and heads `[n_tasks, dim + 1]`.
#[derive(FromPyObject)]
pub struct WeightArrays<'py>(
    PyReadonlyArray2<'py, f64>,
    PyReadonlyArray2<'py, f64>,
    PyReadonlyArray2<'py, f64>,
    PyReadonlyArray2<'py, f64>,
    PyReadonlyArray2<'py, f64>,
);

impl WeightArrays<'_> {
    /// The weights, if their shapes agree.
    pub fn weights(&self) -> Result<AttentionWeights> {
        let [query, key, value, prompts, heads] =
            [&self.0, &self.1, &self.2, &self.3, &self.4].map(matrix);
        let (width, n_tasks) = (query.nrows(), heads.nrows());
        let squares = [&query, &key, &value];
        if width < 2
            || squares
                .iter()
                .any(|square| square.shape() != (width, width))
            || [&prompts, &heads]
                .iter()
                .any(|rows| rows.shape() != (n_tasks, width))
        {
            return Err(Error::Shape(format!(
                "attention weights do not fit together: query {:?}, key {:?}, value {:?}, \
                 prompts {:?}, heads {:?}; expected three [dim + 1, dim + 1] and two \
                 [n_tasks, dim + 1]",
                query.shape(),
                key.shape(),
                value.shape(),
                prompts.shape(),
                heads.shape()
            )));
        }
        Ok(AttentionWeights {
            query,
            key,
            value,
            prompts,
            heads,
            prompt_residuals: vec![0.0; n_tasks],
        })
    }

    /// The same numbers as a layer to be trained on `mixture`.
    pub fn layer(&self, mixture: &Mixture) -> Result<RawLayer> {
        let weights = self.weights()?;
        let (width, n_tasks) = (mixture.dim() + 1, mixture.n_tasks());
        if weights.query.nrows() != width || weights.heads.nrows() != n_tasks {
            return Err(Error::Shape(format!(
                "the start has width {} and {} tasks, expected {width} and {n_tasks} as in the \
                 mixture",
                weights.query.nrows(),
                weights.heads.nrows()
            )));
        }
        let rows = |matrix: &Mat<f64>| to_rows(matrix.as_ref());
        Ok(RawLayer {
            width,
            query: rows(&weights.query),
            key: rows(&weights.key),
            value: rows(&weights.value),
            prompts: rows(&weights.prompts),
            heads: rows(&weights.heads),
        })
    }
}

pub type LayerArrays<'py> = (
    Matrix<'py>,
    Matrix<'py>,
    Matrix<'py>,
    Matrix<'py>,
    Matrix<'py>,
);

/// A trained layer, in the order of `WeightArrays`.
pub fn layer_arrays<'py>(py: Python<'py>, layer: &RawLayer) -> LayerArrays<'py> {
    let rows = |values: &[f64]| {
        let height = values.len() / layer.width;
        matrix_array(py, from_rows(values, height, layer.width).as_ref())
    };
    (
        rows(&layer.query),
        rows(&layer.key),
        rows(&layer.value),
        rows(&layer.prompts),
        rows(&layer.heads),
    )
}

pub type PredictorOut<'py> = (Matrix<'py>, Vector<'py>, Matrix<'py>, Matrix<'py>);

/// A predictor, in the order of `PredictorArrays`.
pub fn predictor_arrays<'py>(py: Python<'py>, predictor: &Predictor) -> PredictorOut<'py> {
    (
        matrix_array(py, predictor.preconditioner.as_ref()),
        predictor.scales.to_pyarray(py),
        stacked(py, &predictor.shifts),
        stacked(py, &predictor.biases),
    )
}

pub type MixturesOut<'py> = (
    Matrix<'py>,
    Bound<'py, PyArray3<f64>>,
    Bound<'py, PyArray4<f64>>,
    Bound<'py, PyArray4<f64>>,
    Matrix<'py>,
);

/// Several mixtures of one shape, each part stacked along a new first axis.
pub fn mixture_arrays<'py>(py: Python<'py>, mixtures: &[Mixture]) -> PyResult<MixturesOut<'py>> {
    let (count, n_tasks, dim) = (mixtures.len(), mixtures[0].n_tasks(), mixtures[0].dim());
    let (n_inputs, n_noise) = (mixtures[0].n_inputs(), mixtures[0].n_noise());
    let mut parts: [Vec<f64>; 5] = Default::default();
    for mixture in mixtures {
        for task in 0..n_tasks {
            parts[0].push(mixture.weight(task));
            parts[1].extend(to_vec(mixture.mean(task).as_ref()));
            parts[2].extend(to_rows(mixture.covariance(task)));
        }
        for task in 0..n_inputs {
            parts[3].extend(to_rows(mixture.input(task)));
        }
        for task in 0..n_noise {
            parts[4].push(mixture.noise(task));
        }
    }
    let [weights, means, covariances, inputs, noise] = parts.map(|part| part.into_pyarray(py));
    Ok((
        weights.reshape([count, n_tasks])?,
        means.reshape([count, n_tasks, dim])?,
        covariances.reshape([count, n_tasks, dim, dim])?,
        inputs.reshape([count, n_inputs, dim, dim])?,
        noise.reshape([count, n_noise])?,
    ))
}

/// A matrix as a NumPy array.
pub fn matrix_array<'py>(py: Python<'py>, matrix: MatRef<'_, f64>) -> Matrix<'py> {
    Array2::from_shape_fn((matrix.nrows(), matrix.ncols()), |(row, column)| {
        matrix[(row, column)]
    })
    .into_pyarray(py)
}

/// Columns of one length as the rows of an array.
pub fn stacked<'py>(py: Python<'py>, columns: &[Col<f64>]) -> Matrix<'py> {
    let width = columns.first().map_or(0, Col::nrows);
    Array2::from_shape_fn((columns.len(), width), |(row, column)| columns[row][column])
        .into_pyarray(py)
}

/// A whole number that may not be negative.
pub fn count(value: i64, name: &str) -> Result<usize> {
    usize::try_from(value)
        .map_err(|_| Error::Mixture(format!("{name} is {value}, expected at least 0")))
}

fn columns(array: &PyReadonlyArray2<'_, f64>) -> Vec<Col<f64>> {
    array
        .as_array()
        .rows()
        .into_iter()
        .map(|row| Col::from_fn(row.len(), |index| row[index]))
        .collect()
}

fn matrix(array: &PyReadonlyArray2<'_, f64>) -> Mat<f64> {
    let view = array.as_array();
    Mat::from_fn(view.nrows(), view.ncols(), |row, column| {
        view[(row, column)]
    })
}

fn matrices(array: &PyReadonlyArray3<'_, f64>) -> Vec<Mat<f64>> {
    let view = array.as_array();
    view.outer_iter()
        .map(|page| {
            Mat::from_fn(page.nrows(), page.ncols(), |row, column| {
                page[(row, column)]
            })
        })
        .collect()
}
