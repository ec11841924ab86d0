//! `center="auto"`: subtract the mean at each position, or nothing. Decided by the prompts alone.
//!
//! A shared initialisation p0 stands in every prompt at the same position. As long as prompts
//! moved little, tokens find their best partner at their own position, and scores measure how far
//! each prompt moved. The mean over tasks estimates p0, with an error of one n-th of the variance
//! within positions. Subtracting it is worth it where p0 captures the tokens and is not drowned
//! by that error; elsewhere it only plants the largest prompts into all others.
//!
//! Evidence (released prompts of 13 classification tasks; NDCG of max_pairwise, source to target,
//! without and with centring; random subsets of n tasks, chance-corrected in the last lines):
//!
//! ```text
//!                 median diagonal   position share   NDCG
//! T5-base              0.61             0.107        76.7 -> 84.5
//! RoBERTa-base         0.02            -0.008        81.7 -> 66.1
//! T5-base, n = 5 to 10    0.19 .. 0.90   0.05 .. 0.22     0.41 to 0.50 -> 0.53 to 0.64
//! RoBERTa-base, same      0.01 .. 0.04  -0.07 .. 0.07     0.43 to 0.66 -> 0.18 to 0.46
//! ```
//!
//! Three RoBERTa-base tasks can look aligned (0.64), and three centred prompts repel each other
//! by construction (cosine -1/2), hence the least number of tasks.

use super::centre::{Centre, Frame};
use super::diagonal::{Alignment, alignment};
use crate::error::Result;
use crate::threads::Monitor;
use crate::tokens::Tokens;

/// Centring n tasks plants a cosine of -1/(n - 1) between them: -1/4 for five.
const LEAST_TASKS: usize = 5;

/// Part of the tokens, beyond chance, that the initialisation must capture. Between 0.04, the
/// most seen where centring harms, and 0.48, the least seen for all tasks of one backbone where
/// it helps, on a logarithmic scale of odds.
const LEAST_CAPTURED: f64 = 0.2;

/// Least variance of the initialisation over the error of its estimate. Above 0.5 centring helped
/// in every group of subsets; RoBERTa-base stays below 0.4.
const LEAST_SIGNAL: f64 = 0.5;

/// Whether to centre, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// `Nothing` or `Positions`.
    pub centre: Centre,
    /// The reason in words, with its numbers.
    pub reason: String,
    /// What was seen.
    pub alignment: Alignment,
}

/// Decides by the sources; targets may only forbid positions that no source has. Reordering tasks
/// changes nothing.
pub fn decide(sources: &Tokens, targets: Option<&Tokens>, monitor: &Monitor) -> Result<Decision> {
    let alignment = alignment(sources, &Frame::default(), monitor)?;
    let judged = match targets.map(longest) {
        Some(longest_target) if longest_target > longest(sources) => Err(format!(
            "not centred: a target has {longest_target} tokens, but no source has more than {}",
            longest(sources)
        )),
        _ => judge(sources, &alignment),
    };
    let (centre, reason) = match judged {
        Ok(reason) => (Centre::Positions, reason),
        Err(reason) => (Centre::Nothing, reason),
    };
    Ok(Decision {
        centre,
        reason,
        alignment,
    })
}

fn longest(tokens: &Tokens) -> usize {
    let tasks = 0..tokens.n_tasks();
    tasks
        .map(|task| tokens.task(task).n_tokens())
        .max()
        .unwrap_or(0)
}

