//! `center="auto"`: subtract the mean at each position, or nothing. Decided by the prompts alone.
//!
//! A shared initialisation p0 stands in every prompt at the same position. As long as prompts
//! moved little, tokens find their best partner at their own position, and scores measure how far
//! each prompt moved. The mean over tasks stands in for p0. Two questions decide:
//!
//! 1. Does p0 rule? In the median pair, the part of the tokens whose best partner stands at their
//!    own position must exceed chance by a fifth, and positions must explain variance.
//! 2. Does subtracting the mean help? Afterwards that part must have fallen to half or less.
//!    Where single prompts are much larger than the others, the mean is theirs, and subtracting
//!    it plants them into all others: the part rises.
//!
//! Evidence, from released prompts of 13 classification tasks (thunlp/Prompt-Transferability);
//! NDCG of max_pairwise, source to target, without and with centring by position:
//!
//! ```text
//!               median   mean before -> after   positions explain   NDCG
//! T5-base        0.61        0.58 -> 0.07            10.7 %         76.7 -> 84.5
//! RoBERTa-base   0.02        0.06 -> 0.40            -0.8 %         81.7 -> 66.1
//! ```
//!
//! On 14 random subsets of n of these tasks, the median is 0.28 to 0.95 (T5-base, n = 4 to 10)
//! against 0.00 to 0.09 (RoBERTa-base). Centring T5-base gains, in chance-corrected NDCG, 0.03,
//! 0.01, 0.07, 0.11, 0.16 for n = 4, 5, 6, 8, 10; centring RoBERTa-base loses 0.2 from n = 8 on.

use super::centre::{Centre, Frame};
use super::diagonal::{Alignment, alignment};
use crate::error::Result;
use crate::threads::Monitor;
use crate::tokens::Stored;

/// Centring n tasks plants a cosine of -1/(n - 1) between them: two tasks become opposite. The
/// gain above is clear from six on.
const LEAST_TASKS: usize = 6;

/// Part of the tokens, beyond chance, that the initialisation must capture: between 0.09, the
/// most seen in the subsets where centring harms, and 0.28, the least where it helps.
const LEAST_CAPTURED: f64 = 0.2;

/// What may be left of the mean part after centring. T5-base keeps at most 0.44 of it from six
/// tasks on; RoBERTa-base more than doubles it.
const MOST_LEFT: f64 = 0.5;

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
pub fn decide(
    sources: &Stored<'_>,
    longest_target: Option<usize>,
    monitor: &Monitor,
) -> Result<Decision> {
    let alignment = alignment(sources, &Frame::default(), monitor)?;
    let longest_source = longest(sources.offsets());
    let judged = match longest_target {
        Some(longest_target) if longest_target > longest_source => Err(format!(
            "not centred: a target has {longest_target} tokens, but no source has more than \
             {longest_source}"
        )),
        _ => judge(sources, &alignment, monitor)?,
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

/// Tokens of the longest task.
pub fn longest(offsets: &[usize]) -> usize {
    let lengths = offsets.windows(2).map(|bounds| bounds[1] - bounds[0]);
    lengths.max().unwrap_or(0)
}

/// The reason to centre, or the reason to leave the tokens alone.
type Judgement = std::result::Result<String, String>;

fn judge(sources: &Stored<'_>, seen: &Alignment, monitor: &Monitor) -> Result<Judgement> {
    let (n_tasks, n_tokens) = (sources.n_tasks(), longest(sources.offsets()));
    if n_tasks < LEAST_TASKS {
        return Ok(Err(format!(
            "not centred: the mean over {n_tasks} tasks is no stand-in for an initialisation, at \
             least {LEAST_TASKS} are needed; pass the initial prompt as center if it is known"
        )));
    }
    let (Some(before), Some(median), Some(share)) = (
        seen.diagonal_fraction,
        seen.median_diagonal_fraction,
        seen.position_share,
    ) else {
        return Ok(Err(
            "not centred: prompts have different lengths, one token each, or no variance, so \
             positions cannot be compared"
                .into(),
        ));
    };
    let chance = 1.0 / n_tokens as f64;
    let numbers = format!(
        "in the median pair of {n_tasks} tasks {} of tokens find their best partner at their own \
         position (chance {}), and positions explain {} of the variance (chance 0)",
        percent(median),
        percent(chance),
        percent(share)
    );
    if median - chance < LEAST_CAPTURED * (1.0 - chance) || share <= 0.0 {
        return Ok(Err(format!(
            "not centred: no shared initialisation rules the prompts; {numbers}"
        )));
    }
    let centred = Frame::fit(&Centre::Positions, sources)?;
    let after = alignment(sources, &centred, monitor)?.diagonal_fraction;
    let after = after.unwrap_or(f64::INFINITY);
    let fall = format!(
        "centring takes the mean part from {} to {}",
        percent(before),
        percent(after)
    );
    Ok(if after <= MOST_LEFT * before {
        Ok(format!(
            "centred by position: the prompts share an initialisation; {numbers}; {fall}"
        ))
    } else {
        Err(format!(
            "not centred: prompts are aligned, but their mean belongs to a few large ones rather \
             than to a shared initialisation; {numbers}; {fall}"
        ))
    })
}

fn percent(part: f64) -> String {
    format!("{:.1} %", 100.0 * part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Tokens;

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
        decide(&tokens.stored(), None, &Monitor::default()).unwrap()
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
        assert_eq!(decided(&tasks(5, 2.0, 10), 16).centre, Centre::Nothing);
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
