//! Formula     cos(m_s, m_t), m = mean token
//! Shapes      source [n_s, dim], target [n_t, dim] -> one number
//! Range       [-1, 1]
//! Promises    symmetric, scale-free, order-free; any lengths
//! Zero rows   count as tokens in the mean; a mean of zero has similarity 0
//! NaN         refused before; an overflow ends as an error, never as a number
//! Precision   f64 added, tokens in order, read as they are stored
//! Cost        one pass over the tokens, then dim multiplications per pair in register tiles
//!
//! Source: Lin et al. 2024 (arXiv 2407.16245), "Feature Mean"; without token normalisation the
//! "cosine of average tokens" of Vu et al. 2022 (SPoT, arXiv 2110.07904), section 4.

use super::means::OfMeans;
use super::rule::About;
use crate::linalg::{Ray, cosine};

pub const ABOUT: About = About {
    name: "feature_mean",
    formula: "cos(mean_i p_i, mean_j q_j)",
    summary: "Cosine between the mean tokens of the two prompts.",
    range: (-1.0, 1.0),
    symmetric: true,
    scale_free: true,
    order_free: true,
    needs_equal_length: false,
    seeks_partners: false,
    parameters: &[],
};

pub struct FeatureMean;

impl OfMeans for FeatureMean {
    fn form(mean: Vec<f64>) -> (Vec<f64>, f64) {
        Ray::new(mean).into_parts()
    }

    fn score(product: f64, source: f64, target: f64) -> f64 {
        cosine(product, source, target)
    }
}
