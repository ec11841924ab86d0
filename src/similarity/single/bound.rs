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
/// Maxima and means of the largest pass the bound on unchanged. A softmax mean moves by at most
/// `1 + s / temperature` times as much, `s` the largest score.
pub fn error_bound(
    dim: usize,
    largest_norms: (f64, f64),
    reduction: Reduction,
    is_cosine: bool,
) -> f64 {
    let roundings = (dim as f64 + BESIDE) * UNIT;
    if roundings >= 1.0 {
        return f64::INFINITY;
    }
    let largest = if is_cosine {
        1.0
    } else {
        largest_norms.0 * largest_norms.1
    };
    let bound = largest * roundings / (1.0 - roundings);
    match reduction {
        Reduction::Soft(temperature) => bound * (1.0 + (largest + bound) / temperature),
        Reduction::Best | Reduction::Largest(_) => bound,
    }
}
