//! Formula     1 / (1 + (mean_i min_j ||p_i - q_j|| + mean_j min_i ||p_i - q_j||) / 2)
//! Shapes      source [n_s, dim], target [n_t, dim] -> one number
//! Range       (0, 1], at least 1/3 for unit tokens
//! Promises    symmetric, order-free; not scale-free; any lengths
//! Zero rows   are points at the origin; a prompt of zero rows only has similarity 0
//! NaN         refused before; distances beyond the range of f64 give 0, their limit
//! Precision   f64 stored and added; differences squared in order, the means in order
//! Cost        n_s n_t dim multiplications per pair, 8 (n_s + n_t) dim bytes, no score matrix
//!
//! Source: Barrow et al. 1977 (IJCAI, chamfer matching) in the symmetric form of Fan et al. 2017
//! (arXiv 1612.00603), equation 1, with distances in place of their squares.

use super::reduce::{best_of_each, mean, smaller};
use super::rule::{About, Rule};
use crate::linalg::{SquaredDifference, TokenPanels};
use crate::tokens::TokenMatrix;

pub const ABOUT: About = About {
    name: "chamfer",
    formula: "1 / (1 + (mean_i min_j ||p_i - q_j|| + mean_j min_i ||p_i - q_j||) / 2)",
    summary: "Closeness of the token sets by the distance of each token to its nearest partner.",
    range: (0.0, 1.0),
    symmetric: true,
    scale_free: false,
    order_free: true,
    needs_equal_length: false,
    seeks_partners: true,
    parameters: &[],
};

pub struct Chamfer;

impl Rule for Chamfer {
    type Form = TokenPanels;

    fn form(&self, tokens: TokenMatrix<'_>) -> TokenPanels {
        TokenPanels::pack(tokens)
    }

    fn score(&self, source: &TokenPanels, target: &TokenPanels) -> f64 {
        let (mut of_source, mut of_target) =
            best_of_each(source, target, SquaredDifference, f64::INFINITY, smaller);
        for square in of_source.iter_mut().chain(&mut of_target) {
            *square = square.sqrt();
        }
        1.0 / (1.0 + 0.5 * (mean(&of_source) + mean(&of_target)))
    }
}
