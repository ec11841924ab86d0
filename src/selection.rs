//! Orders with ties: candidates from best to worst, equal scores in one group.
//!
//! ```text
//! Formula   average_rank(i) = #{j: s_j > s_i} + (#{j: s_j = s_i} - 1) / 2, from 0, best first
//! Shapes    scores [n] -> ranks [n]
//! Range     0 ..= n - 1; the sum is n (n - 1) / 2 whatever the ties
//! Promises  order-free; unchanged by every strictly increasing map of the scores
//! Zero rows not applicable; +0 and -0 are equal scores
//! NaN       refused, and so is infinity: an order over NaN means nothing
//! Precision ranks are halves of whole numbers, exact in f64
//! Cost      n log n comparisons
//! ```
//!
//! Source: fractional ("average") ranking as used for Spearman's rho with ties, Kendall (1945),
//! "The treatment of ties in ranking problems", Biometrika 33.

use std::cmp::Ordering;
use std::ops::Range;

use crate::error::{Error, Result};

/// Candidates from best to worst; candidates of one group have equal scores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    indices: Vec<usize>,
    bounds: Vec<usize>,
}

impl Order {
    /// Sorts by descending score, and inside a group by descending `tie_values`, so that sums
    /// over a group see the same sequence whatever the order of the input.
    pub fn descending(scores: &[f64], tie_values: &[f64]) -> Result<Self> {
        if scores.len() != tie_values.len() {
            return Err(Error::Shape(format!(
                "{} scores and {} values, expected as many of both",
                scores.len(),
                tie_values.len()
            )));
        }
        check_finite("score", scores)?;
        check_finite("value", tie_values)?;
        let mut indices: Vec<usize> = (0..scores.len()).collect();
        indices.sort_by(|&a, &b| {
            larger_first(scores[a], scores[b])
                .then_with(|| larger_first(tie_values[a], tie_values[b]))
        });
        let starts = (0..indices.len())
            .filter(|&at| at == 0 || scores[indices[at]] != scores[indices[at - 1]]);
        let bounds = starts.chain([indices.len()]).collect();
        Ok(Self { indices, bounds })
    }

    /// Candidate numbers from best to worst.
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }

    /// Position ranges of the groups of equal scores, best group first.
    pub fn groups(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.bounds.windows(2).map(|pair| pair[0]..pair[1])
    }

    /// Where the groups start, and the number of candidates as the last bound.
    pub fn bounds(&self) -> &[usize] {
        &self.bounds
    }
}

/// Ranks from 0, best (largest score) first; equal scores share the mean of their ranks.
pub fn average_ranks(scores: &[f64]) -> Result<Vec<f64>> {
    let order = Order::descending(scores, scores)?;
    let mut ranks = vec![0.0; scores.len()];
    for group in order.groups() {
        let rank = (group.start + group.end - 1) as f64 / 2.0;
        for &index in &order.indices[group] {
            ranks[index] = rank;
        }
    }
    Ok(ranks)
}

fn check_finite(what: &str, values: &[f64]) -> Result<()> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(Error::NonFinite(format!(
            "{what} number {at} is {}, expected a finite number",
            values[at]
        ))),
        None => Ok(()),
    }
}

// Finite numbers only: partial_cmp, unlike total_cmp, calls +0 and -0 equal.
fn larger_first(a: f64, b: f64) -> Ordering {
    b.partial_cmp(&a).unwrap_or(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tied_scores_share_the_mean_of_their_ranks() {
        let ranks = average_ranks(&[1.0, 3.0, 3.0, 0.0, 1.0]).unwrap();
        assert_eq!(ranks, [2.5, 0.5, 0.5, 4.0, 2.5]);
        assert!(average_ranks(&[]).unwrap().is_empty());
    }

    #[test]
    fn both_zeros_are_one_score() {
        assert_eq!(average_ranks(&[0.0, -0.0]).unwrap(), [0.5, 0.5]);
    }

    #[test]
    fn nan_has_no_rank() {
        let error = average_ranks(&[0.0, f64::NAN]).unwrap_err();
        assert!(matches!(error, Error::NonFinite(text) if text.contains("number 1")));
    }

    #[test]
    fn groups_are_ordered_inside_by_their_values() {
        let order = Order::descending(&[1.0, 2.0, 1.0], &[5.0, 0.0, 7.0]).unwrap();
        assert_eq!(order.indices(), [1, 2, 0]);
        assert_eq!(order.bounds(), [0, 1, 3]);
        assert!(Order::descending(&[1.0], &[]).is_err());
    }

    proptest! {
        #[test]
        fn ranks_count_the_better_and_half_of_the_equal(
            scores in prop::collection::vec(-3i8..3, 0..12)
        ) {
            let scores: Vec<f64> = scores.into_iter().map(f64::from).collect();
            let ranks = average_ranks(&scores).unwrap();
            for (score, rank) in scores.iter().zip(ranks) {
                let better = scores.iter().filter(|other| *other > score).count();
                let equal = scores.iter().filter(|other| *other == score).count();
                prop_assert_eq!(rank, better as f64 + (equal - 1) as f64 / 2.0);
            }
        }
    }
}
