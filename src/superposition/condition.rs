//! Statistics of a condition from its column sums; the same function serves every replicate.

use crate::superposition::columns::{self as col, Layout};
use crate::superposition::prompt::{CoverageRule, coverage, divergence, entropy};

/// Names of the statistics of a condition, before the ones of each task.
pub const NAMES: [&str; 19] = [
    "total_mass",
    "other",
    "kl",
    "kl_shape",
    "leak",
    "total_variation",
    "jensen_shannon",
    "brier",
    "entropy",
    "entropy_ratio",
    "effective_tasks",
    "coverage",
    "completed",
    "dispersion",
    "dispersion_shares",
    "jensen_gap",
    "kl_of_mean",
    "effective_tasks_of_mean",
    "coverage_of_mean",
];
/// Names of the statistics of a task in a condition.
pub const TASK_NAMES: [&str; 4] = ["probability", "share", "dispersion", "order_effect"];

/// Statistics of a condition.
pub fn n_statistics(n_tasks: usize) -> usize {
    NAMES.len() + TASK_NAMES.len() * n_tasks
}

/// Place of the mean share Pt of a task among the statistics.
pub fn share_place(n_tasks: usize, task: usize) -> usize {
    NAMES.len() + n_tasks + task
}

/// What stays fixed over replicates.
#[derive(Clone, Copy, Debug)]
pub struct Fixed<'a> {
    /// Columns.
    pub layout: Layout,
    /// Means of P, then of Pt, that the columns are centred at.
    pub centres: &'a [f64],
    /// Mean mixture of the condition.
    pub mixture: &'a [f64],
    /// Coverage rule.
    pub rule: CoverageRule,
    /// Whether beam lists are known.
    pub has_beam: bool,
}

/// Statistics `[n_statistics]`: `NAMES`, then every task's P, Pt, V and order effect.
pub fn statistics(fixed: Fixed<'_>, sums: &[f64]) -> Vec<f64> {
    let layout = fixed.layout;
    let n_tasks = layout.n_tasks;
    let count = sums[col::COUNT];
    let answered = sums[col::ANSWERED];
    let tasks = 0..n_tasks;
    let shift = |place: usize| sums[place] / count;
    let probabilities: Vec<f64> = tasks
        .clone()
        .map(|task| fixed.centres[task] + shift(layout.probability(task)))
        .collect();
    let variances = tasks.clone().map(|task| {
        let drift = shift(layout.probability(task));
        (shift(layout.square(task)) - drift * drift).max(0.0)
    });
    let variances: Vec<f64> = variances.collect();
    let share_shift: Vec<f64> = tasks
        .clone()
        .map(|task| sums[layout.share(task)] / answered)
        .collect();
    let shares: Vec<f64> = tasks
        .clone()
        .map(|task| fixed.centres[n_tasks + task] + share_shift[task])
        .collect();
    let share_variance = sums[col::SHARE_SQUARES] / answered
        - share_shift.iter().map(|drift| drift * drift).sum::<f64>();
    let mixture: Vec<f64> = match layout.has_mixture {
        true => tasks
            .clone()
            .map(|task| shift(layout.mixture(task)))
            .collect(),
        false => fixed.mixture.to_vec(),
    };
    let mean = Means {
        shares: &shares,
        mixture: &mixture,
        rule: fixed.rule,
    };
    let mut result = prompt_means(sums, fixed.has_beam);
    result.push(ratio(variances.iter().sum(), spread(&probabilities)));
    result.push(ratio(share_variance.max(0.0), spread(&shares)));
    mean.push_onto(&mut result);
    result.extend(&probabilities);
    result.extend(&shares);
    result.extend(
        tasks
            .clone()
            .map(|task| ratio(variances[task], spread(&probabilities[task..=task]))),
    );
    result.extend(tasks.map(|task| order_effect(layout, sums, task)));
    result
}

struct Means<'a> {
    shares: &'a [f64],
    mixture: &'a [f64],
    rule: CoverageRule,
}

impl Means<'_> {
    fn push_onto(&self, result: &mut Vec<f64>) {
        let logs: Vec<f64> = self.shares.iter().map(|share| share.ln()).collect();
        let of_mean = divergence(self.mixture, &logs);
        // Both infinite leaves the gap undefined, and inf - inf is NaN.
        let gap = result[3] - of_mean;
        // Rounding of an exact zero; a real gap is never negative.
        result.push(if gap < 0.0 { 0.0 } else { gap });
        result.push(if of_mean < 0.0 { 0.0 } else { of_mean });
        result.push(entropy(self.shares).exp());
        result.push(coverage(self.shares, self.mixture, self.rule));
    }
}

fn prompt_means(sums: &[f64], has_beam: bool) -> Vec<f64> {
    let count = sums[col::COUNT];
    let answered = sums[col::ANSWERED];
    let unanswered = count - answered;
    let infinite_if = |found: f64, mean: f64| if found > 0.0 { f64::INFINITY } else { mean };
    let mass = sums[col::MASS] / count;
    let mut result = vec![
        mass,
        1.0 - mass,
        infinite_if(sums[col::MISSING], sums[col::KL] / count),
        infinite_if(sums[col::MISSING_ANSWERED], sums[col::KL_SHAPE] / answered),
        infinite_if(unanswered, sums[col::LEAK] / count),
    ];
    result.extend(
        sums[col::SHAPE..col::SHAPE + 4]
            .iter()
            .map(|sum| sum / answered),
    );
    result.push(sums[col::ENTROPY_RATIO] / sums[col::MIXED]);
    result.push(sums[col::EFFECTIVE] / answered);
    result.push(sums[col::COVERAGE] / answered);
    result.push(if has_beam {
        sums[col::COMPLETED] / count
    } else {
        f64::NAN
    });
    result
}

fn order_effect(layout: Layout, sums: &[f64], task: usize) -> f64 {
    if !layout.has_order {
        return f64::NAN;
    }
    let last = sums[layout.last(task)];
    let others = sums[col::COUNT] - last;
    let on = sums[layout.probability_last(task)];
    on / last - (sums[layout.probability(task)] - on) / others
}

fn spread(means: &[f64]) -> f64 {
    means.iter().map(|mean| mean * (1.0 - mean)).sum()
}

// A task that is always or never chosen has no spread its variance could be compared with.
fn ratio(variance: f64, spread: f64) -> f64 {
    if spread > 0.0 {
        (variance / spread).min(1.0)
    } else {
        f64::NAN
    }
}
