//! Agreement of the whole order with the truth: Spearman's rho and Kendall's tau-b.
//!
//! ```text
//! Formula   rho   = Pearson correlation of average ranks
//!           tau_b = (C - D) / sqrt((n0 - ties in scores) (n0 - ties in truth)), n0 = n(n-1)/2
//! Shapes    scores [n], truth [n] -> one number
//! Range     -1 ..= 1; chance 0 for both
//! Promises  symmetric in scores and truth; unchanged by increasing maps of either
//! Zero rows 0 if all scores are equal, undefined if all truths are
//! NaN       refused by the ranks
//! Precision sums over halves of whole numbers, exact up to one square root and division
//! Cost      n log n comparisons
//! ```
//!
//! Source: Spearman (1904); Kendall (1945), Biometrika 33, for both corrections of ties. A
//! random order is as often reversed as not, so both expectations are 0.

use std::cmp::Ordering;

use super::{Metric, Outcome, Undefined};
use crate::error::Result;
use crate::selection::average_ranks;

/// Spearman's rho with average ranks.
pub fn spearman(scores: &[f64], truth: &[f64]) -> Result<Outcome> {
    let (predicted, measured) = (average_ranks(scores)?, average_ranks(truth)?);
    // Twice the distance to the mean rank is a whole number, so these sums are exact.
    let middle = (scores.len() as f64) - 1.0;
    let product = |a: &[f64], b: &[f64]| -> f64 {
        a.iter()
            .zip(b)
            .map(|(a, b)| (2.0 * a - middle) * (2.0 * b - middle))
            .sum()
    };
    Ok(outcome(
        product(&predicted, &measured),
        product(&predicted, &predicted),
        product(&measured, &measured),
    ))
}

/// Kendall's tau-b, by counting what a merge sort of the truth has to swap (Knight 1966).
pub fn kendall(scores: &[f64], truth: &[f64]) -> Outcome {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    let ascending = |a: f64, b: f64| a.partial_cmp(&b).unwrap_or(Ordering::Equal);
    order.sort_by(|&a, &b| {
        ascending(scores[a], scores[b]).then_with(|| ascending(truth[a], truth[b]))
    });
    let tied_scores = tied_pairs(&order, |a, b| scores[a] == scores[b]);
    let tied_both = tied_pairs(&order, |a, b| {
        scores[a] == scores[b] && truth[a] == truth[b]
    });
    let mut values: Vec<f64> = order.iter().map(|&at| truth[at]).collect();
    let swaps = sort_counting(&mut values, &mut vec![0.0; scores.len()]);
    let sorted: Vec<usize> = (0..values.len()).collect();
    let tied_truth = tied_pairs(&sorted, |a, b| values[a] == values[b]);
    let all = pairs(scores.len());
    // Pairs tied on neither side agree unless the sort swaps them.
    let product = all + tied_both - tied_scores - tied_truth - 2.0 * swaps;
    outcome(product, all - tied_scores, all - tied_truth)
}

// Pair counts are whole numbers below 2^53 for up to a hundred million candidates.
fn pairs(n: usize) -> f64 {
    n as f64 * (n as f64 - 1.0) / 2.0
}

fn tied_pairs(order: &[usize], equal: impl Fn(usize, usize) -> bool) -> f64 {
    let runs = order.chunk_by(|&a, &b| equal(a, b));
    runs.map(|run| pairs(run.len())).sum()
}

// Sorts ascending and returns how many pairs stood in descending order.
fn sort_counting(values: &mut [f64], buffer: &mut [f64]) -> f64 {
    let n = values.len();
    if n < 2 {
        return 0.0;
    }
    let (left, right) = values.split_at_mut(n / 2);
    let mut swaps = sort_counting(left, buffer) + sort_counting(right, buffer);
    let (mut a, mut b) = (0, 0);
    for slot in buffer[..n].iter_mut() {
        if b == right.len() || (a < left.len() && left[a] <= right[b]) {
            *slot = left[a];
            a += 1;
        } else {
            *slot = right[b];
            b += 1;
            swaps += (left.len() - a) as f64;
        }
    }
    values.copy_from_slice(&buffer[..n]);
    swaps
}

fn outcome(product: f64, scores: f64, truth: f64) -> Outcome {
    if truth == 0.0 {
        return Err(Undefined::EqualTruth);
    }
    // A method that ties everything says nothing. Leaving its targets out would flatter it, so it
    // gets what a random order gets. The root of a product, unlike a product of roots, is exact
    // for equal sums.
    let value = if scores == 0.0 {
        0.0
    } else {
        (product / (scores * truth).sqrt()).clamp(-1.0, 1.0)
    };
    Ok(Metric {
        value,
        chance: 0.0,
        best: 1.0,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn counting_swaps_is_counting_pairs(
            pairs in prop::collection::vec((0i8..5, 0i8..5), 2..30)
        ) {
            let (scores, truth): (Vec<f64>, Vec<f64>) =
                pairs.iter().map(|pair| (f64::from(pair.0), f64::from(pair.1))).unzip();
            let (mut agreement, mut by_scores, mut by_truth) = (0i64, 0i64, 0i64);
            for (at, one) in pairs.iter().enumerate() {
                for other in &pairs[..at] {
                    let a = i64::from((one.0 - other.0).signum());
                    let b = i64::from((one.1 - other.1).signum());
                    agreement += a * b;
                    by_scores += a * a;
                    by_truth += b * b;
                }
            }
            let wanted = outcome(agreement as f64, by_scores as f64, by_truth as f64);
            prop_assert_eq!(kendall(&scores, &truth), wanted);
        }
    }
}
