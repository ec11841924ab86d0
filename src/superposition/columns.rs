//! Numbers of a prompt whose sums are enough for every statistic of its condition.
//!
//! An infinite number times a resampling weight of zero would be NaN, so an infinity is kept as
//! a count beside the finite part. Probabilities are centred at their condition's mean: variances
//! then survive means of 1 - 1e-10, and the centring cancels exactly in every statistic.

use crate::superposition::prompt::Metrics;

/// Prompts.
pub const COUNT: usize = 0;
/// Prompts with S > 0.
pub const ANSWERED: usize = 1;
/// Answered prompts of more than one task.
pub const MIXED: usize = 2;
/// Prompts where a task of the mixture has probability zero.
pub const MISSING: usize = 3;
/// Answered prompts where a task of the mixture has probability zero.
pub const MISSING_ANSWERED: usize = 4;
/// S.
pub const MASS: usize = 5;
/// Finite part of the paper's KL.
pub const KL: usize = 6;
/// Finite part of KL(pi || Pt).
pub const KL_SHAPE: usize = 7;
/// Finite part of -ln S.
pub const LEAK: usize = 8;
/// Total variation, Jensen-Shannon, Brier, entropy: four columns over answered prompts.
pub const SHAPE: usize = 9;
/// H(Pt) / H(pi) over answered, mixed prompts.
pub const ENTROPY_RATIO: usize = 13;
/// exp H(Pt).
pub const EFFECTIVE: usize = 14;
/// Coverage.
pub const COVERAGE: usize = 15;
/// Share of completed tasks.
pub const COMPLETED: usize = 16;
/// sum_k (Pt_k - centre)^2.
pub const SHARE_SQUARES: usize = 17;
const FIXED: usize = 18;

/// Where the columns of a task are.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Tasks.
    pub n_tasks: usize,
    /// Whether the columns of the order effect exist.
    pub has_order: bool,
    /// Whether the mixture differs between prompts of one condition.
    pub has_mixture: bool,
}

impl Layout {
    /// Number of columns.
    pub fn len(self) -> usize {
        let optional = 2 * usize::from(self.has_order) + usize::from(self.has_mixture);
        FIXED + (3 + optional) * self.n_tasks
    }

    /// A layout is never empty.
    pub fn is_empty(self) -> bool {
        false
    }

    /// P_k - centre.
    pub fn probability(self, task: usize) -> usize {
        FIXED + task
    }

    /// (P_k - centre)^2.
    pub fn square(self, task: usize) -> usize {
        FIXED + self.n_tasks + task
    }

    /// Pt_k - centre.
    pub fn share(self, task: usize) -> usize {
        FIXED + 2 * self.n_tasks + task
    }

    /// pi_k, where it varies inside a condition.
    pub fn mixture(self, task: usize) -> usize {
        FIXED + 3 * self.n_tasks + task
    }

    /// Whether the last example is of the task.
    pub fn last(self, task: usize) -> usize {
        self.mixture(0) + usize::from(self.has_mixture) * self.n_tasks + task
    }

    /// P_k - centre where the last example is of the task.
    pub fn probability_last(self, task: usize) -> usize {
        self.last(0) + self.n_tasks + task
    }
}

/// What `add` reads of one prompt beside its metrics.
#[derive(Clone, Copy, Debug)]
pub struct Prompt<'a> {
    /// pi.
    pub mixture: &'a [f64],
    /// Means of P, then of Pt, of the prompt's condition `[2 n_tasks]`.
    pub centres: &'a [f64],
    /// Task of the last example, if the order is known.
    pub last: Option<i64>,
    /// Share of completed tasks, if a beam list is known.
    pub completed: Option<f64>,
}

/// Adds the columns of one prompt to `sums`.
pub fn add(layout: Layout, prompt: Prompt<'_>, metrics: &Metrics, sums: &mut [f64]) {
    let numbers = &metrics.numbers;
    let answered = metrics.is_answered();
    let missing = numbers[2] == f64::INFINITY;
    sums[COUNT] += 1.0;
    sums[MASS] += numbers[0];
    sums[MISSING] += f64::from(u8::from(missing));
    sums[COMPLETED] += prompt.completed.unwrap_or(0.0);
    if !missing {
        sums[KL] += numbers[2];
    }
    if answered {
        add_shape(layout, prompt, metrics, missing, sums);
    }
    for task in 0..layout.n_tasks {
        let centred = metrics.probabilities[task] - prompt.centres[task];
        sums[layout.probability(task)] += centred;
        sums[layout.square(task)] += centred * centred;
        if layout.has_mixture {
            sums[layout.mixture(task)] += prompt.mixture[task];
        }
        if layout.has_order && prompt.last == Some(task as i64) {
            sums[layout.last(task)] += 1.0;
            sums[layout.probability_last(task)] += centred;
        }
    }
}

fn add_shape(
    layout: Layout,
    prompt: Prompt<'_>,
    metrics: &Metrics,
    missing: bool,
    sums: &mut [f64],
) {
    let numbers = &metrics.numbers;
    sums[ANSWERED] += 1.0;
    sums[LEAK] += numbers[4];
    if missing {
        sums[MISSING_ANSWERED] += 1.0;
    } else {
        sums[KL_SHAPE] += numbers[3];
    }
    for (place, number) in numbers[5..9].iter().enumerate() {
        sums[SHAPE + place] += number;
    }
    if !numbers[9].is_nan() {
        sums[MIXED] += 1.0;
        sums[ENTROPY_RATIO] += numbers[9];
    }
    sums[EFFECTIVE] += numbers[10];
    sums[COVERAGE] += numbers[11];
    for (task, share) in metrics.shares.iter().enumerate() {
        let centred = share - prompt.centres[layout.n_tasks + task];
        sums[layout.share(task)] += centred;
        sums[SHARE_SQUARES] += centred * centred;
    }
}
