//! Formula     mean_ij p_i . q_j = (mean_i p_i) . (mean_j q_j)
//! Shapes      source [n_s, dim], target [n_t, dim] -> one number
//! Range       [-1, 1] for unit tokens
//! Promises    symmetric, order-free; any lengths
//! Zero rows   have product 0 with every token and count in the mean
//! NaN         refused before; an overflow ends as an error, never as a number
//! Precision   f64 added, tokens in order, read as they are stored
//! Cost        one pass over the tokens, then dim multiplications per pair in register tiles
//!
//! Source: Vu et al. 2022 (SPoT, arXiv 2110.07904), section 4, "per-token average cosine";
//! C_avg of Su et al. 2022 (arXiv 2111.06719). The closed form is the inner product of the means.

use super::means::OfMeans;
use super::rule::About;

pub const ABOUT: About = About {
    name: "mean_pairwise",
    formula: "mean_ij p_i . q_j",
    summary: "Mean score over all pairs of tokens.",
    range: (-1.0, 1.0),
    symmetric: true,
    scale_free: false,
    order_free: true,
    needs_equal_length: false,
    seeks_partners: false,
    parameters: &[],
};

pub struct MeanPairwise;

impl OfMeans for MeanPairwise {
    fn form(mean: Vec<f64>) -> (Vec<f64>, f64) {
        (mean, 0.0)
    }

    fn score(product: f64, _: f64, _: f64) -> f64 {
        product
    }
}
