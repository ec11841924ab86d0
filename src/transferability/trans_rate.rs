//! Formula     R(Z) - sum_c share_c R(Z_c), R(Z) = 1/2 ln det(I + Z'Z / (n e)), Z the features
//!             less their mean, Z_c its rows of class c, e = epsilon
//! Shapes      features [n, dim], labels [n] -> one number
//! Range       [0, inf)
//! Promises    free of rotation and translation; grows with the scale of the features
//! Zero rows   are examples like any other; features that are all constant score 0
//! NaN         refused before
//! Precision   f64; determinants from singular values
//! Cost        one SVD of all examples and one a class, values only
//!
//! Source: Huang et al. 2022 (arXiv 2106.09362), equations 3 to 5, epsilon 1e-4 as there.

use super::about::{About, Needs};
use super::classes::Classes;
use super::features::{Features, singular_values};
use crate::error::{Error, Result};

pub const ABOUT: About = About {
    name: "trans_rate",
    formula: "R(Z) - sum_c share_c R(Z_c), R(Z) = 1/2 ln det(I + Z'Z / (n epsilon))",
    summary: "Bits that the features spend on telling classes apart, at distortion epsilon.",
    needs: Needs::Features,
    range: (0.0, f64::INFINITY),
    scale_free: false,
    rotation_free: true,
    translation_free: true,
    options: &["epsilon"],
    source: "Huang et al. 2022, arXiv 2106.09362",
};

/// Coding rate of all features less the mean coding rate inside classes.
pub fn score(features: &Features, classes: &Classes, epsilon: f64) -> Result<f64> {
    if !(epsilon > 0.0 && epsilon.is_finite()) {
        return Err(Error::Value(format!(
            "epsilon is {epsilon}, expected a positive number"
        )));
    }
    let centred = features.centred();
    let rate = |class: Option<usize>| -> Result<f64> {
        let part = centred.matrix(|row| class.is_none_or(|class| classes.codes()[row] == class));
        let noise = (part.nrows() as f64 * epsilon).sqrt();
        let sizes = singular_values(part.as_ref())?;
        Ok(sizes
            .iter()
            .map(|size| (size / noise).powi(2).ln_1p())
            .sum::<f64>()
            / 2.0)
    };
    let mut found = rate(None)?;
    for class in 0..classes.len() {
        found -= classes.share(class) * rate(Some(class))?;
    }
    // Never negative, since ln det is concave; rounding may miss zero from below.
    Ok(found.max(0.0))
}
