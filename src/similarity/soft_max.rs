//! Formula     mean_i sum_j w_ij p_i . q_j, w_ij = softmax over j of p_i . q_j / temperature
//! Shapes      source [n_s, dim], target [n_t, dim] -> one number
//! Range       [-1, 1] for unit tokens
//! Promises    order-free; directed; any lengths; no padding
//! Zero rows   have product 0 with every token, so their mean over j is 0
//! NaN         refused before; an overflow ends as an error, never as a number
//! Precision   f64 stored and added; products, weights and mean in order
//! Cost        n_s n_t (dim multiplications + 1 exponential) per pair, 8 rows of scores
//!
//! Source: our smoothing of "Max" (Lin et al. 2024, arXiv 2407.16245) by the Boltzmann operator:
//! temperature -> 0 is `max_pairwise`, temperature -> infinity is `mean_pairwise`.

use super::reduce::{mean, soft_maximum};
use super::rule::{About, Rule};
use crate::linalg::{Inner, TokenPanels, for_each_row};
use crate::tokens::TokenMatrix;

pub const ABOUT: About = About {
    name: "soft_max",
    formula: "mean_i sum_j softmax_j(p_i . q_j / temperature) p_i . q_j",
    summary: "Every token weighs its partners by their score; smooth between maximum and mean.",
    range: (-1.0, 1.0),
    symmetric: false,
    scale_free: false,
    order_free: true,
    needs_equal_length: false,
    seeks_partners: true,
    parameters: &["temperature"],
};

pub struct SoftMax {
    pub temperature: f64,
}

impl Rule for SoftMax {
    type Form = TokenPanels;

    fn form(&self, tokens: TokenMatrix<'_>) -> TokenPanels {
        TokenPanels::pack(tokens)
    }

    fn score(&self, source: &TokenPanels, target: &TokenPanels) -> f64 {
        let mut soft = Vec::with_capacity(source.n_tokens());
        for_each_row(source, target, Inner, |_, scores| {
            soft.push(soft_maximum(scores, self.temperature));
        });
        mean(&soft)
    }
}
