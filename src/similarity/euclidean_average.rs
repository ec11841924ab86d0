//! Formula     1 / (1 + mean_ij ||p_i - q_j||)
//! Shapes      source [n_s, dim], target [n_t, dim] -> one number
//! Range       (0, 1], at least 1/3 for unit tokens
//! Promises    symmetric, order-free; not scale-free; any lengths
//! Zero rows   are points at the origin; a prompt of zero rows only has similarity 0
//! NaN         refused before; distances beyond the range of f64 give 0, their limit
//! Precision   f64 stored and added; differences squared in order, distances row by row
//! Cost        n_s n_t dim multiplications per pair, 8 (n_s + n_t) dim bytes, 8 rows of scores
//!
//! Source: Su et al. 2022 (arXiv 2111.06719), section 5, E_average (there on raw tokens:
//! `normalize=None`).

use super::rule::{About, Rule};
use crate::linalg::{SquaredDifference, TokenPanels, for_each_row};
use crate::tokens::TokenMatrix;

pub const ABOUT: About = About {
    name: "euclidean_average",
    formula: "1 / (1 + mean_ij ||p_i - q_j||)",
    summary: "Closeness of the token sets by their mean distance.",
    range: (0.0, 1.0),
    symmetric: true,
    scale_free: false,
    order_free: true,
    needs_equal_length: false,
    seeks_partners: false,
    parameters: &[],
};

pub struct EuclideanAverage;

impl Rule for EuclideanAverage {
    type Form = TokenPanels;

    fn form(&self, tokens: TokenMatrix<'_>) -> TokenPanels {
        TokenPanels::pack(tokens)
    }

    fn score(&self, source: &TokenPanels, target: &TokenPanels) -> f64 {
        let mut total = 0.0;
        for_each_row(source, target, SquaredDifference, |_, squares| {
            total += squares.iter().map(|square| square.sqrt()).sum::<f64>();
        });
        let count = source.n_tokens() as f64 * target.n_tokens() as f64;
        1.0 / (1.0 + total / count)
    }
}
