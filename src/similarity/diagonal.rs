//! Do prompts share an initialisation? Two numbers tell, both from the prompts alone:
//!
//! - the fraction of tokens whose best partner stands at their own position. Prompts that started
//!   apart find it there by chance, once in n tokens; prompts that started together and moved
//!   little find nothing else.
//! - the part of the variance that belongs to the position rather than to the task, by a one-way
//!   analysis of variance without bias: 0 for prompts that started apart.

use rayon::prelude::*;

use super::centre::{Centre, Frame};
use super::prepare::{Normalize, prepare};
use crate::error::Result;
use crate::linalg::{Inner, TokenPanels, for_each_row};
use crate::threads::Monitor;
use crate::tokens::{TokenMatrix, Tokens};

/// Pairs looked at, at most: every pair of 23 tasks; with 100 tokens of 768 that is 8 GFLOP.
pub const MAX_PAIRS: usize = 512;

/// What the prompts say about a shared initialisation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Alignment {
    /// Mean over pairs of tasks of the fraction of tokens whose best partner, by cosine, stands
    /// at their own position; ties count in parts. None without a pair of equally long tasks.
    pub diagonal_fraction: Option<f64>,
    /// The median over the same pairs: what a minority of related tasks cannot move.
    pub median_diagonal_fraction: Option<f64>,
    /// Part of the variance around the mean token that positions explain, without bias. None for
    /// one task, one token or unequal lengths.
    pub position_share: Option<f64>,
    /// Pairs looked at.
    pub n_pairs: usize,
}

/// Looks at the tasks of one atlas, in the frame `frame`. Reordering them changes no bit.
pub fn alignment(tokens: &Tokens, frame: &Frame, monitor: &Monitor) -> Result<Alignment> {
    frame.check(&tokens.offsets)?;
    let pairs = pairs(tokens);
    let mut tasks: Vec<usize> = pairs.iter().flat_map(|&(a, b)| [a, b]).collect();
    tasks.sort_unstable();
    tasks.dedup();
    let panels = tasks
        .par_iter()
        .map(|&task| {
            prepare(tokens.task(task), frame, Normalize::Tokens)
                .map(|values| Ok(TokenPanels::pack(TokenMatrix::new(&values, tokens.dim)?)))
                .transpose()
        })
        .collect::<Result<Vec<_>>>()?;
    let found = |task: usize| {
        tasks
            .binary_search(&task)
            .ok()
            .and_then(|at| panels[at].as_ref())
    };
    let fractions = pairs
        .par_iter()
        .map(|&(source, target)| {
            monitor.tick(0)?;
            Ok(match (found(source), found(target)) {
                (Some(source), Some(target)) => diagonal_fraction(source, target),
                _ => 0.0,
            })
        })
        .collect::<Result<Vec<f64>>>()?;
    let (mean, median) = mean_and_median(fractions);
    Ok(Alignment {
        diagonal_fraction: mean,
        median_diagonal_fraction: median,
        position_share: position_share(tokens)?,
        n_pairs: pairs.len(),
    })
}

/// Part of the source's tokens whose best target token has the same number.
fn diagonal_fraction(source: &TokenPanels, target: &TokenPanels) -> f64 {
    let mut count = 0.0;
    for_each_row(source, target, Inner, |row, scores| {
        let own = scores[row];
        if scores.iter().all(|&score| score <= own) {
            let ties = scores.iter().filter(|&&score| score == own).count();
            count += 1.0 / ties as f64;
        }
    });
    count / source.n_tokens() as f64
}

/// Ordered pairs of different, equally long tasks: all of them, or every task with partners at
/// evenly spread distances in an order that depends on contents, not on positions in the atlas.
fn pairs(tokens: &Tokens) -> Vec<(usize, usize)> {
    let n_tasks = tokens.n_tasks();
    let mut order: Vec<usize> = (0..n_tasks).collect();
    let total = n_tasks * n_tasks.saturating_sub(1);
    if total > MAX_PAIRS {
        order.sort_by(|&a, &b| compare(tokens.task(a), tokens.task(b)));
    }
    // A stride that shares no divisor with the number of tasks meets all of them.
    let mut stride = total.div_ceil(MAX_PAIRS).max(1);
    while common_divisor(stride, n_tasks) > 1 {
        stride += 1;
    }
    // Number p of all ordered pairs: the task p % n_tasks with the one p / n_tasks + 1 further.
    (0..total)
        .step_by(stride)
        .map(|pair| {
            let first = pair % n_tasks;
            (order[first], order[(first + pair / n_tasks + 1) % n_tasks])
        })
        .filter(|&(a, b)| tokens.task(a).n_tokens() == tokens.task(b).n_tokens())
        .collect()
}

