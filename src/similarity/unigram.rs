//! Formula     cos(u_s, u_t), u_i = mean over the coordinates of token i
//! Shapes      source [n, dim], target [n, dim] -> one number
//! Range       [-1, 1]
//! Promises    symmetric, scale-free; not order-free; equal lengths
//! Zero rows   have u_i = 0; a prompt with all u_i = 0 has similarity 0
//! NaN         refused before; an overflow ends as an error, never as a number
//! Precision   f64 stored and added, coordinates in order
//! Cost        n dim additions once per prompt, n multiplications and 16 n bytes per pair
//!
//! Source: Lin et al. 2024 (arXiv 2407.16245), the reference code's "unigram". It compares only
//! the mean coordinate of each token, position by position.

use super::reduce::mean;
use super::rule::{About, Rule};
use crate::linalg::Ray;
use crate::tokens::TokenMatrix;

pub const ABOUT: About = About {
    name: "unigram",
    formula: "cos(u_s, u_t), u_i = mean_h p_ih",
    summary: "Cosine between the per-token mean coordinates.",
    range: (-1.0, 1.0),
    symmetric: true,
    scale_free: true,
    order_free: false,
    needs_equal_length: true,
    seeks_partners: false,
    parameters: &[],
};

pub struct Unigram;

impl Rule for Unigram {
    type Form = Ray;

    fn form(&self, tokens: TokenMatrix<'_>) -> Ray {
        Ray::new(tokens.rows().map(mean).collect())
    }

    fn score(&self, source: &Ray, target: &Ray) -> f64 {
        source.cosine(target)
    }
}
