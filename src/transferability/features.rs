//! Features of one data set under one source, as every score of this room reads them.

use faer::{Mat, MatRef};

use crate::error::{Error, Result};

/// Beyond this size squares of sums leave the range of `f64`.
const LARGEST: f64 = 1e100;

/// Features `[n, dim]`, row after row, one row an example.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    values: Vec<f64>,
    dim: usize,
}

/// Orthonormal columns `left [n, k]` and sizes `[k]`, largest first: what is left of features
/// when rotations are forgotten.
#[derive(Debug, Clone)]
pub struct Spectrum {
    /// Left singular vectors.
    pub left: Mat<f64>,
    /// Singular values.
    pub sizes: Vec<f64>,
}

impl Features {
    /// Checks that there are at least two rows of finite numbers within 1e100.
    pub fn new(values: Vec<f64>, dim: usize) -> Result<Self> {
        if dim == 0 || values.len() < 2 * dim || !values.len().is_multiple_of(dim) {
            return Err(Error::Shape(format!(
                "features hold {} numbers in rows of {dim}, expected [n, dim] with at least two \
                 examples",
                values.len()
            )));
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            let (row, column) = (at / dim, at % dim);
            return Err(Error::NonFinite(format!(
                "features: row {row}, column {column} is {}, expected finite numbers",
                values[at]
            )));
        }
        let features = Self { values, dim };
        let largest = features.largest();
        if largest > LARGEST {
            return Err(Error::Value(format!(
                "features reach {largest:e}, expected at most {LARGEST:e} in size; divide them \
                 by a constant"
            )));
        }
        Ok(features)
    }

    /// Number of examples.
    pub fn n(&self) -> usize {
        self.values.len() / self.dim
    }

    /// Width of every row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// All numbers, row after row.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Row after row.
    pub fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.values.chunks_exact(self.dim)
    }

    /// Divided by the power of two next to the largest entry: exact, and keeps squares in range.
    pub fn scaled(&self) -> Self {
        let largest = self.largest();
        if largest == 0.0 {
            return self.clone();
        }
        // Two steps, because the inverse of a subnormal number is infinite.
        let half = (largest.log2() / 2.0).floor().exp2();
        let rest = (largest / half).log2().floor().exp2();
        self.mapped(|value| value / half / rest)
    }

    /// Less the mean row. The first row is taken off before, so that constant features become
    /// exactly zero.
    pub fn centred(&self) -> Self {
        let first = &self.values[..self.dim];
        let mut values = self.values.clone();
        for row in values.chunks_exact_mut(self.dim) {
            row.iter_mut()
                .zip(first)
                .for_each(|(value, &start)| *value -= start);
        }
        let mean = crate::linalg::mean_row(&values, self.dim);
        for row in values.chunks_exact_mut(self.dim) {
            row.iter_mut()
                .zip(&mean)
                .for_each(|(value, &mean)| *value -= mean);
        }
        Self {
            values,
            dim: self.dim,
        }
    }

    /// The rows that `keep` picks, as a matrix `[count, dim]`.
    pub fn matrix(&self, keep: impl Fn(usize) -> bool) -> Mat<f64> {
        let rows: Vec<&[f64]> = self
            .rows()
            .enumerate()
            .filter(|(index, _)| keep(*index))
            .map(|(_, row)| row)
            .collect();
        Mat::from_fn(rows.len(), self.dim, |row, column| rows[row][column])
    }

    /// Left singular vectors and singular values.
    pub fn spectrum(&self) -> Result<Spectrum> {
        let matrix = self.matrix(|_| true);
        let svd = matrix.thin_svd().map_err(|_| stalled())?;
        Ok(Spectrum {
            left: svd.U().to_owned(),
            sizes: svd.S().column_vector().iter().copied().collect(),
        })
    }

    fn largest(&self) -> f64 {
        self.values.iter().fold(0.0, |best, v| best.max(v.abs()))
    }

    fn mapped(&self, change: impl Fn(f64) -> f64) -> Self {
        Self {
            values: self.values.iter().map(|&value| change(value)).collect(),
            dim: self.dim,
        }
    }
}

impl Spectrum {
    /// Directions that are more than rounding: sizes above `max(n, k) * eps` of the largest.
    pub fn rank(&self) -> usize {
        let floor = self.sizes.first().copied().unwrap_or(0.0)
            * f64::EPSILON
            * self.left.nrows().max(self.sizes.len()) as f64;
        self.sizes.iter().take_while(|&&size| size > floor).count()
    }

    /// Coordinates `[n, max(1, rank)]` of the examples along the directions that are not rounding.
    pub fn coordinates(&self) -> Mat<f64> {
        Mat::from_fn(self.left.nrows(), self.rank().max(1), |row, column| {
            self.left[(row, column)] * self.sizes[column]
        })
    }
}

/// Singular values of a matrix.
pub fn singular_values(matrix: MatRef<'_, f64>) -> Result<Vec<f64>> {
    matrix.singular_values().map_err(|_| stalled())
}

/// The error of an iteration that found no end.
pub fn stalled() -> Error {
    Error::Value("an iteration for singular values did not converge on these features".into())
}
