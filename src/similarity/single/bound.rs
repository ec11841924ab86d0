//! How far a score in single precision may be from the score of the same tokens in exact numbers.

use super::Reduction;

/// Half the distance from 1 to the next `f32`.
const UNIT: f64 = f32::EPSILON as f64 / 2.0;

/// Roundings beside those of the sum itself: two tokens that were moved or rounded to `f32`, two
/// norms of five each, the scale, the product with it, and one for all that happens in `f64`.
const BESIDE: f64 = 15.0;

/// Bound on the error of every score. A sum of `dim` products, each fused or not, is off by at
/// most `gamma |p| . |q|`, and `|p| . |q|` is at most the product of the norms: Higham 2002,
/// Accuracy and Stability of Numerical Algorithms, section 3.1, `gamma = n u / (1 - n u)`.
/// Where tokens were rounded to bfloat16, `rounded` holds the largest part of a norm by which that
/// moved a token, on both sides. Maxima and means of the largest pass the bound on unchanged. A softmax mean moves by at most
/// `1 + s / temperature` times as much, `s` the largest score.
pub fn error_bound(
    dim: usize,
    largest_norms: (f64, f64),
    rounded: Option<(f64, f64)>,
    reduction: Reduction,
    is_cosine: bool,
) -> f64 {
    // Instructions for bfloat16 also drop what falls below 2^-126: with norms above 2^-50, a quarter
    // of a rounding an addition at most.
    let additions = dim as f64 * if rounded.is_some() { 1.25 } else { 1.0 };
    let roundings = (additions + BESIDE) * UNIT;
    if roundings >= 1.0 {
        return f64::INFINITY;
    }
    let largest = if is_cosine {
        1.0
    } else {
        largest_norms.0 * largest_norms.1
    };
    // A token moved by a part `r` of its norm turns by an angle of sine `r` at most, its products
    // change by that part of the norms; a thousandth covers the chord and the roundings of `r`.
    let moved = rounded.unwrap_or_default();
    let moved = 1.001 * (moved.0 + moved.1 + moved.0 * moved.1);
    let bound = largest * (roundings / (1.0 - roundings) + moved);
    match reduction {
        Reduction::Soft(temperature) => bound * (1.0 + (largest + bound) / temperature),
        Reduction::Best | Reduction::Largest(_) => bound,
    }
}
