//! Do prompts share an initialisation? Two numbers tell, both from the prompts alone:
//!
//! - the fraction of tokens whose best partner stands at their own position. Prompts that started
//!   apart find it there by chance, once in n tokens; prompts that started together and moved
//!   little find nothing else.
//! - the part of the variance that belongs to the position rather than to the task, by a one-way
//!   analysis of variance without bias: 0 for prompts that started apart.

mod captured;
mod share;

use rayon::prelude::*;

use super::centre::Frame;
use crate::error::Result;
use crate::linalg::simd::Path;
use crate::threads::Monitor;
use crate::tokens::Stored;
use captured::Captured;
use share::position_share;

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
pub fn alignment(stored: &Stored<'_>, frame: &Frame, monitor: &Monitor) -> Result<Alignment> {
    frame.check(stored.offsets())?;
    let order = by_content(stored);
    let pairs = pairs(stored, &order);
    // One product serves a pair in both orders.
    let mut products: Vec<(usize, usize)> =
        pairs.iter().map(|&(a, b)| (a.min(b), a.max(b))).collect();
    products.sort_unstable();
    products.dedup();
    let captured = Captured {
        path: Path::chosen()?,
        stored,
        frame,
    };
    let both = both_fractions(&captured, &products, monitor)?;
    let fraction = |&(source, target): &(usize, usize)| {
        let product = (source.min(target), source.max(target));
        products.binary_search(&product).map_or(0.0, |at| {
            if source < target {
                both[at].0
            } else {
                both[at].1
            }
        })
    };
    let fractions = pairs.iter().map(fraction).collect();
    let (mean, median) = mean_and_median(fractions);
    Ok(Alignment {
        diagonal_fraction: mean,
        median_diagonal_fraction: median,
        position_share: position_share(stored, &order),
        n_pairs: pairs.len(),
    })
}

/// Bytes of packed prompts held at a time; every pair meets within one such stretch.
const HELD_BYTES: usize = 16 << 20;

// Of every product, the fraction from left to right and from right to left. Left prompts are packed
// once, right ones once a stretch, so that memory does not grow with the number of tasks.
fn both_fractions(
    captured: &Captured<'_>,
    products: &[(usize, usize)],
    monitor: &Monitor,
) -> Result<Vec<(f64, f64)>> {
    let mut both = vec![(0.0, 0.0); products.len()];
    let mut start = 0;
    while start < products.len() {
        let (mut end, mut held) = (start, 0);
        for lefts in products[start..].chunk_by(|one, next| one.0 == next.0) {
            held += captured.bytes(lefts[0].0);
            if end > start && held > HELD_BYTES {
                break;
            }
            end += lefts.len();
        }
        for (number, found) in stretch(captured, &products[start..end], monitor)? {
            both[start + number] = found;
        }
        start = end;
    }
    Ok(both)
}

// Numbers within the stretch, with both fractions.
fn stretch(
    captured: &Captured<'_>,
    products: &[(usize, usize)],
    monitor: &Monitor,
) -> Result<Vec<(usize, (f64, f64))>> {
    let lefts: Vec<&[(usize, usize)]> = products.chunk_by(|one, next| one.0 == next.0).collect();
    let held = lefts
        .par_iter()
        .map(|products| captured.sought(products[0].0))
        .collect::<Result<Vec<_>>>()?;
    let held_for = |task: usize| {
        let at = lefts.binary_search_by_key(&task, |products| products[0].0);
        at.ok().and_then(|at| held[at].as_ref())
    };
    let mut by_right: Vec<(usize, usize)> = products
        .iter()
        .enumerate()
        .map(|(number, &(_, right))| (right, number))
        .collect();
    by_right.sort_unstable();
    let rights: Vec<&[(usize, usize)]> = by_right.chunk_by(|one, next| one.0 == next.0).collect();
    let found = rights
        .par_iter()
        .map(|same| {
            let right = captured.passing(same[0].0)?;
            let fractions = same.iter().map(|&(_, number)| {
                monitor.tick(0)?;
                match (held_for(products[number].0), &right) {
                    (Some(left), Some(right)) => Ok((number, captured.fractions(left, right)?)),
                    _ => Ok((number, (0.0, 0.0))),
                }
            });
            fractions.collect::<Result<Vec<_>>>()
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(found.into_iter().flatten().collect())
}

// Tasks in an order that depends on contents, not on positions in the atlas.
fn by_content(stored: &Stored<'_>) -> Vec<usize> {
    let offsets = stored.offsets();
    let numbers = |task: usize| offsets[task] * stored.dim()..offsets[task + 1] * stored.dim();
    let mut order: Vec<usize> = (0..stored.n_tasks()).collect();
    order.sort_by(|&left, &right| {
        let (left, right) = (numbers(left), numbers(right));
        let mut values = left.clone().zip(right.clone());
        values
            .find_map(|(a, b)| {
                let order = stored.value(a).total_cmp(&stored.value(b));
                order.is_ne().then_some(order)
            })
            .unwrap_or(left.len().cmp(&right.len()))
    });
    order
}

/// Ordered pairs of different, equally long tasks: all of them, or every task with partners at
/// evenly spread distances in `order`.
fn pairs(stored: &Stored<'_>, order: &[usize]) -> Vec<(usize, usize)> {
    let n_tasks = stored.n_tasks();
    let total = n_tasks * n_tasks.saturating_sub(1);
    // A stride that shares no divisor with the number of tasks meets all of them.
    let mut stride = total.div_ceil(MAX_PAIRS).max(1);
    while common_divisor(stride, n_tasks) > 1 {
        stride += 1;
    }
    let n_tokens = |task: usize| stored.offsets()[task + 1] - stored.offsets()[task];
    // Number p of all ordered pairs: the task p % n_tasks with the one p / n_tasks + 1 further.
    (0..total)
        .step_by(stride)
        .map(|pair| {
            let first = pair % n_tasks;
            (order[first], order[(first + pair / n_tasks + 1) % n_tasks])
        })
        .filter(|&(a, b)| n_tokens(a) == n_tokens(b))
        .collect()
}

fn common_divisor(left: usize, right: usize) -> usize {
    if right == 0 {
        left
    } else {
        common_divisor(right, left % right)
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Tokens;

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
        let found = alignment(&tokens.stored(), &Frame::default(), &Monitor::default()).unwrap();
        assert_eq!(found.diagonal_fraction, Some(1.0));
        assert_eq!(found.position_share, Some(1.0));
        assert_eq!(found.n_pairs, 6);
    }

    #[test]
    fn ties_count_in_parts_and_swapped_prompts_not_at_all() {
        let tokens = atlas(&[[1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0]]);
        let found = alignment(&tokens.stored(), &Frame::default(), &Monitor::default()).unwrap();
        assert_eq!(found.diagonal_fraction, Some(0.0));
        let tokens = atlas(&[[1.0, 0.0, 1.0, 0.0]; 2]);
        let found = alignment(&tokens.stored(), &Frame::default(), &Monitor::default()).unwrap();
        assert_eq!(found.median_diagonal_fraction, Some(0.5));
    }

    #[test]
    fn many_tasks_are_sampled_evenly_and_whatever_their_order() {
        let tasks: Vec<[f64; 4]> = (0..40).map(|t| [f64::from(t), 1.0, 2.0, 3.0]).collect();
        let mut reversed = tasks.clone();
        reversed.reverse();
        let pairs_of = |tasks: &[[f64; 4]]| {
            let atlas = atlas(tasks);
            let stored = atlas.stored();
            let mut named: Vec<(f64, f64)> = pairs(&stored, &by_content(&stored))
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
