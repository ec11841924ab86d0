//! Agreement of the whole order with the truth: Spearman's rho and Kendall's tau-b.
//!
//! ```text
//! Formula   rho   = Pearson correlation of average ranks
//!           tau_b = (C - D) / sqrt((n0 - ties in scores) (n0 - ties in truth)), n0 = n(n-1)/2
//! Shapes    scores [n], truth [n] -> one number
//! Range     -1 ..= 1; chance 0 for both
//! Promises  symmetric in scores and truth; unchanged by increasing maps of either
//! Zero rows undefined if all scores or all truths are equal
//! NaN       refused by the ranks
//! Precision sums over halves of whole numbers, exact up to one square root and division
//! Cost      rho n log n, tau n^2 / 2 comparisons
//! ```
//!
//! Source: Spearman (1904); Kendall (1945), Biometrika 33, for both corrections of ties. A
//! random order is as often reversed as not, so both expectations are 0.

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

/// Kendall's tau-b.
pub fn kendall(scores: &[f64], truth: &[f64]) -> Outcome {
    let (mut agreement, mut by_scores, mut by_truth) = (0i64, 0i64, 0i64);
    for (at, (score, value)) in scores.iter().zip(truth).enumerate() {
        for (other_score, other_value) in scores[..at].iter().zip(&truth[..at]) {
            let (a, b) = (sign(score, other_score), sign(value, other_value));
            agreement += a * b;
            by_scores += a * a;
            by_truth += b * b;
        }
    }
    outcome(agreement as f64, by_scores as f64, by_truth as f64)
}

fn sign(a: &f64, b: &f64) -> i64 {
    i64::from(a > b) - i64::from(a < b)
}

fn outcome(product: f64, scores: f64, truth: f64) -> Outcome {
    if scores == 0.0 {
        return Err(Undefined::EqualScores);
    }
    if truth == 0.0 {
        return Err(Undefined::EqualTruth);
    }
    Ok(Metric {
        // One root of each keeps the product of large sums in range; rounding is cut off.
        value: (product / (scores.sqrt() * truth.sqrt())).clamp(-1.0, 1.0),
        chance: 0.0,
        best: 1.0,
    })
}
