//! First pass over a record: the means every column is centred at.

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::superposition::columns::Layout;
use crate::superposition::condition::Fixed;
use crate::superposition::prompt::{CoverageRule, Metrics};
use crate::superposition::records::Records;

// Large enough to amortise a task of the pool, small enough for balance on many cores.
const CHUNK: usize = 16_384;

/// First pass: means of every condition, which the columns are centred at.
#[derive(Clone, Debug)]
pub struct Means {
    /// Columns the record needs.
    pub layout: Layout,
    /// Conditions.
    pub n_conditions: usize,
    /// Mean mixture `[n_conditions, n_tasks]`.
    pub mixture: Vec<f64>,
    centres: Vec<f64>,
}

impl Means {
    /// From the prompts with `keep`; every condition must keep one.
    pub fn new(records: &Records<'_>, keep: &[bool]) -> Result<Self> {
        let n_tasks = records.n_tasks;
        let n_conditions = 1 + records.condition.iter().copied().max().unwrap_or(0) as usize;
        // Constant chunks, added in order: the same bits for any number of threads.
        let n_chunks = records.n_prompts().div_ceil(CHUNK);
        let mut parts: Vec<Partial> = (0..n_chunks)
            .into_par_iter()
            .map(|chunk| Partial::of(records, keep, chunk, n_conditions))
            .collect();
        let mut all = parts.remove(0);
        parts.iter().for_each(|part| all.add(part, n_tasks));
        let has_mixture = all.mixed;
        let Partial {
            counts,
            mut centres,
            mut mixture,
            first,
            ..
        } = all;
        for (place, &(count, answered)) in counts.iter().enumerate() {
            if count == 0.0 {
                return Err(Error::Shape(format!(
                    "condition {place}: no prompt is left after collisions were excluded; \
                     draw collision-free queries, or keep them with collisions='keep'"
                )));
            }
            let row = &mut centres[place * 2 * n_tasks..(place + 1) * 2 * n_tasks];
            row[..n_tasks].iter_mut().for_each(|sum| *sum /= count);
            row[n_tasks..]
                .iter_mut()
                .for_each(|sum| *sum /= f64::max(answered, 1.0));
            let shares = &mut mixture[place * n_tasks..(place + 1) * n_tasks];
            shares.iter_mut().for_each(|sum| *sum /= count);
            if let (false, Some(prompt)) = (has_mixture, first[place]) {
                // A mean of equal shares may differ from them in the last bit.
                shares.copy_from_slice(records.row(prompt).1);
            }
        }
        let layout = Layout {
            n_tasks,
            has_order: records.last.is_some(),
            has_mixture,
        };
        Ok(Self {
            layout,
            n_conditions,
            centres,
            mixture,
        })
    }

    /// Means of P, then of Pt, of a condition.
    pub fn centres(&self, condition: usize) -> &[f64] {
        let width = 2 * self.layout.n_tasks;
        &self.centres[condition * width..(condition + 1) * width]
    }

    /// Mean share of a task in every condition.
    pub fn lambdas(&self, task: usize) -> Vec<f64> {
        self.mixture
            .chunks_exact(self.layout.n_tasks)
            .map(|row| row[task])
            .collect()
    }

    /// What the statistics of a condition need beside its sums.
    pub fn fixed(&self, condition: usize, rule: CoverageRule, has_beam: bool) -> Fixed<'_> {
        let n_tasks = self.layout.n_tasks;
        Fixed {
            layout: self.layout,
            centres: self.centres(condition),
            mixture: &self.mixture[condition * n_tasks..(condition + 1) * n_tasks],
            rule,
            has_beam,
        }
    }
}

/// Sums over one chunk of prompts.
struct Partial {
    counts: Vec<(f64, f64)>,
    centres: Vec<f64>,
    mixture: Vec<f64>,
    first: Vec<Option<usize>>,
    mixed: bool,
    shares: Vec<f64>,
}

impl Partial {
    fn of(records: &Records<'_>, keep: &[bool], chunk: usize, n_conditions: usize) -> Self {
        let n_tasks = records.n_tasks;
        let mut part = Self {
            counts: vec![(0.0, 0.0); n_conditions],
            centres: vec![0.0; n_conditions * 2 * n_tasks],
            mixture: vec![0.0; n_conditions * n_tasks],
            first: vec![None; n_conditions],
            mixed: false,
            shares: vec![0.0; n_conditions * n_tasks],
        };
        let mut metrics = Metrics::default();
        let prompts = chunk * CHUNK..((chunk + 1) * CHUNK).min(records.n_prompts());
        for prompt in prompts.filter(|&prompt| keep[prompt]) {
            let place = records.condition[prompt] as usize;
            let (log_p, shares) = records.row(prompt);
            metrics.normalise(log_p);
            let answered = metrics.is_answered();
            part.counts[place].0 += 1.0;
            part.counts[place].1 += f64::from(u8::from(answered));
            let row = &mut part.centres[place * 2 * n_tasks..(place + 1) * 2 * n_tasks];
            for task in 0..n_tasks {
                row[task] += metrics.probabilities[task];
                row[n_tasks + task] += if answered { metrics.shares[task] } else { 0.0 };
                part.mixture[place * n_tasks + task] += shares[task];
            }
            let seen = &mut part.shares[place * n_tasks..(place + 1) * n_tasks];
            match part.first[place] {
                Some(_) => part.mixed |= seen != shares,
                None => {
                    part.first[place] = Some(prompt);
                    seen.copy_from_slice(shares);
                }
            }
        }
        part
    }

    fn add(&mut self, other: &Self, n_tasks: usize) {
        for (sum, value) in self.counts.iter_mut().zip(&other.counts) {
            sum.0 += value.0;
            sum.1 += value.1;
        }
        self.centres
            .iter_mut()
            .zip(&other.centres)
            .for_each(|(sum, value)| *sum += value);
        self.mixture
            .iter_mut()
            .zip(&other.mixture)
            .for_each(|(sum, value)| *sum += value);
        self.mixed |= other.mixed;
        for (place, prompt) in other.first.iter().enumerate() {
            let theirs = &other.shares[place * n_tasks..(place + 1) * n_tasks];
            let ours = &mut self.shares[place * n_tasks..(place + 1) * n_tasks];
            match (self.first[place], prompt) {
                (_, None) => {}
                (Some(_), Some(_)) => self.mixed |= ours != theirs,
                (None, Some(_)) => {
                    self.first[place] = *prompt;
                    ours.copy_from_slice(theirs);
                }
            }
        }
    }
}
