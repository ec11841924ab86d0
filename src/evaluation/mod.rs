//! How good a predicted order of sources is, beside what chance and a perfect order would get.
//!
//! ```text
//! scores [n], truth [n] --> Orders: truth in predicted order, ties in groups --> metric
//!                           all in one group (random order)                  --> chance
//!                           ordered by the truth itself                      --> best
//! ```
//!
//! Every metric of an order with ties is its exact expectation when ties are broken at random.
//! A random order is the order in which everything is tied, so a chance level is the same
//! function on one group, and a ranking that ties everything scores exactly at chance.

mod best_rank;
mod corrections;
pub mod correlation;
pub mod decide;
mod friedman;
mod gains;
mod means;
mod ndcg;
mod permuted;
mod ranked;
mod top_k;

pub use corrections::adjusted;
pub use friedman::{Friedman, friedman};
pub use gains::{Gain, Units};
pub use means::{Summary, chance_corrected, seed_means, summarise};
pub use permuted::{Lists, permuted_means};
pub use ranked::{Orders, Ranked};

use ndarray::{Array2, Array3};
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::threads::Monitor;

/// Why a metric has no value for a list of candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Undefined {
    /// A list of none or one candidate has only one order.
    FewCandidates = 1,
    /// Equal gains make every order equally good.
    EqualGains = 2,
    /// No gain is positive, so there is no ideal to compare with.
    NoPositiveGain = 3,
    /// The gain convention needs a baseline that this list lacks.
    NoBaseline = 4,
    /// Regret is relative to the best score, which is zero or negative.
    BestNotPositive = 5,
    /// There are fewer candidates than k.
    FewerThanK = 6,
    /// A correlation needs measured scores that differ.
    EqualTruth = 7,
}

impl Undefined {
    /// All reasons, in the order of their codes from 1.
    pub const ALL: [Self; 7] = [
        Self::FewCandidates,
        Self::EqualGains,
        Self::NoPositiveGain,
        Self::NoBaseline,
        Self::BestNotPositive,
        Self::FewerThanK,
        Self::EqualTruth,
    ];

    /// The reason in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::FewCandidates => "fewer than two candidates, nothing to order",
            Self::EqualGains => "all gains are equal, every order is as good",
            Self::NoPositiveGain => "no gain is positive, there is no ideal to compare with",
            Self::NoBaseline => "no baseline was measured",
            Self::BestNotPositive => "the best score is not positive",
            Self::FewerThanK => "fewer candidates than k",
            Self::EqualTruth => "all measured scores are equal",
        }
    }
}

/// A metric beside what a random order gets on average and what a perfect order gets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// Of the predicted order, averaged over random tie breaking.
    pub value: f64,
    /// Of a uniformly random order, averaged.
    pub chance: f64,
    /// Of the order by the truth.
    pub best: f64,
}

/// A metric, or why it has none.
pub type Outcome = std::result::Result<Metric, Undefined>;

impl Metric {
    fn of(orders: &Orders, metric: impl Fn(&Ranked) -> f64) -> Self {
        Self {
            value: metric(&orders.predicted),
            chance: metric(&orders.tied),
            best: metric(&orders.ideal),
        }
    }
}

/// What is measured and in which convention.
#[derive(Debug, Clone, PartialEq)]
pub struct Protocol {
    /// How a measured score becomes a gain of NDCG.
    pub gain: Gain,
    /// What a measured score of 1 means.
    pub units: Units,
    /// Cut-offs of regret and top-k performance, each at least 1.
    pub k: Vec<usize>,
}

impl Protocol {
    /// Names of the metrics, in the order of [`Protocol::outcomes`].
    pub fn metric_names(&self) -> Vec<String> {
        let regrets = self.k.iter().map(|k| format!("regret@{k}"));
        let tops = self.k.iter().map(|k| format!("top@{k}"));
        let rest = ["average_rank", "spearman", "kendall"].map(String::from);
        [String::from("ndcg")]
            .into_iter()
            .chain(regrets)
            .chain(tops)
            .chain(rest)
            .collect()
    }

    /// All metrics of one list of candidates: predicted `scores [n]`, measured `truth [n]`.
    pub fn outcomes(
        &self,
        scores: &[f64],
        truth: &[f64],
        baseline: Option<f64>,
    ) -> Result<Vec<Outcome>> {
        if self.k.contains(&0) {
            return Err(Error::Value("k is 0, expected at least 1".into()));
        }
        let orders = Orders::new(scores, truth)?;
        (0..2 * self.k.len() + 4)
            .map(|metric| self.outcome_of(metric, &orders, scores, truth, baseline))
            .collect()
    }

