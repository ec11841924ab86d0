//! Formula     1 / (1 + ||P - Q||_F)
//! Shapes      source [n, dim], target [n, dim] -> one number
//! Range       (0, 1]
//! Promises    symmetric; not scale-free, not order-free; equal lengths
//! Zero rows   are points at the origin; a prompt of zero rows only has similarity 0
//! NaN         refused before; distances beyond the range of f64 give 0, their limit
//! Precision   f64 stored and added, differences squared in order
//! Cost        n dim multiplications and 16 n dim bytes per pair
//!
//! Source: Su et al. 2022 (arXiv 2111.06719), section 5, E_concat (there on raw tokens:
//! `normalize=None`).

use super::rule::{About, Rule};
use crate::tokens::TokenMatrix;

pub const ABOUT: About = About {
    name: "euclidean_concat",
    formula: "1 / (1 + ||P - Q||_F)",
    summary: "Closeness of whole prompts as points, position by position.",
    range: (0.0, 1.0),
    symmetric: true,
    scale_free: false,
    order_free: false,
    needs_equal_length: true,
    seeks_partners: false,
    parameters: &[],
};

pub struct EuclideanConcat;

impl Rule for EuclideanConcat {
    type Form = Vec<f64>;

    fn form(&self, tokens: TokenMatrix<'_>) -> Vec<f64> {
        tokens.values().to_vec()
    }

    fn score(&self, source: &Vec<f64>, target: &Vec<f64>) -> f64 {
        let squares = source.iter().zip(target).map(|(p, q)| (p - q) * (p - q));
        1.0 / (1.0 + squares.sum::<f64>().sqrt())
    }
}
