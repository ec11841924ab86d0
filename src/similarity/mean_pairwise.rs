//! Formula     mean_ij p_i . q_j = (mean_i p_i) . (mean_j q_j)
//! Shapes      source [n_s, dim], target [n_t, dim] -> one number
//! Range       [-1, 1] for unit tokens
//! Promises    symmetric, order-free; any lengths
//! Zero rows   have product 0 with every token and count in the mean
//! NaN         refused before; an overflow ends as an error, never as a number
//! Precision   f64 stored and added, tokens in order
//! Cost        n_s dim + n_t dim once per prompt, dim multiplications and 16 dim bytes per pair
//!
//! Source: Vu et al. 2022 (SPoT, arXiv 2110.07904), section 4, "per-token average cosine";
//! C_avg of Su et al. 2022 (arXiv 2111.06719). The closed form is the inner product of the means.

use super::rule::{About, Rule};
use crate::linalg::{dot, mean_row};
use crate::tokens::TokenMatrix;

pub const ABOUT: About = About {
    name: "mean_pairwise",
    formula: "mean_ij p_i . q_j",
    summary: "Mean score over all pairs of tokens.",
    range: (-1.0, 1.0),
    symmetric: true,
    scale_free: false,
    order_free: true,
    needs_equal_length: false,
    seeks_partners: false,
    parameters: &[],
};

pub struct MeanPairwise;

impl Rule for MeanPairwise {
    type Form = Vec<f64>;

    fn form(&self, tokens: TokenMatrix<'_>) -> Vec<f64> {
        mean_row(tokens.values(), tokens.dim())
    }

    fn score(&self, source: &Vec<f64>, target: &Vec<f64>) -> f64 {
        dot(source, target)
    }
}
