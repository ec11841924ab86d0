//! Formula     mean_i max_j p_i . q_j, i over source tokens, j over target tokens
//! Shapes      source [n_s, dim], target [n_t, dim] -> one number
//! Range       [-1, 1] for unit tokens
//! Promises    order-free; directed; any lengths; no padding, so negative maxima stay negative
//! Zero rows   have product 0 with every token, and 0 may be the maximum
//! NaN         refused before; an overflow ends as an error, never as a number
//! Precision   f64 stored and added; each product over dim in order, the mean over i in order
//! Cost        n_s n_t dim multiplications per pair, 8 (n_s + n_t) dim bytes, no score matrix
//!
//! Source: Lin et al. 2024 (arXiv 2407.16245), "Max", source to target as in the reference code;
//! the late interaction of Khattab and Zaharia 2020 (arXiv 2004.12832), equation 3, as a mean.

use super::reduce::{best_of_each, larger, mean};
use super::rule::{About, Rule};
use crate::linalg::{Inner, TokenPanels};
use crate::tokens::TokenMatrix;

pub const ABOUT: About = About {
    name: "max_pairwise",
    formula: "mean_i max_j p_i . q_j",
    summary: "Every token takes its best partner; the mean of these best scores.",
    range: (-1.0, 1.0),
    symmetric: false,
    scale_free: false,
    order_free: true,
    needs_equal_length: false,
    seeks_partners: true,
    parameters: &[],
};

pub struct MaxPairwise;

impl Rule for MaxPairwise {
    type Form = TokenPanels;

    const BOTH_AT_ONCE: bool = true;

    fn form(&self, tokens: TokenMatrix<'_>) -> TokenPanels {
        TokenPanels::pack(tokens)
    }

    fn score(&self, source: &TokenPanels, target: &TokenPanels) -> f64 {
        self.both(source, target).0
    }

    fn both(&self, source: &TokenPanels, target: &TokenPanels) -> (f64, f64) {
        let (of_source, of_target) = best_of_each(source, target, Inner, f64::NEG_INFINITY, larger);
        (mean(&of_source), mean(&of_target))
    }
}
