//! The closed-form surrogate: ridge regression of responses on frozen features.
//!
//! ```text
//! Formula   W = (X'X + l n t I)^-1 X'Y, X and Y less their means; t the mean variance of a
//!           feature in the space; left out: (y_i - f_i) / (1 - 1/n - h_i)
//! Shapes    features [n, F], responses [n, C] -> W [F, C]
//! Range     finite
//! Promises  sums over probes add: what was fitted can be extended probe by probe
//! Zero rows a probe without features moves only the means
//! NaN       refused
//! Precision f64
//! Cost      n F (F + C) multiplications and one F x F factorisation
//! ```
//!
//! Source: Hoerl and Kennard (1970); Allen (1974) for the left-out errors; Murphy (2012), section
//! 7.6, for the posterior.

use faer::linalg::matmul::matmul;
use faer::linalg::solvers::Solve;
use faer::{Accum, Mat, MatRef, Par, Side};
use ndarray::{Array2, ArrayView2, Axis};

use super::check_finite;
use crate::error::{Error, Result};
use crate::random::{fill_normal, stream};

fn stalled() -> Error {
    Error::Value("the features do not decompose; a larger penalty may help".into())
}

/// Sums over probes `[1 + F + C, 1 + F + C]` of the outer products of (1, x, y).
pub fn moments(
    features: ArrayView2<'_, f64>,
    responses: ArrayView2<'_, f64>,
) -> Result<Array2<f64>> {
    check_finite(&features.insert_axis(Axis(0)), "features")?;
    check_finite(&responses.insert_axis(Axis(0)), "responses")?;
    if features.nrows() != responses.nrows() {
        return Err(Error::Shape(format!(
            "{} probes have features and {} have responses",
            features.nrows(),
            responses.nrows()
        )));
    }
    let (n, f, c) = (features.nrows(), features.ncols(), responses.ncols());
    let rows = Mat::from_fn(n, 1 + f + c, |row, column| match column {
        0 => 1.0,
        at if at <= f => features[[row, at - 1]],
        at => responses[[row, at - 1 - f]],
    });
    let size = 1 + f + c;
    let mut sums = Mat::zeros(size, size);
    matmul(
        sums.as_mut(),
        Accum::Replace,
        rows.transpose(),
        rows.as_ref(),
        1.0,
        Par::Seq,
    );
    Ok(Array2::from_shape_fn((size, size), |at| sums[at]))
}

/// What follows from the moments of one box.
#[derive(Debug)]
pub struct Fit {
    /// Weights `[F, C]`.
    pub weights: Array2<f64>,
    /// Residual variance of a response.
    pub noise: f64,
    gram: Mat<f64>,
    penalty: f64,
}

/// Fits moments with `penalty` = l t, times the number of probes.
pub fn fit(moments: ArrayView2<'_, f64>, n_features: usize, penalty: f64) -> Result<Fit> {
    let n = moments[[0, 0]];
    if penalty.is_nan() || penalty <= 0.0 || n < 2.0 {
        return Err(Error::Value(format!(
            "a penalty of {penalty} on {n} probes, expected more than 0 on at least two"
        )));
    }
    let (f, c) = (n_features, moments.nrows() - 1 - n_features);
    let centred = |i: usize, j: usize| moments[[i, j]] - moments[[0, i]] * moments[[0, j]] / n;
    let gram = Mat::from_fn(f, f, |i, j| {
        centred(1 + i, 1 + j) + if i == j { penalty * n } else { 0.0 }
    });
    let cross = Mat::from_fn(f, c, |i, j| centred(1 + i, 1 + f + j));
    let factor = gram.llt(Side::Lower).map_err(|_| stalled())?;
    let weights = factor.solve(&cross);
    let mut left = 0.0;
    for column in 0..c {
        let y = 1 + f + column;
        let fitted: f64 = (0..f)
            .map(|at| weights[(at, column)] * cross[(at, column)])
            .sum();
        left += (centred(y, y) - fitted).max(0.0);
    }
    Ok(Fit {
        weights: Array2::from_shape_fn((f, c), |at| weights[at]),
        noise: left / (n - 1.0) / c as f64,
        gram,
        penalty: penalty * n,
    })
}

