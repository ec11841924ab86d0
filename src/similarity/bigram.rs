//! Formula     mean_g cos([p_2g, p_2g+1], [q_2g, q_2g+1]), pairs of neighbours without overlap
//! Shapes      source [n, dim], target [n, dim] -> one number
//! Range       [-1, 1]
//! Promises    symmetric, scale-free; not order-free; equal lengths
//! Zero rows   add nothing to their pair; a pair of zero rows has cosine 0
//! NaN         refused before; an overflow ends as an error, never as a number
//! Precision   f64 stored and added, in order
//! Cost        n dim multiplications and 16 n dim bytes per pair of prompts
//!
//! Source: Lin et al. 2024 (arXiv 2407.16245), the reference code's "bigram". Over unit tokens and
//! an even n it equals `flatten`. With an odd n the last token stands alone.

use super::reduce::mean;
use super::rule::{About, Rule};
use crate::linalg::Ray;
use crate::tokens::TokenMatrix;

pub const ABOUT: About = About {
    name: "bigram",
    formula: "mean_g cos([p_2g, p_2g+1], [q_2g, q_2g+1])",
    summary: "Mean cosine of neighbouring token pairs; equals flatten for unit tokens.",
    range: (-1.0, 1.0),
    symmetric: true,
    scale_free: true,
    order_free: false,
    needs_equal_length: true,
    seeks_partners: false,
    parameters: &[],
};

pub struct Bigram;

impl Rule for Bigram {
    type Form = Vec<Ray>;

    fn form(&self, tokens: TokenMatrix<'_>) -> Vec<Ray> {
        let pairs = tokens.values().chunks(2 * tokens.dim());
        pairs.map(|pair| Ray::new(pair.to_vec())).collect()
    }

    fn score(&self, source: &Vec<Ray>, target: &Vec<Ray>) -> f64 {
        let pairs = source.iter().zip(target);
        let cosines: Vec<f64> = pairs.map(|(left, right)| left.cosine(right)).collect();
        mean(&cosines)
    }
}
