//! Formula     mean_i T ln sum_j exp(x_ij / T), T = temperature
//! Shapes      features [n, dim] -> one number; labels are not looked at
//! Range       any
//! Promises    none of scale, rotation or translation: adding a to all features adds a
//! Zero rows   count T ln dim
//! NaN         refused before
//! Precision   f64, without overflow
//! Cost        n dim exponentials
//!
//! Source: Gholami et al. 2023, "ETran: energy-based transferability estimation"
//! (arXiv 2308.02027), the energy part alone; minus the energy of Liu et al. 2020.

use super::about::{About, Needs};
use super::features::Features;
use super::sfda::log_sum_exp;
use crate::error::{Error, Result};

pub const ABOUT: About = About {
    name: "energy",
    formula: "mean_i T ln sum_j exp(x_ij / T)",
    summary: "How familiar the source finds the examples; labels play no part.",
    needs: Needs::Features,
    range: (f64::NEG_INFINITY, f64::INFINITY),
    scale_free: false,
    rotation_free: false,
    translation_free: false,
    options: &["temperature"],
    source: "Gholami et al. 2023, arXiv 2308.02027",
};

/// Mean negative energy.
pub fn score(features: &Features, temperature: f64) -> Result<f64> {
    if !(temperature > 0.0 && temperature.is_finite()) {
        return Err(Error::Value(format!(
            "temperature is {temperature}, expected a positive number"
        )));
    }
    let sum: f64 = features
        .rows()
        .map(|row| {
            let scaled: Vec<f64> = row.iter().map(|value| value / temperature).collect();
            temperature * log_sum_exp(&scaled)
        })
        .sum();
    Ok(sum / features.n() as f64)
}
