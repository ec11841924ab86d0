//! How far repeated measurements agree: on orders, on the best source, on where variance lies.
//!
//! ```text
//! table [n_seeds, n_sources] of one target --> agreement of orders, beside its exact chance level
//! cube  [n_targets, n_sources, n_seeds]    --> components of variance with intervals
//! ```
//!
//! Ties are broken at random and the exact expectation is taken, except in the correlations,
//! which have their own corrections of ties. Chance levels are of independent uniform orders.

mod components;
mod overlap;
mod tau;

pub use components::{COMPONENTS, Components, components};
pub use overlap::{best_agreement, jaccard, jaccard_chance, rbo, rbo_chance};
pub use tau::{concordance, kendall, spearman, split_half, weighted_kendall};

use crate::error::{Error, Result};

/// A measure of how two orders agree.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Agreement {
    /// Correlation of average ranks.
    Spearman,
    /// Kendall's tau-b.
    Kendall,
    /// Kendall's tau with hyperbolic weights, the top counting most.
    WeightedKendall,
    /// Rank-biased overlap with this persistence.
    Rbo(f64),
    /// Shared part of the best k.
    Jaccard(usize),
    /// Whether the best is the same.
    Best,
}

impl Agreement {
    /// Finds a measure by name; `persistence` and `k` belong to two of them.
    pub fn from_name(name: &str, persistence: f64, k: usize) -> Result<Self> {
        match name {
            "spearman" => Ok(Self::Spearman),
            "kendall" => Ok(Self::Kendall),
            "weighted_kendall" => Ok(Self::WeightedKendall),
            "rbo" if persistence > 0.0 && persistence < 1.0 => Ok(Self::Rbo(persistence)),
            "rbo" => Err(Error::Value(format!(
                "persistence is {persistence}, expected more than 0 and less than 1"
            ))),
            "top_k_jaccard" if k > 0 => Ok(Self::Jaccard(k)),
            "top_k_jaccard" => Err(Error::Value("k is 0, expected at least 1".into())),
            "best_source" => Ok(Self::Best),
            _ => Err(Error::UnknownName(format!(
                "unknown agreement '{name}'; known: 'spearman', 'kendall', 'weighted_kendall', \
                 'rbo', 'top_k_jaccard', 'best_source'"
            ))),
        }
    }

    /// Agreement of two lists of scores and its chance level; NaN where it has no value: below
    /// two candidates, for a correlation with a list of equal scores, for k beyond the list.
    pub fn of(self, first: &[f64], second: &[f64]) -> Result<(f64, f64)> {
        if first.len() != second.len() {
            return Err(Error::Shape(format!(
                "{} and {} scores, expected as many of both",
                first.len(),
                second.len()
            )));
        }
        if first.iter().chain(second).any(|score| !score.is_finite()) {
            return Err(Error::NonFinite(
                "a score to compare is missing or infinite; leave the candidate out".into(),
            ));
        }
        let n = first.len();
        if n < 2 {
            return Ok((f64::NAN, f64::NAN));
        }
        Ok(match self {
            Self::Spearman => (spearman(first, second)?, 0.0),
            Self::Kendall => (kendall(first, second), 0.0),
            Self::WeightedKendall => (weighted_kendall(first, second), 0.0),
            Self::Rbo(persistence) => {
                let value = rbo(first, second, persistence)?;
                (value, rbo_chance(n, persistence))
            }
            Self::Jaccard(k) if k > n => (f64::NAN, f64::NAN),
            Self::Jaccard(k) => (jaccard(first, second, k)?, jaccard_chance(n, k)),
            Self::Best => (best_agreement(first, second)?, 1.0 / n as f64),
        })
    }

    /// Mean over all pairs of rows of `table`, and the mean of their chance levels.
    pub fn mean_pairwise(self, table: &[Vec<f64>]) -> Result<(f64, f64)> {
        let (mut value, mut chance, mut count) = (0.0, 0.0, 0.0);
        for (at, first) in table.iter().enumerate() {
            for second in &table[at + 1..] {
                let found = self.of(first, second)?;
                if !found.0.is_nan() {
                    value += found.0;
                    chance += found.1;
                    count += 1.0;
                }
            }
        }
        Ok((value / count, chance / count))
    }
}
