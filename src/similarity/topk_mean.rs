//! Formula     mean_i of the mean of the k largest p_i . q_j over j; k at most n_t
//! Shapes      source [n_s, dim], target [n_t, dim] -> one number
//! Range       [-1, 1] for unit tokens
//! Promises    order-free; directed; any lengths; no padding
//! Zero rows   have product 0 with every token, and 0 may be among the largest
//! NaN         refused before; an overflow ends as an error, never as a number
//! Precision   f64 stored and added; products in order, the k largest from the largest down
//! Cost        n_s n_t dim multiplications per pair, 8 (n_s + n_t) dim bytes, 8 rows of scores
//!
//! Source: our generalisation of "Max" (Lin et al. 2024, arXiv 2407.16245): k = 1 is
//! `max_pairwise`, k >= n_t is `mean_pairwise`.

use super::reduce::{mean, mean_of_largest};
use super::rule::{About, Rule};
use crate::linalg::{Inner, TokenPanels, for_each_row};
use crate::tokens::TokenMatrix;

pub const ABOUT: About = About {
    name: "topk_mean",
    formula: "mean_i mean of the k largest_j p_i . q_j",
    summary: "Every token takes its k best partners; between max_pairwise and mean_pairwise.",
    range: (-1.0, 1.0),
    symmetric: false,
    scale_free: false,
    order_free: true,
    needs_equal_length: false,
    seeks_partners: true,
    parameters: &["k"],
};

pub struct TopkMean {
    pub k: usize,
}

impl Rule for TopkMean {
    type Form = TokenPanels;

    fn form(&self, tokens: TokenMatrix<'_>) -> TokenPanels {
        TokenPanels::pack(tokens)
    }

    fn score(&self, source: &TokenPanels, target: &TokenPanels) -> f64 {
        let mut best = Vec::with_capacity(source.n_tokens());
        let mut scratch = Vec::with_capacity(target.n_tokens());
        for_each_row(source, target, Inner, |_, scores| {
            best.push(mean_of_largest(scores, self.k, &mut scratch));
        });
        mean(&best)
    }
}
