//! From a measured score to the gain that NDCG adds up.
//!
//! ```text
//! exp2_percent   2^p - 1, p in percent       doubles with every point (Lin et al. 2024, code)
//! exp2_fraction  2^f - 1, f in 0..1          nearly linear
//! linear         p
//! rank           2^(N - r) - 1, r = rank of the truth from 0, ties averaged (TaskWeb, code)
//! clipped_gain   max(0, p - baseline)        only help over no transfer counts
//! ```
//!
//! NDCG is a ratio, so exponential gains are kept divided by 2^m with m = max(0, largest
//! exponent): 2^(g - m) - 2^(-m) cannot overflow and leaves the ratio as it is.

use super::{Ranked, Undefined};
use crate::error::{Error, Result};

/// What a measured score of 1 means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Units {
    /// 1 is everything.
    Fraction,
    /// 100 is everything.
    Percent,
}

impl Units {
    /// Finds units by name.
    pub fn from_name(name: &str) -> Result<Self> {
        match name {
            "fraction" => Ok(Self::Fraction),
            "percent" => Ok(Self::Percent),
            _ => Err(Error::UnknownName(format!(
                "unknown units '{name}'; known: 'fraction', 'percent'"
            ))),
        }
    }

    /// A measured score in percent.
    pub fn percent(self, score: f64) -> f64 {
        match self {
            Self::Fraction => score * 100.0,
            Self::Percent => score,
        }
    }

    fn fraction(self, score: f64) -> f64 {
        match self {
            Self::Fraction => score,
            Self::Percent => score / 100.0,
        }
    }
}

/// How a measured score becomes a gain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gain {
    /// 2^percent - 1
    Exp2Percent,
    /// 2^fraction - 1
    Exp2Fraction,
    /// percent
    Linear,
    /// 2^(N - rank of the truth) - 1
    Rank,
    /// percent above the baseline, or 0
    ClippedGain,
}

impl Gain {
    /// All conventions.
    pub const ALL: [Self; 5] = [
        Self::Exp2Percent,
        Self::Exp2Fraction,
        Self::Linear,
        Self::Rank,
        Self::ClippedGain,
    ];

    /// The one name of the convention.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exp2Percent => "exp2_percent",
            Self::Exp2Fraction => "exp2_fraction",
            Self::Linear => "linear",
            Self::Rank => "rank",
            Self::ClippedGain => "clipped_gain",
        }
    }

    /// Finds a convention by name.
    pub fn from_name(name: &str) -> Result<Self> {
        let known = Self::ALL.map(Self::name).join("', '");
        Self::ALL
            .into_iter()
            .find(|gain| gain.name() == name)
            .ok_or_else(|| Error::UnknownName(format!("unknown gain '{name}'; known: '{known}'")))
    }

    /// Gains [n] in the given order, up to a common positive factor; `ideal` is the order of the
    /// same candidates by their truth.
    pub fn gains(
        self,
        order: &Ranked,
        ideal: &Ranked,
        units: Units,
        baseline: Option<f64>,
    ) -> std::result::Result<Vec<f64>, Undefined> {
        let truth = order.truth();
        Ok(match self {
            Self::Exp2Percent => exp2_less_one(truth.iter().map(|&p| units.percent(p)).collect()),
            Self::Exp2Fraction => exp2_less_one(truth.iter().map(|&p| units.fraction(p)).collect()),
            Self::Linear => truth.iter().map(|&p| units.percent(p)).collect(),
            Self::Rank => exp2_less_one(relevance(order, ideal)),
            Self::ClippedGain => {
                let baseline = baseline.ok_or(Undefined::NoBaseline)?;
                let above = |&p: &f64| units.percent(p - baseline).max(0.0);
                truth.iter().map(above).collect()
            }
        })
    }
}

// Candidates minus the average rank of the truth: n for a single best, 1 for a single worst.
fn relevance(order: &Ranked, ideal: &Ranked) -> Vec<f64> {
    let sorted = ideal.truth();
    let rank = |value: f64| {
        let better = sorted.partition_point(|&other| other > value);
        let not_worse = sorted.partition_point(|&other| other >= value);
        (better + not_worse - 1) as f64 / 2.0
    };
    let n = sorted.len() as f64;
    order.truth().iter().map(|&value| n - rank(value)).collect()
}

fn exp2_less_one(exponents: Vec<f64>) -> Vec<f64> {
    let shift = exponents.iter().copied().fold(0.0, f64::max);
    let one = (-shift).exp2();
    exponents
        .into_iter()
        .map(|exponent| (exponent - shift).exp2() - one)
        .collect()
}
