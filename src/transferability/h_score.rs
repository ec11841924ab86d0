//! Formula     (1 - a) tr(S_a^-1 B), S_a = (1 - a) S + a tr(S)/dim I, S the covariance of the
//!             features, B that of the class means, a the shrinkage of Ledoit and Wolf
//! Shapes      features [n, dim], labels [n] -> one number
//! Range       [0, min(n_classes - 1, dim)]
//! Promises    free of scale, rotation and translation
//! Zero rows   are examples like any other; features that are all constant score 0
//! NaN         refused before
//! Precision   f64; from singular values, no matrix is inverted
//! Cost        one thin SVD and n k multiplications, k = min(n, dim)
//!
//! Source: Bao et al. 2019 ("An information-theoretic approach to transferability in task
//! transfer learning"), equation 3; shrunk as in Ibrahim, Ponomareva, Mazumder 2021
//! (arXiv 2110.06893), section 4; shrinkage of Ledoit and Wolf 2004, "A well-conditioned
//! estimator for large-dimensional covariance matrices", section 3.3.

use super::about::{About, Needs};
use super::classes::Classes;
use super::features::{Features, Spectrum};
use crate::error::Result;

pub const ABOUT: About = About {
    name: "h_score",
    formula: "(1 - a) tr(S_a^-1 B), S_a the shrunk covariance, B that of the class means",
    summary: "How much of the features' spread lies between classes, in whitened units.",
    needs: Needs::Features,
    range: (0.0, f64::INFINITY),
    scale_free: true,
    rotation_free: true,
    translation_free: true,
    options: &[],
    source: "Bao et al. 2019; Ibrahim et al. 2021, arXiv 2110.06893",
};

/// The shrunk H-score.
pub fn score(features: &Features, classes: &Classes) -> Result<f64> {
    let centred = features.centred().scaled();
    let spectrum = centred.spectrum()?;
    let n = centred.n() as f64;
    let variances: Vec<f64> = spectrum.sizes.iter().map(|size| size * size / n).collect();
    let mean_variance = variances.iter().sum::<f64>() / centred.dim() as f64;
    let shrinkage = ledoit_wolf(&centred, &variances, mean_variance);
    let kept = 1.0 - shrinkage;
    let between = between(&spectrum, classes);
    Ok((0..spectrum.rank())
        .map(|axis| {
            let shrunk = kept * variances[axis] + shrinkage * mean_variance;
            kept * variances[axis] * between[axis] / shrunk
        })
        .sum())
}

/// For every direction `n sum_c share_c (mean of the left vector over class c)^2`: the part of its
/// variance that lies between classes.
fn between(spectrum: &Spectrum, classes: &Classes) -> Vec<f64> {
    let mut sums = vec![vec![0.0; classes.len()]; spectrum.rank()];
    for (row, &code) in classes.codes().iter().enumerate() {
        for (axis, sums) in sums.iter_mut().enumerate() {
            sums[code] += spectrum.left[(row, axis)];
        }
    }
    sums.iter()
        .map(|sums| {
            sums.iter()
                .zip(classes.counts())
                .map(|(sum, &count)| sum * sum / count as f64)
                .sum()
        })
        .collect()
}

/// Weight of the identity that minimises the expected squared error of the covariance.
fn ledoit_wolf(centred: &Features, variances: &[f64], mean_variance: f64) -> f64 {
    let (n, dim) = (centred.n() as f64, centred.dim() as f64);
    let squared: f64 = variances.iter().map(|variance| variance * variance).sum();
    let fourth: f64 = centred
        .rows()
        .map(|row| row.iter().map(|value| value * value).sum::<f64>().powi(2))
        .sum();
    let spread = squared - dim * mean_variance * mean_variance;
    let noise = (fourth / n - squared) / n;
    if noise <= 0.0 || spread <= 0.0 {
        // All directions alike (or no spread at all): shrinking changes nothing.
        return 0.0;
    }
    (noise / spread).min(1.0)
}