/// Ok with the reason to centre, Err with the reason to leave the tokens alone.
fn judge(sources: &Tokens, seen: &Alignment) -> std::result::Result<String, String> {
    let (n_tasks, n_tokens) = (sources.n_tasks(), sources.task(0).n_tokens());
    if n_tasks < LEAST_TASKS {
        return Err(format!(
            "not centred: the mean over {n_tasks} tasks is no stand-in for an initialisation, at \
             least {LEAST_TASKS} are needed; pass the initial prompt itself as center if it is \
             known"
        ));
    }
    let (Some(captured), Some(share)) = (seen.median_diagonal_fraction, seen.position_share) else {
        return Err(
            "not centred: prompts have different lengths, one token each, or no variance, \
             so positions cannot be compared"
                .into(),
        );
    };
    let chance = 1.0 / n_tokens as f64;
    let beyond = (captured - chance) / (1.0 - chance);
    let signal = share * n_tasks as f64 / (1.0 - share);
    let numbers = format!(
        "in the median pair {:.1} % of tokens find their best partner at their own position \
         (chance {:.1} %), and positions explain {:.1} % of the variance (chance 0 %), {signal:.1} \
         times the error of estimating them from {n_tasks} tasks",
        100.0 * captured,
        100.0 * chance,
        100.0 * share,
    );
    if beyond < LEAST_CAPTURED {
        return Err(format!(
            "not centred: no shared initialisation rules the prompts; {numbers}"
        ));
    }
    // A share of 1 makes the signal infinite; only NaN or a small number refuses.
    if !(signal >= LEAST_SIGNAL) && share < 1.0 {
        return Err(format!(
            "not centred: prompts are aligned, but their mean would say more about the largest \
             of them than about a shared initialisation; {numbers}"
        ));
    }
    Ok(format!(
        "centred by position: the prompts share an initialisation; {numbers}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(tasks: &[Vec<f64>], dim: usize) -> Decision {
        let mut offsets = vec![0];
        for task in tasks {
            offsets.push(offsets[offsets.len() - 1] + task.len() / dim);
        }
        let tokens = Tokens {
            buffer: tasks.concat(),
            offsets,
            dim,
        };
        decide(&tokens, None, &Monitor::default()).unwrap()
    }

    // A small multiplicative generator is random enough to fill tokens.
    fn noise(seed: u64, count: usize) -> Vec<f64> {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        (0..count)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
            })
            .collect()
    }

    fn tasks(n_tasks: u64, shared: f64, n_tokens: usize) -> Vec<Vec<f64>> {
        let start = noise(1000, n_tokens * 16);
        (0..n_tasks)
            .map(|task| {
                let own = noise(task + 1, n_tokens * 16);
                own.iter()
                    .zip(&start)
                    .map(|(own, start)| own + shared * start)
                    .collect()
            })
            .collect()
    }

    #[test]
    fn prompts_that_started_together_are_centred() {
        let decision = decided(&tasks(8, 2.0, 10), 16);
        assert_eq!(decision.centre, Centre::Positions);
        assert!(
            decision.reason.contains("chance 10.0 %"),
            "{}",
            decision.reason
        );
    }

    #[test]
    fn prompts_that_started_apart_are_left_alone() {
        assert_eq!(decided(&tasks(8, 0.0, 10), 16).centre, Centre::Nothing);
    }

    #[test]
    fn few_tasks_single_tokens_and_ragged_prompts_are_left_alone() {
        assert_eq!(decided(&tasks(4, 2.0, 10), 16).centre, Centre::Nothing);
        assert_eq!(decided(&tasks(8, 2.0, 1), 16).centre, Centre::Nothing);
        let mut ragged = tasks(8, 2.0, 10);
        ragged[3].truncate(9 * 16);
        assert_eq!(decided(&ragged, 16).centre, Centre::Nothing);
    }

    #[test]
    fn one_huge_prompt_among_aligned_ones_prevents_centring() {
        let mut tasks = tasks(8, 2.0, 10);
        for value in &mut tasks[0] {
            *value *= 100.0;
        }
        let decision = decided(&tasks, 16);
        assert!(decision.alignment.median_diagonal_fraction > Some(0.5));
        assert_eq!(decision.centre, Centre::Nothing);
    }

    #[test]
    fn the_order_of_tasks_changes_nothing() {
        let tasks = tasks(9, 1.0, 10);
        let mut reversed = tasks.clone();
        reversed.reverse();
        assert_eq!(decided(&tasks, 16), decided(&reversed, 16));
    }
}
