//! What a set of prompts brings: log-probabilities, mixtures, conditions, clusters, order.

use std::collections::HashMap;

use crate::error::{Error, Result};

/// Views of a checked record; `n_prompts` rows of `n_tasks` numbers, row-major.
#[derive(Clone, Copy, Debug)]
pub struct Records<'a> {
    /// ln P of every task's answer `[n_prompts, n_tasks]`, -inf where the answer is missing.
    pub log_probabilities: &'a [f64],
    /// Share of examples of every task `[n_prompts, n_tasks]`.
    pub mixture: &'a [f64],
    /// Condition of every prompt, from 0.
    pub condition: &'a [i64],
    /// Cluster (query or context) of every prompt, from 0.
    pub cluster: &'a [i64],
    /// Task of the last example of every prompt, where the order is known.
    pub last: Option<&'a [i64]>,
    /// Share of completed tasks of every prompt, where a beam list is known.
    pub completed: Option<&'a [f64]>,
    /// Tasks.
    pub n_tasks: usize,
}

impl Records<'_> {
    /// Number of prompts.
    pub fn n_prompts(&self) -> usize {
        self.condition.len()
    }

    /// Fails when two views disagree about the number of prompts.
    pub fn check(&self) -> Result<()> {
        let n_prompts = self.n_prompts();
        let cells = n_prompts * self.n_tasks;
        let fits = self.n_tasks >= 2
            && n_prompts > 0
            && self.log_probabilities.len() == cells
            && self.mixture.len() == cells
            && self.cluster.len() == n_prompts
            && self.last.is_none_or(|last| last.len() == n_prompts)
            && self.completed.is_none_or(|share| share.len() == n_prompts)
            && self.condition.iter().all(|&code| code >= 0)
            && self.cluster.iter().all(|&code| code >= 0);
        if fits {
            return Ok(());
        }
        Err(Error::Shape(format!(
            "record: {n_prompts} prompts x {} tasks do not fit log-probabilities of {} numbers, \
             mixture of {}, {} clusters",
            self.n_tasks,
            self.log_probabilities.len(),
            self.mixture.len(),
            self.cluster.len()
        )))
    }

    /// Log-probabilities and mixture of one prompt.
    pub fn row(&self, prompt: usize) -> (&[f64], &[f64]) {
        let cells = prompt * self.n_tasks..(prompt + 1) * self.n_tasks;
        (&self.log_probabilities[cells.clone()], &self.mixture[cells])
    }
}

// Shares typed as 0.1 + 0.2 and as 0.3 are one condition; no experiment sets shares finer than this.
const SHARE_STEPS: f64 = 1e9;

/// Codes of the distinct rows of `mixture`, in ascending order of the rows, and one row of each.
pub fn condition_codes(mixture: &[f64], n_tasks: usize) -> (Vec<i64>, Vec<usize>) {
    let mut seen: HashMap<Vec<i64>, usize> = HashMap::new();
    let mut first_rows = Vec::new();
    let mut raw = Vec::with_capacity(mixture.len() / n_tasks.max(1));
    let mut key = Vec::with_capacity(n_tasks);
    for (prompt, row) in mixture.chunks_exact(n_tasks).enumerate() {
        key.clear();
        key.extend(row.iter().map(|share| (share * SHARE_STEPS).round() as i64));
        raw.push(match seen.get(&key) {
            Some(&code) => code,
            None => {
                seen.insert(key.clone(), first_rows.len());
                first_rows.push((key.clone(), prompt));
                first_rows.len() - 1
            }
        });
    }
    let mut order: Vec<usize> = (0..first_rows.len()).collect();
    order.sort_by(|&left, &right| first_rows[left].0.cmp(&first_rows[right].0));
    let mut place = vec![0_i64; order.len()];
    for (rank, &code) in order.iter().enumerate() {
        place[code] = rank as i64;
    }
    let codes = raw.into_iter().map(|code| place[code]).collect();
    (
        codes,
        order.iter().map(|&code| first_rows[code].1).collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_shares_are_one_condition_whatever_their_last_bit() {
        let mixture = [0.3, 0.7, 0.1 + 0.2, 0.7, 0.1, 0.9];
        let (codes, rows) = condition_codes(&mixture, 2);
        assert_eq!(codes, vec![1, 1, 0]);
        assert_eq!(rows, vec![2, 0]);
    }
}
