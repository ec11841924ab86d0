//! How far the screen may be from the exact chain of one pair of tokens.
//!
//! With p, q the tokens, p', q' the rounded ones, r and t the parts of their norms by which rounding
//! moved them (|p - p'| = r |p|):
//!
//! ```text
//! |p.q - p'.q'|       <= |p||q| (r + t + r t)                   Cauchy-Schwarz, three terms
//! |chain(p, q) - p.q| <= |p||q| gamma                           Higham 2002, section 3.1
//! |screen - p'.q'|    <= |p||q| gamma (1 + r)(1 + t)            the same for the rounded tokens
//! ```
//!
//! Scaled scores are off by the scale times as much. The bound is used as a product `length *
//! reach`: one number of the token that looks for a partner, one of the token looked at.

use super::super::bound::{BESIDE, UNIT};

/// Roundings of two integer tokens whose steps are found again from what they were rounded to (four
/// a coordinate), of their sum to `f32`, and of its product with the steps. The sum itself is exact.
const OF_STEPS: f64 = 12.0;

/// Largest relative error of a sum of `dim` products, with what happens to it until it is compared.
pub fn gamma(dim: usize) -> f64 {
    // As in the error bound: instructions for bfloat16 drop what falls below 2^-126, a quarter of a
    // rounding an addition at most.
    let roundings = (1.25 * dim as f64 + BESIDE + OF_STEPS) * UNIT;
    if roundings < 1.0 {
        roundings / (1.0 - roundings)
    } else {
        f64::INFINITY
    }
}

/// How far two sums of the products of tokens of these norms, each in an order of its own, may be apart.
pub fn apart(length: f32, other: f32, gamma: f64) -> f64 {
    2.0 * gamma * f64::from(length) * f64::from(other)
}

/// What bounds a token that is looked at, for seekers that moved by `most` at most: its scaled norm
/// times the relative error. 0 for a token that scores 0 with everything.
pub fn reach(scale: f32, length: f32, moved: f32, most: f32, gamma: f64) -> f32 {
    let (moved, most) = (f64::from(moved), f64::from(most));
    let both = (1.0 + moved) * (1.0 + most);
    let relative = (both - 1.0) + gamma * (1.0 + both);
    // A thousandth of a thousandth covers rounding to f32, and products and sums with it.
    (f64::from(scale) * f64::from(length) * relative * (1.0 + 1e-6)) as f32
}
