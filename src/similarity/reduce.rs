//! Reductions that several kernels share. Each keeps a fixed order of additions.

use crate::linalg::{Term, TokenPanels, for_each_tile};

/// The larger of two scores; NaN stays NaN instead of losing every comparison.
#[inline(always)]
pub fn larger(best: f64, score: f64) -> f64 {
    if score > best || score.is_nan() {
        score
    } else {
        best
    }
}

/// The smaller of two scores; NaN stays NaN.
#[inline(always)]
pub fn smaller(best: f64, score: f64) -> f64 {
    if score < best || score.is_nan() {
        score
    } else {
        best
    }
}

/// Mean, added in order.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The best score of every source token and of every target token, from one product.
pub fn best_of_each<T: Term>(
    source: &TokenPanels,
    target: &TokenPanels,
    term: T,
    worst: f64,
    better: impl Fn(f64, f64) -> f64,
) -> (Vec<f64>, Vec<f64>) {
    let mut of_source = vec![worst; source.n_tokens()];
    let mut of_target = vec![worst; target.n_tokens()];
    for_each_tile(source, target, term, |tile| {
        let columns = &mut of_target[tile.first_column..];
        for (row, scores) in of_source[tile.first_row..].iter_mut().zip(tile.rows()) {
            for (column, &score) in columns.iter_mut().zip(scores) {
                *row = better(*row, score);
                *column = better(*column, score);
            }
        }
    });
    (of_source, of_target)
}

/// Mean of the `k` largest scores, added from the largest down. `scratch` is overwritten.
pub fn mean_of_largest(scores: &[f64], k: usize, scratch: &mut Vec<f64>) -> f64 {
    scratch.clear();
    scratch.extend_from_slice(scores);
    let k = k.min(scratch.len());
    if k < scratch.len() {
        scratch.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a));
    }
    let kept = &mut scratch[..k];
    kept.sort_unstable_by(|a, b| b.total_cmp(a));
    mean(kept)
}

/// Mean of the scores weighted by `exp(score / temperature)`.
pub fn soft_maximum(scores: &[f64], temperature: f64) -> f64 {
    // Taking the largest score out keeps every exponent at or below zero.
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, larger);
    let (mut weighted, mut total) = (0.0, 0.0);
    for &score in scores {
        let weight = ((score - largest) / temperature).exp();
        weighted += weight * score;
        total += weight;
    }
    weighted / total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_wins_every_comparison() {
        assert!(larger(larger(1.0, f64::NAN), 2.0).is_nan());
        assert!(smaller(smaller(1.0, f64::NAN), 0.0).is_nan());
        assert_eq!(larger(-3.0, -2.0), -2.0);
        assert_eq!(smaller(-3.0, -2.0), -3.0);
    }

    #[test]
    fn the_largest_are_averaged_and_k_stops_at_the_number_of_scores() {
        let mut scratch = Vec::new();
        assert_eq!(mean_of_largest(&[1.0, 4.0, 2.0], 1, &mut scratch), 4.0);
        assert_eq!(mean_of_largest(&[1.0, 4.0, 2.0], 2, &mut scratch), 3.0);
        assert_eq!(mean_of_largest(&[1.0, 4.0], 9, &mut scratch), 2.5);
    }

    #[test]
    fn the_soft_maximum_runs_from_the_maximum_to_the_mean() {
        let scores = [0.5, -1.0, 0.25];
        assert_eq!(soft_maximum(&scores, 1e-300), 0.5);
        assert_eq!(soft_maximum(&scores, f64::INFINITY), -0.25 / 3.0);
    }
}
