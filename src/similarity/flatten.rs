//! Formula     cos(vec P, vec Q), all numbers of a prompt as one vector
//! Shapes      source [n, dim], target [n, dim] -> one number
//! Range       [-1, 1]
//! Promises    symmetric, scale-free; not order-free; equal lengths
//! Zero rows   add nothing to the inner product; a zero prompt has similarity 0
//! NaN         refused before; an overflow ends as an error, never as a number
//! Precision   f64 stored and added, in order
//! Cost        n dim multiplications and 16 n dim bytes per pair
//!
//! Source: Lin et al. 2024 (arXiv 2407.16245), the reference code's "flatten"; raw, C_concat of
//! Su et al. 2022 (arXiv 2111.06719). Over unit tokens it is the mean cosine of equal positions.

use super::rule::{About, Rule};
use crate::linalg::Ray;
use crate::tokens::TokenMatrix;

pub const ABOUT: About = About {
    name: "flatten",
    formula: "cos(vec P, vec Q)",
    summary: "Cosine between whole prompts; for unit tokens the mean cosine of equal positions.",
    range: (-1.0, 1.0),
    symmetric: true,
    scale_free: true,
    order_free: false,
    needs_equal_length: true,
    seeks_partners: false,
    parameters: &[],
};

pub struct Flatten;

impl Rule for Flatten {
    type Form = Ray;

    fn form(&self, tokens: TokenMatrix<'_>) -> Ray {
        Ray::new(tokens.values().to_vec())
    }

    fn score(&self, source: &Ray, target: &Ray) -> f64 {
        source.cosine(target)
    }
}
