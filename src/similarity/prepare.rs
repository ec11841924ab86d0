//! What happens to tokens before a kernel sees them: subtract the frame's origin, then divide by
//! the norm. In this order, because training moves raw tokens away from an initialisation, not
//! directions, and because it reproduces the published effect (max_pairwise centred by position:
//! NDCG 66.1 on RoBERTa-base, 84.5 on T5-base). Centring unit tokens and normalising again would
//! give 83.1 and 87.1 there, but leaves no place for a known initial prompt.

use super::centre::Frame;
use crate::linalg::unit;
use crate::tokens::TokenMatrix;

/// What is done to the length of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Normalize {
    /// Nothing: raw inner products and points.
    Nothing,
    /// Every token is divided by its Euclidean norm; zero tokens stay zero.
    Tokens,
}

/// The tokens of one task as kernels compare them, or None if every one of them is zero: such a
/// task has similarity 0 with everything.
pub fn prepare(tokens: TokenMatrix<'_>, frame: &Frame, normalize: Normalize) -> Option<Vec<f64>> {
    let dim = tokens.dim();
    let mut values = tokens.values().to_vec();
    for (position, row) in values.chunks_exact_mut(dim).enumerate() {
        frame.subtract(position, row);
        if normalize == Normalize::Tokens {
            unit(row);
        }
    }
    values.iter().any(|&value| value != 0.0).then_some(values)
}

/// Subtracts a mean of `count` rows from `row`. What is left of a row that equals the mean up to
/// the rounding of that mean is no direction and becomes zero.
pub fn drop_rounding(row: &mut [f64], mean: &[f64], count: usize) {
    let largest = row
        .iter()
        .fold(0.0, |best: f64, value| best.max(value.abs()));
    let mut left: f64 = 0.0;
    for (value, centre) in row.iter_mut().zip(mean) {
        *value -= centre;
        left = left.max(value.abs());
    }
    if left <= count as f64 * f64::EPSILON * largest {
        row.fill(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rounding_of_a_mean_is_no_direction() {
        let value = 0.1;
        let mean = (value + value + value) / 3.0;
        assert_ne!(value, mean);
        let mut row = [value, value];
        drop_rounding(&mut row, &[mean, mean], 3);
        assert_eq!(row, [0.0, 0.0]);
        let mut row = [value + 1e-12, value];
        drop_rounding(&mut row, &[mean, mean], 3);
        assert_ne!(row, [0.0, 0.0]);
    }

    #[test]
    fn a_task_of_zero_tokens_has_nothing_to_compare() {
        let tokens = TokenMatrix::new(&[0.0; 6], 3).unwrap();
        assert_eq!(prepare(tokens, &Frame::default(), Normalize::Tokens), None);
        assert_eq!(prepare(tokens, &Frame::default(), Normalize::Nothing), None);
    }
}