impl Fit {
    /// Draws `[n_draws, F * C]` of the weights from their posterior, one stream a draw.
    pub fn posterior(&self, n_draws: u64, seed: u64) -> Result<Array2<f64>> {
        debug_assert!(self.penalty > 0.0);
        let (f, c) = self.weights.dim();
        let factor = self.gram.llt(Side::Lower).map_err(|_| stalled())?;
        let lower = factor.L();
        let rows = usize::try_from(n_draws).map_err(|_| Error::Value("too many draws".into()))?;
        let mut drawn = Array2::zeros((rows, f * c));
        let mut normal = vec![0.0; f * c];
        for (number, mut row) in (0..n_draws).zip(drawn.outer_iter_mut()) {
            fill_normal(&mut stream(seed, number), &mut normal);
            // x = L'^-1 e has covariance (L L')^-1; solved from the last row up.
            let mut moved = Mat::from_fn(f, c, |i, j| normal[i * c + j]);
            for i in (0..f).rev() {
                for j in 0..c {
                    let below: f64 = (i + 1..f).map(|k| lower[(k, i)] * moved[(k, j)]).sum();
                    moved[(i, j)] = (moved[(i, j)] - below) / lower[(i, i)];
                }
            }
            for (at, slot) in row.iter_mut().enumerate() {
                *slot =
                    self.weights[[at / c, at % c]] + self.noise.sqrt() * moved[(at / c, at % c)];
            }
        }
        Ok(drawn)
    }
}

/// Left-out squared errors `[n_penalties, C]`, each over the variance of its response.
pub fn left_out(
    features: ArrayView2<'_, f64>,
    responses: ArrayView2<'_, f64>,
    penalties: &[f64],
) -> Result<Array2<f64>> {
    check_finite(&features.insert_axis(Axis(0)), "features")?;
    check_finite(&responses.insert_axis(Axis(0)), "responses")?;
    let (n, c) = responses.dim();
    let centre = |m: &ArrayView2<'_, f64>| m - &(m.sum_axis(Axis(0)) / n as f64);
    let (x, y) = (centre(&features), centre(&responses));
    let matrix = Mat::from_fn(n, x.ncols(), |row, column| x[[row, column]]);
    let svd = matrix.thin_svd().map_err(|_| stalled())?;
    let (u, sizes) = (svd.U(), svd.S().column_vector());
    let target = Mat::from_fn(n, c, |row, column| y[[row, column]]);
    let turned = u.transpose() * &target;
    let mut errors = Array2::zeros((penalties.len(), c));
    for (row, &penalty) in penalties.iter().enumerate() {
        let kept: Vec<f64> = (0..sizes.nrows())
            .map(|at| sizes[at].powi(2) / (sizes[at].powi(2) + penalty * n as f64))
            .collect();
        let scaled = Mat::from_fn(kept.len(), c, |at, column| kept[at] * turned[(at, column)]);
        let fitted = u * &scaled;
        for column in 0..c {
            let left = |at: usize| -> f64 {
                let own = 1.0 - 1.0 / n as f64 - leverage(u, at, &kept);
                (y[[at, column]] - fitted[(at, column)]) / own.max(f64::EPSILON)
            };
            let sum: f64 = (0..n).map(|at| left(at).powi(2)).sum();
            let whole: f64 = y.column(column).iter().map(|value| value * value).sum();
            errors[[row, column]] = if whole > 0.0 { sum / whole } else { 0.0 };
        }
    }
    Ok(errors)
}

fn leverage(u: MatRef<'_, f64>, row: usize, kept: &[f64]) -> f64 {
    kept.iter()
        .enumerate()
        .map(|(at, share)| share * u[(row, at)].powi(2))
        .sum()
}

/// The symmetric root of a covariance `[F, F]`.
pub fn root(covariance: ArrayView2<'_, f64>) -> Result<Array2<f64>> {
    check_finite(&covariance.insert_axis(Axis(0)), "covariance")?;
    let n = covariance.nrows();
    let matrix = Mat::from_fn(n, n, |i, j| (covariance[[i, j]] + covariance[[j, i]]) / 2.0);
    let found = matrix
        .self_adjoint_eigen(Side::Lower)
        .map_err(|_| stalled())?;
    let (u, values) = (found.U(), found.S().column_vector());
    let half = Mat::from_fn(n, n, |i, j| u[(i, j)] * values[j].max(0.0).sqrt());
    let whole = &half * u.transpose();
    Ok(Array2::from_shape_fn((n, n), |at| whole[at]))
}
