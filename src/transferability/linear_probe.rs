//! Formula     share of examples whose class has the largest leave-one-out prediction of ridge
//!             regression on 0/1 columns, with intercept
//! Shapes      features [n, dim], labels [n] -> one number
//! Range       [0, 1]
//! Promises    free of scale, rotation and translation
//! Zero rows   are examples like any other
//! NaN         refused before
//! Precision   f64; n fits in closed form from one SVD
//! Cost        one thin SVD and 13 n k (n_classes + 1) multiplications, k = min(n, dim)
//!
//! Left out: `y_i - (y_i - f_i) / (1 - h_i)`, `h_i = 1/n + sum_j u_ij^2 s_j^2 / (s_j^2 + l)`. Of 13
//! penalties l, from 1e-6 to 1e6 times the largest squared singular value over n, the one with
//! the smallest leave-one-out squared error is taken, the larger one on ties; that one number is
//! chosen with all examples in view. Equal predictions share the win.
//!
//! Source: Allen 1974, "The relationship between variable selection and data augmentation and a
//! method for prediction" (PRESS).

use super::about::{About, Needs};
use super::classes::Classes;
use super::features::{Features, Spectrum};
use crate::error::Result;

pub const ABOUT: About = About {
    name: "linear_probe",
    formula: "leave-one-out accuracy of ridge regression on 0/1 columns",
    summary: "Whether a linear classifier finds the label of an example it has not seen.",
    needs: Needs::Features,
    range: (0.0, 1.0),
    scale_free: true,
    rotation_free: true,
    translation_free: true,
    options: &[],
    source: "Allen 1974",
};

const EXPONENTS: std::ops::RangeInclusive<i32> = -6..=6;
// Predictions closer than this are equal: far above rounding, far below any difference in meaning.
const EQUAL: f64 = 1e-9;

/// Leave-one-out accuracy at the best penalty.
pub fn score(features: &Features, classes: &Classes) -> Result<f64> {
    let spectrum = features.centred().scaled().spectrum()?;
    let largest = spectrum.sizes.first().map_or(0.0, |size| size * size);
    let mut best = (f64::INFINITY, 0.0);
    for exponent in EXPONENTS.rev() {
        let penalty = largest * 10f64.powi(exponent) / classes.n() as f64;
        let left_out = predictions(&spectrum, classes, penalty);
        let error = squared_error(&left_out, classes);
        if error < best.0 * (1.0 - EQUAL) {
            best = (error, accuracy(&left_out, classes));
        }
    }
    Ok(best.1)
}

/// Leave-one-out predictions [n][n_classes].
fn predictions(spectrum: &Spectrum, classes: &Classes, penalty: f64) -> Vec<Vec<f64>> {
    let rank = spectrum.rank();
    let weights: Vec<f64> = spectrum.sizes[..rank]
        .iter()
        .map(|size| size * size / (size * size + penalty))
        .collect();
    let mut sums = vec![vec![0.0; classes.len()]; rank];
    for (row, &code) in classes.codes().iter().enumerate() {
        for (axis, sums) in sums.iter_mut().enumerate() {
            sums[code] += spectrum.left[(row, axis)];
        }
    }
    let n = classes.n() as f64;
    (0..classes.n())
        .map(|row| {
            let mut fitted: Vec<f64> = (0..classes.len()).map(|c| classes.share(c)).collect();
            let mut leverage = 1.0 / n;
            for axis in 0..rank {
                let weighted = spectrum.left[(row, axis)] * weights[axis];
                leverage += weighted * spectrum.left[(row, axis)];
                for (value, sum) in fitted.iter_mut().zip(&sums[axis]) {
                    *value += weighted * sum;
                }
            }
            for (class, value) in fitted.iter_mut().enumerate() {
                let truth = f64::from(u8::from(classes.codes()[row] == class));
                *value = truth - (truth - *value) / (1.0 - leverage);
            }
            fitted
        })
        .collect()
}

fn squared_error(left_out: &[Vec<f64>], classes: &Classes) -> f64 {
    left_out
        .iter()
        .zip(classes.codes())
        .flat_map(|(row, &code)| {
            row.iter()
                .enumerate()
                .map(move |(class, value)| (f64::from(u8::from(class == code)) - value).powi(2))
        })
        .sum()
}

fn accuracy(left_out: &[Vec<f64>], classes: &Classes) -> f64 {
    let wins = left_out.iter().zip(classes.codes()).map(|(row, &code)| {
        let most = row.iter().fold(f64::NEG_INFINITY, |best, &v| best.max(v));
        let winners = row.iter().filter(|&&value| value >= most - EQUAL).count();
        if row[code] >= most - EQUAL {
            1.0 / winners as f64
        } else {
            0.0
        }
    });
    wins.sum::<f64>() / left_out.len() as f64
}