fn common_divisor(left: usize, right: usize) -> usize {
    if right == 0 {
        left
    } else {
        common_divisor(right, left % right)
    }
}

fn compare(left: TokenMatrix<'_>, right: TokenMatrix<'_>) -> std::cmp::Ordering {
    let values = left.values().iter().zip(right.values());
    values
        .map(|(a, b)| a.total_cmp(b))
        .find(|order| order.is_ne())
        .unwrap_or(left.n_tokens().cmp(&right.n_tokens()))
}

fn mean_and_median(mut values: Vec<f64>) -> (Option<f64>, Option<f64>) {
    if values.is_empty() {
        return (None, None);
    }
    values.sort_unstable_by(f64::total_cmp);
    let count = values.len();
    let mean = values.iter().sum::<f64>() / count as f64;
    let median = 0.5 * (values[(count - 1) / 2] + values[count / 2]);
    (Some(mean), Some(median))
}

/// `1 - MS_within / MS_total` of tokens grouped by position.
fn position_share(tokens: &Tokens) -> Result<Option<f64>> {
    let n_tasks = tokens.n_tasks();
    let n_tokens = tokens.task(0).n_tokens();
    let ragged = (1..n_tasks).any(|task| tokens.task(task).n_tokens() != n_tokens);
    if ragged || n_tasks < 2 || n_tokens < 2 {
        return Ok(None);
    }
    let within = mean_square(tokens, &Frame::fit(&Centre::Positions, tokens)?);
    let total = mean_square(tokens, &Frame::fit(&Centre::Features, tokens)?);
    let within = within / (n_tokens * (n_tasks - 1)) as f64;
    let total = total / (n_tasks * n_tokens - 1) as f64;
    Ok((total > 0.0 && total.is_finite()).then(|| 1.0 - within / total))
}

/// Sum of squares around the frame, tasks added in the order of their sums.
fn mean_square(tokens: &Tokens, frame: &Frame) -> f64 {
    let mut sums: Vec<f64> = (0..tokens.n_tasks())
        .into_par_iter()
        .map(|task| {
            let mut token = vec![0.0; tokens.dim];
            let mut sum = 0.0;
            for (position, row) in tokens.task(task).rows().enumerate() {
                token.copy_from_slice(row);
                frame.subtract(position, &mut token);
                sum += token.iter().map(|value| value * value).sum::<f64>();
            }
            sum
        })
        .collect();
    sums.sort_unstable_by(f64::total_cmp);
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn atlas(tasks: &[[f64; 4]]) -> Tokens {
        Tokens {
            buffer: tasks.concat(),
            offsets: (0..=tasks.len()).map(|task| 2 * task).collect(),
            dim: 2,
        }
    }

    #[test]
    fn prompts_that_never_moved_stand_on_the_diagonal() {
        let tokens = atlas(&[[1.0, 0.0, 0.0, 1.0]; 3]);
        let found = alignment(&tokens, &Frame::default(), &Monitor::default()).unwrap();
        assert_eq!(found.diagonal_fraction, Some(1.0));
        assert_eq!(found.position_share, Some(1.0));
        assert_eq!(found.n_pairs, 6);
    }

    #[test]
    fn ties_count_in_parts_and_swapped_prompts_not_at_all() {
        let tokens = atlas(&[[1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0]]);
        let found = alignment(&tokens, &Frame::default(), &Monitor::default()).unwrap();
        assert_eq!(found.diagonal_fraction, Some(0.0));
        let tokens = atlas(&[[1.0, 0.0, 1.0, 0.0]; 2]);
        let found = alignment(&tokens, &Frame::default(), &Monitor::default()).unwrap();
        assert_eq!(found.median_diagonal_fraction, Some(0.5));
    }

    #[test]
    fn many_tasks_are_sampled_evenly_and_whatever_their_order() {
        let tasks: Vec<[f64; 4]> = (0..40).map(|t| [f64::from(t), 1.0, 2.0, 3.0]).collect();
        let mut reversed = tasks.clone();
        reversed.reverse();
        let pairs_of = |tasks: &[[f64; 4]]| {
            let mut named: Vec<(f64, f64)> = pairs(&atlas(tasks))
                .into_iter()
                .map(|(a, b)| (tasks[a][0], tasks[b][0]))
                .collect();
            named.sort_by(|x, y| x.partial_cmp(y).unwrap());
            named
        };
        let chosen = pairs_of(&tasks);
        assert!(chosen.len() <= MAX_PAIRS && chosen.len() > MAX_PAIRS / 4);
        assert!(chosen.iter().all(|(a, b)| a != b));
        let mut sources: Vec<f64> = chosen.iter().map(|pair| pair.0).collect();
        sources.dedup();
        assert!(sources.len() >= 20);
        assert_eq!(chosen, pairs_of(&reversed));
    }
}