    /// Metric number `metric` of one list of candidates.
    pub fn outcome(
        &self,
        metric: usize,
        scores: &[f64],
        truth: &[f64],
        baseline: Option<f64>,
    ) -> Result<Outcome> {
        if self.k.contains(&0) {
            return Err(Error::Value("k is 0, expected at least 1".into()));
        }
        let orders = Orders::new(scores, truth)?;
        self.outcome_of(metric, &orders, scores, truth, baseline)
    }

    fn outcome_of(
        &self,
        metric: usize,
        orders: &Orders,
        scores: &[f64],
        truth: &[f64],
        baseline: Option<f64>,
    ) -> Result<Outcome> {
        if orders.n() < 2 {
            return Ok(Err(Undefined::FewCandidates));
        }
        let n_cuts = self.k.len();
        let cut = |first: usize| self.k[metric - first];
        Ok(match metric {
            0 => ndcg::ndcg(orders, self, baseline),
            at if at <= n_cuts => top_k::regret(orders, cut(1)),
            at if at <= 2 * n_cuts => top_k::performance(orders, cut(1 + n_cuts), self.units),
            at if at == 2 * n_cuts + 1 => Ok(best_rank::best_rank(orders)),
            at if at == 2 * n_cuts + 2 => correlation::spearman(scores, truth)?,
            at if at == 2 * n_cuts + 3 => correlation::kendall(scores, truth),
            _ => return Err(Error::Value(format!("there is no metric number {metric}"))),
        })
    }
}

/// Metrics of many lists: `metrics [n_lists, n_metrics, 3]` holds value, chance and best, NaN
/// where undefined; `reasons [n_lists, n_metrics]` holds 0 or the code of the reason.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Value, chance and best.
    pub metrics: Array3<f64>,
    /// 0 where defined, else [`Undefined`] as its code.
    pub reasons: Array2<u8>,
}

/// Evaluates list after list; list `i` owns candidates `offsets[i]..offsets[i + 1]`, and a NaN
/// in `baseline [n_lists]` means that the list has none. Lists run in parallel, each alone, so
/// the number of threads changes nothing; the monitor counts them.
pub fn evaluate_lists(
    protocol: &Protocol,
    scores: &[f64],
    truth: &[f64],
    baseline: &[f64],
    offsets: &[usize],
    monitor: &Monitor,
) -> Result<Batch> {
    let n_lists = offsets.len().saturating_sub(1);
    let ordered = offsets.windows(2).all(|pair| pair[0] <= pair[1]);
    let ends = (offsets.first(), offsets.last());
    if !ordered || ends != (Some(&0), Some(&scores.len())) || baseline.len() != n_lists {
        return Err(Error::Shape(format!(
            "offsets must grow from 0 to the {} candidates, with one baseline a list",
            scores.len()
        )));
    }
    if truth.len() != scores.len() {
        return Err(Error::Shape(format!(
            "{} measured and {} predicted scores, expected as many of both",
            truth.len(),
            scores.len()
        )));
    }
    let outcomes: Vec<Vec<Outcome>> = (0..n_lists)
        .into_par_iter()
        .map(|list| {
            let candidates = offsets[list]..offsets[list + 1];
            let known = Some(baseline[list]).filter(|value| !value.is_nan());
            let result = protocol.outcomes(&scores[candidates.clone()], &truth[candidates], known);
            monitor.tick(1).and(result)
        })
        .collect::<Result<_>>()?;
    let n_metrics = protocol.metric_names().len();
    let mut metrics = Array3::from_elem((n_lists, n_metrics, 3), f64::NAN);
    let mut reasons = Array2::zeros((n_lists, n_metrics));
    for (place, outcome) in outcomes.into_iter().flatten().enumerate() {
        let (list, at) = (place / n_metrics, place % n_metrics);
        match outcome {
            Ok(metric) => {
                metrics[[list, at, 0]] = metric.value;
                metrics[[list, at, 1]] = metric.chance;
                metrics[[list, at, 2]] = metric.best;
            }
            Err(reason) => reasons[[list, at]] = reason as u8,
        }
    }
    Ok(Batch { metrics, reasons })
}

#[cfg(test)]
mod tests;
