//! What a metric comes to when a method's scores are dealt to the sources at random.
//!
//! ```text
//! Formula   mean over targets of the mean over lists of metric(scores[deal], truth)
//! Shapes    lists of candidates -> replicates [n_replicates]
//! Range     of the metric
//! Promises  all lists of one target share the deal, so seeds stay as dependent as they are;
//!           exact under the hypothesis that names of sources say nothing
//! Zero rows a method that ties everything is dealt the same again: p = 1
//! NaN       lists without a value are left out, as in the mean that is tested
//! Precision as the metric
//! Cost      one evaluation of every list a replicate
//! ```
//!
//! Source: Fisher (1935); Pitman (1937), permutation tests.

use rand::Rng;

use super::Protocol;
use crate::error::{Error, Result};
use crate::random::stream;
use crate::resampling::replicates;
use crate::threads::Monitor;

/// Candidates end to end; list `i` owns `offsets[i]..offsets[i + 1]` and belongs to a target.
#[derive(Debug, Clone, PartialEq)]
pub struct Lists {
    /// Predicted scores.
    pub scores: Vec<f64>,
    /// Measured scores.
    pub truth: Vec<f64>,
    /// Number of each candidate's source.
    pub sources: Vec<usize>,
    /// Bounds of the lists.
    pub offsets: Vec<usize>,
    /// Baseline of each list, NaN if it has none.
    pub baseline: Vec<f64>,
    /// Target of each list.
    pub targets: Vec<usize>,
}

/// Means of metric number `metric` under `count` random deals.
pub fn permuted_means(
    protocol: &Protocol,
    metric: usize,
    lists: &Lists,
    count: u64,
    seed: u64,
    monitor: &Monitor,
) -> Result<Vec<f64>> {
    let n_lists = lists.targets.len();
    let fits = lists.offsets.len() == n_lists + 1 && lists.baseline.len() == n_lists;
    let n = lists.scores.len();
    let ends = lists.offsets.last() == Some(&n);
    let ordered = lists.offsets.windows(2).all(|pair| pair[0] <= pair[1]);
    if !fits || !ends || !ordered || lists.truth.len() != n || lists.sources.len() != n {
        return Err(Error::Shape(
            "lists, offsets and candidates do not fit together".into(),
        ));
    }
    let n_targets = lists.targets.iter().max().map_or(0, |most| most + 1);
    let n_sources = lists.sources.iter().max().map_or(0, |most| most + 1);
    let failure = std::sync::Mutex::new(None);
    let found = replicates(0..count, 1, monitor, |number, row| {
        let mut generator = stream(seed, number);
        let keys: Vec<u64> = (0..n_targets * n_sources)
            .map(|_| generator.next_u64())
            .collect();
        let key = |target: usize, source: usize| keys[target * n_sources + source];
        match dealt_mean(protocol, metric, lists, n_targets, key) {
            Ok(mean) => row[0] = mean,
            Err(error) => {
                row[0] = f64::NAN;
                if let Ok(mut slot) = failure.lock() {
                    *slot = Some(error);
                }
            }
        }
    })?;
    match failure.into_inner() {
        Ok(Some(error)) => Err(error),
        _ => Ok(found.into_raw_vec_and_offset().0),
    }
}

fn dealt_mean(
    protocol: &Protocol,
    metric: usize,
    lists: &Lists,
    n_targets: usize,
    key: impl Fn(usize, usize) -> u64,
) -> Result<f64> {
    let (mut sums, mut counts) = (vec![0.0; n_targets], vec![0.0; n_targets]);
    for (list, &target) in lists.targets.iter().enumerate() {
        let range = lists.offsets[list]..lists.offsets[list + 1];
        let mut order: Vec<usize> = range.clone().collect();
        order.sort_unstable_by_key(|&at| key(target, lists.sources[at]));
        let scores: Vec<f64> = order.iter().map(|&at| lists.scores[at]).collect();
        let baseline = Some(lists.baseline[list]).filter(|value| !value.is_nan());
        let outcome = protocol.outcome(metric, &scores, &lists.truth[range], baseline)?;
        if let Ok(found) = outcome {
            sums[target] += found.value;
            counts[target] += 1.0;
        }
    }
    let means = sums.iter().zip(&counts).filter(|(_, count)| **count > 0.0);
    let means: Vec<f64> = means.map(|(sum, count)| sum / count).collect();
    Ok(means.iter().sum::<f64>() / means.len() as f64)
}
