//! Formula     ||X^T Y||_F^2 / (||X^T X||_F ||Y^T Y||_F), columns centred; rows are positions
//! Shapes      source [n, dim], target [n, dim] -> one number
//! Range       [0, 1]
//! Promises    symmetric, scale-free; not order-free; equal lengths
//! Zero rows   are observations like any other; a prompt of equal tokens has similarity 0
//! NaN         refused before; an overflow ends as an error, never as a number
//! Precision   f64 stored and added; through Gram matrices, each entry over dim in order
//! Cost        n n dim once per prompt, n n multiplications and 16 n n bytes per pair
//!
//! Source: Kornblith et al. 2019 (arXiv 1905.00414), section 3, linear CKA. With K = X X^T and
//! L = Y Y^T of the centred columns the formula is <K, L>_F / (||K||_F ||L||_F).

use super::prepare::drop_rounding;
use super::rule::{About, Rule};
use crate::linalg::{Inner, Ray, TokenPanels, for_each_row, mean_row, unit};
use crate::tokens::TokenMatrix;

pub const ABOUT: About = About {
    name: "linear_cka",
    formula: "||X^T Y||_F^2 / (||X^T X||_F ||Y^T Y||_F), columns centred",
    summary: "Whether the same positions are close together in both prompts, up to rotation.",
    range: (0.0, 1.0),
    symmetric: true,
    scale_free: true,
    order_free: false,
    needs_equal_length: true,
    seeks_partners: false,
    parameters: &[],
};

pub struct LinearCka;

impl Rule for LinearCka {
    type Form = Ray;

    fn form(&self, tokens: TokenMatrix<'_>) -> Ray {
        let (dim, count) = (tokens.dim(), tokens.n_tokens());
        let mean = mean_row(tokens.values(), dim);
        let mut centred = tokens.values().to_vec();
        for row in centred.chunks_exact_mut(dim) {
            drop_rounding(row, &mean, count);
        }
        unit(&mut centred);
        let panels = TokenPanels::pack_rows(&centred, dim);
        let mut gram = Vec::with_capacity(count * count);
        for_each_row(&panels, &panels, Inner, |_, products| {
            gram.extend_from_slice(products);
        });
        Ray::new(gram)
    }

    fn score(&self, source: &Ray, target: &Ray) -> f64 {
        source.cosine(target).clamp(0.0, 1.0)
    }
}
