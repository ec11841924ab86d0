//! Formula     cos(m_s, m_t), m = mean token
//! Shapes      source [n_s, dim], target [n_t, dim] -> one number
//! Range       [-1, 1]
//! Promises    symmetric, scale-free, order-free; any lengths
//! Zero rows   count as tokens in the mean; a mean of zero has similarity 0
//! NaN         refused before; an overflow ends as an error, never as a number
//! Precision   f64 stored and added, tokens in order
//! Cost        n_s dim + n_t dim once per prompt, dim multiplications and 16 dim bytes per pair
//!
//! Source: Lin et al. 2024 (arXiv 2407.16245), "Feature Mean"; without token normalisation the
//! "cosine of average tokens" of Vu et al. 2022 (SPoT, arXiv 2110.07904), section 4.

use super::rule::{About, Rule};
use crate::linalg::{Ray, mean_row};
use crate::tokens::TokenMatrix;

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

impl Rule for FeatureMean {
    type Form = Ray;

    fn form(&self, tokens: TokenMatrix<'_>) -> Ray {
        Ray::new(mean_row(tokens.values(), tokens.dim()))
    }

    fn score(&self, source: &Ray, target: &Ray) -> f64 {
        source.cosine(target)
    }
}
