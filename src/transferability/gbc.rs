//! Formula     -sum_{i != j} exp(-D(i, j)), D the Bhattacharyya distance of the Gaussians of two
//!             classes, their covariances spherical (v I) or diagonal
//! Shapes      features [n, dim], labels [n] -> one number
//! Range       [-n_classes (n_classes - 1), 0]
//! Promises    free of scale and translation; of rotation too while spherical
//! Zero rows   are examples like any other
//! NaN         refused before
//! Precision   f64
//! Cost        n dim + n_classes^2 dim multiplications
//!
//! Source: Pandy, Agostinelli, Uijlings, Ferrari, Mensink 2022 (arXiv 2111.12780), equations 1, 2.
//! The paper first keeps 64 principal components; here the features are taken as they come.
//! Every variance gets 1e-6 of the mean variance on top, so that none is zero; a class of one
//! example has no variance of its own and takes that inside classes, pooled over all of them.

use super::about::{About, Needs};
use super::classes::Classes;
use super::features::Features;
use crate::error::{Error, Result};

pub const ABOUT: About = About {
    name: "gbc",
    formula: "-sum_{i != j} exp(-D_B(class i, class j))",
    summary: "Minus the overlap of the classes, each taken as one Gaussian.",
    needs: Needs::Features,
    range: (f64::NEG_INFINITY, 0.0),
    scale_free: true,
    rotation_free: true,
    translation_free: true,
    options: &["covariance"],
    source: "Pandy et al. 2022, arXiv 2111.12780",
};

const FLOOR: f64 = 1e-6;

/// Which variances a class has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Covariance {
    /// One for all directions.
    Spherical,
    /// One for every feature.
    Diagonal,
}

impl Covariance {
    /// The covariance of that name.
    pub fn from_name(name: &str) -> Result<Self> {
        match name {
            "spherical" => Ok(Covariance::Spherical),
            "diagonal" => Ok(Covariance::Diagonal),
            _ => Err(Error::UnknownName(format!(
                "covariance='{name}' is unknown; expected one of: spherical, diagonal"
            ))),
        }
    }
}

/// Minus the summed overlap of all ordered pairs of classes.
pub fn score(features: &Features, classes: &Classes, covariance: Covariance) -> Result<f64> {
    let centred = features.centred().scaled();
    let means = classes.means(&centred);
    let variances = variances(&centred, classes, &means, covariance);
    let mut overlap = 0.0;
    for first in 0..classes.len() {
        for second in 0..first {
            let distance = distance(
                (&means[first], &variances[first]),
                (&means[second], &variances[second]),
            );
            overlap += 2.0 * (-distance).exp();
        }
    }
    Ok(-overlap)
}

fn distance(first: (&[f64], &[f64]), second: (&[f64], &[f64])) -> f64 {
    let mut sum = 0.0;
    for axis in 0..first.0.len() {
        let (left, right) = (first.1[axis], second.1[axis]);
        let middle = (left + right) / 2.0;
        let apart = first.0[axis] - second.0[axis];
        if middle > 0.0 {
            sum += apart * apart / (8.0 * middle);
            sum += (middle.ln() - (left.ln() + right.ln()) / 2.0) / 2.0;
        }
    }
    sum
}

fn variances(
    centred: &Features,
    classes: &Classes,
    means: &[Vec<f64>],
    covariance: Covariance,
) -> Vec<Vec<f64>> {
    let (n, dim) = (centred.n() as f64, centred.dim());
    let mut within = vec![vec![0.0; dim]; classes.len()];
    for (row, &code) in centred.rows().zip(classes.codes()) {
        for axis in 0..dim {
            within[code][axis] += (row[axis] - means[code][axis]).powi(2);
        }
    }
    let pooled: Vec<f64> = (0..dim)
        .map(|axis| within.iter().map(|sums| sums[axis]).sum::<f64>() / n)
        .collect();
    let total = centred
        .values()
        .iter()
        .map(|value| value * value)
        .sum::<f64>();
    let floor = FLOOR * total / (n * dim as f64);
    let shape = |own: Vec<f64>| match covariance {
        Covariance::Diagonal => own.iter().map(|variance| variance + floor).collect(),
        Covariance::Spherical => vec![own.iter().sum::<f64>() / dim as f64 + floor; dim],
    };
    within
        .into_iter()
        .zip(classes.counts())
        .map(|(sums, &count)| match count {
            1 => shape(pooled.clone()),
            _ => shape(sums.iter().map(|sum| sum / count as f64).collect()),
        })
        .collect()
}
