//! Formula     mean_i ln p2(y_i | x_i), p2 the regularised discriminant on challenged features
//!             c_i = p1(y_i | x_i) x_i + (1 - p1(y_i | x_i)) m_i, m_i the mean of other classes
//! Shapes      features [n, dim], labels [n] -> one number
//! Range       (-inf, 0]
//! Promises    free of rotation and translation; the regularisation depends on the scale
//! Zero rows   are examples like any other
//! NaN         refused before
//! Precision   f64; the covariance is regularised in its own eigenvectors, never inverted
//! Cost        one thin SVD, two symmetric eigenproblems of k x k, k = min(n, dim)
//!
//! Discriminant: `d_c(x) = x' W^-1 m_c - m_c' W^-1 m_c / 2 + ln share_c`, p = softmax over c,
//! `W = (1 - l) S + l I`, S the covariance inside classes (divided by n), `l = exp(-s)`, s the
//! largest eigenvalue of S.
//!
//! Source: Shao et al. 2022 (arXiv 2207.03036), equations 2 to 8. The paper projects on the
//! leading discriminant directions, which leaves all differences between the d_c as they are. Its
//! constant in front of s is taken as 1.

use faer::{Mat, Side};

use super::about::{About, Needs};
use super::classes::Classes;
use super::features::{Features, stalled};
use crate::error::Result;

pub const ABOUT: About = About {
    name: "sfda",
    formula: "mean_i ln p(y_i | c_i), discriminant analysis on self-challenged features c",
    summary: "Log-likelihood of the labels under linear classes, hard examples made harder.",
    needs: Needs::Features,
    range: (f64::NEG_INFINITY, 0.0),
    scale_free: false,
    rotation_free: true,
    translation_free: true,
    options: &[],
    source: "Shao et al. 2022, arXiv 2207.03036",
};

// Where classes are spread very widely exp(-s) vanishes, and with it the only thing that keeps W
// from being singular.
const SMALLEST_WEIGHT: f64 = 1e-10;

/// Mean log posterior of the own class after one round of self-challenge.
pub fn score(features: &Features, classes: &Classes) -> Result<f64> {
    let plain = features.centred().spectrum()?.coordinates();
    let first = log_posteriors(&plain, classes)?;
    let challenged = challenged(&plain, classes, &first);
    let second = log_posteriors(&challenged, classes)?;
    Ok(second.iter().sum::<f64>() / classes.n() as f64)
}

fn challenged(points: &Mat<f64>, classes: &Classes, log_own: &[f64]) -> Mat<f64> {
    let sums = class_sums(points, classes);
    let n = classes.n() as f64;
    let total: Vec<f64> = (0..points.ncols())
        .map(|axis| sums.iter().map(|sum| sum[axis]).sum())
        .collect();
    Mat::from_fn(points.nrows(), points.ncols(), |row, axis| {
        let code = classes.codes()[row];
        let others = (total[axis] - sums[code][axis]) / (n - classes.counts()[code] as f64);
        let sure = log_own[row].exp();
        sure * points[(row, axis)] + (1.0 - sure) * others
    })
}

fn class_sums(points: &Mat<f64>, classes: &Classes) -> Vec<Vec<f64>> {
    let mut sums = vec![vec![0.0; points.ncols()]; classes.len()];
    for (row, &code) in classes.codes().iter().enumerate() {
        for (axis, sum) in sums[code].iter_mut().enumerate() {
            *sum += points[(row, axis)];
        }
    }
    sums
}

/// Log posterior of every example's own class.
fn log_posteriors(points: &Mat<f64>, classes: &Classes) -> Result<Vec<f64>> {
    let (n, n_axes) = (points.nrows(), points.ncols());
    let sums = class_sums(points, classes);
    let means = Mat::from_fn(n_axes, classes.len(), |axis, class| {
        sums[class][axis] / classes.counts()[class] as f64
    });
    let inside = Mat::from_fn(n, n_axes, |row, axis| {
        points[(row, axis)] - means[(axis, classes.codes()[row])]
    });
    let covariance = faer::Scale(1.0 / n as f64) * (inside.transpose() * &inside);
    let eigen = covariance
        .self_adjoint_eigen(Side::Lower)
        .map_err(|_| stalled())?;
    let spread: Vec<f64> = eigen
        .S()
        .column_vector()
        .iter()
        .map(|value| value.max(0.0))
        .collect();
    let largest = spread.iter().fold(0.0, |best: f64, &value| best.max(value));
    let weight = (-largest).exp().max(SMALLEST_WEIGHT);
    // Coordinates in which W is the identity.
    let whiten = |matrix: Mat<f64>| {
        Mat::from_fn(matrix.nrows(), matrix.ncols(), |axis, column| {
            matrix[(axis, column)] / ((1.0 - weight) * spread[axis] + weight).sqrt()
        })
    };
    let means = whiten(eigen.U().transpose() * means);
    let points = whiten(eigen.U().transpose() * points.transpose());
    let products = points.transpose() * &means;
    let offsets: Vec<f64> = (0..classes.len())
        .map(|class| classes.share(class).ln() - means.col(class).squared_norm_l2() / 2.0)
        .collect();
    Ok((0..n)
        .map(|row| {
            let scores: Vec<f64> = offsets
                .iter()
                .enumerate()
                .map(|(class, offset)| products[(row, class)] + offset)
                .collect();
            scores[classes.codes()[row]] - log_sum_exp(&scores)
        })
        .collect())
}

/// `ln sum exp`, without overflow.
pub fn log_sum_exp(values: &[f64]) -> f64 {
    let largest = values
        .iter()
        .fold(f64::NEG_INFINITY, |best, &v| best.max(v));
    largest + values.iter().map(|v| (v - largest).exp()).sum::<f64>().ln()
}
