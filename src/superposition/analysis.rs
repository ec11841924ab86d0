//! A whole record: statistics of every condition and across them, each with its interval.

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::superposition::across;
use crate::superposition::blocks::{Block, plan};
use crate::superposition::columns::{self, Layout, Prompt};
use crate::superposition::condition::{self, Fixed, n_statistics, share_place};
use crate::superposition::prompt::{CoverageRule, Metrics, measure};
use crate::superposition::quantile::interval;
use crate::superposition::records::Records;
use crate::superposition::resample::{Cells, resampled};
use crate::superposition::vote::{Curves, Threshold};
use crate::threads::Monitor;

/// Settings of an analysis.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Coverage rule.
    pub rule: CoverageRule,
    /// Bootstrap replicates; 0 leaves intervals out.
    pub n_replicates: usize,
    /// Probability content of an interval.
    pub confidence: f64,
    /// Seed of the replicates' streams.
    pub seed: u64,
    /// Largest number of votes tried.
    pub n_max: usize,
    /// Thresholds of the vote model.
    pub threshold: Threshold,
}

/// Estimates with intervals; every table is `[n_rows, n_statistics]`, row-major.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Values on the data.
    pub estimate: Vec<f64>,
    /// Lower ends.
    pub low: Vec<f64>,
    /// Upper ends.
    pub high: Vec<f64>,
}

/// What `analyse` finds.
#[derive(Clone, Debug)]
pub struct Analysis {
    /// Per condition.
    pub conditions: Table,
    /// Per task, across conditions.
    pub across: Table,
    /// Mean mixture of every condition `[n_conditions, n_tasks]`.
    pub mixture: Vec<f64>,
    /// Clusters that were resampled, by stratum.
    pub n_clusters: Vec<usize>,
}

/// Analyses the prompts with `keep`; every condition must keep at least one.
pub fn analyse(
    records: &Records<'_>,
    keep: &[bool],
    settings: Settings,
    monitor: &Monitor,
) -> Result<Analysis> {
    records.check()?;
    let means = Means::new(records, keep, settings.rule)?;
    let plan = plan(records, keep);
    let layout = means.layout;
    let cells = |block: &Block| fill(records, &means, settings.rule, block);
    let all = whole(&plan.blocks, &means, cells);
    let lambdas: Vec<Vec<f64>> = (0..records.n_tasks)
        .map(|task| means.lambdas(task))
        .collect();
    let curves: Vec<Curves> = lambdas
        .par_iter()
        .map(|lambdas| Curves::new(lambdas, settings.n_max, settings.threshold))
        .collect();
    let evaluate = |sums: &[f64]| -> (Vec<f64>, Vec<f64>) {
        let n_columns = layout.len();
        let tables = sums.chunks_exact(n_columns).enumerate();
        let fixed = |place| means.fixed(place, settings.rule, records.completed.is_some());
        let rows: Vec<f64> = tables
            .flat_map(|(place, sums)| condition::statistics(fixed(place), sums))
            .collect();
        let n_statistics = n_statistics(records.n_tasks);
        let per_task = (0..records.n_tasks).flat_map(|task| {
            let place = share_place(records.n_tasks, task);
            let shares: Vec<f64> = rows
                .chunks_exact(n_statistics)
                .map(|row| row[place])
                .collect();
            across::statistics(&lambdas[task], &shares, &curves[task])
        });
        let per_task: Vec<f64> = per_task.collect();
        (rows, per_task)
    };
    let (conditions, across) = evaluate(&all);
    let width = means.n_conditions * layout.len();
    let n_replicates = settings.n_replicates;
    let sums = resampled(
        &plan,
        means.n_conditions,
        layout.len(),
        n_replicates,
        settings.seed,
        cells,
        monitor,
    )?;
    let replicates: Vec<(Vec<f64>, Vec<f64>)> =
        sums.par_chunks_exact(width).map(evaluate).collect();
    let confidence = settings.confidence;
    Ok(Analysis {
        conditions: with_intervals(conditions, confidence, n_replicates, |b| &replicates[b].0),
        across: with_intervals(across, confidence, n_replicates, |b| &replicates[b].1),
        mixture: means.mixture,
        n_clusters: plan.n_clusters,
    })
}

fn whole(blocks: &[Block], means: &Means, cells: impl Fn(&Block) -> Cells + Sync) -> Vec<f64> {
    let n_columns = means.layout.len();
    let mut sums = vec![0.0; means.n_conditions * n_columns];
    for wave in blocks.chunks(rayon::current_num_threads().max(1)) {
        let filled: Vec<Cells> = wave.par_iter().map(&cells).collect();
        for cells in filled {
            for (key, row) in cells.keys.iter().zip(cells.sums.chunks_exact(n_columns)) {
                let into = &mut sums[key.0 as usize * n_columns..][..n_columns];
                into.iter_mut()
                    .zip(row)
                    .for_each(|(sum, value)| *sum += value);
            }
        }
    }
    sums
}

fn with_intervals<'a>(
    estimate: Vec<f64>,
    confidence: f64,
    n_replicates: usize,
    replicate: impl Fn(usize) -> &'a Vec<f64> + Sync,
) -> Table {
    let bounds: Vec<(f64, f64)> = (0..estimate.len())
        .into_par_iter()
        .map(|place| {
            let mut values = (0..n_replicates).map(|b| replicate(b)[place]).collect();
            interval(&mut values, confidence)
        })
        .collect();
    let (low, high) = bounds.into_iter().unzip();
    Table {
        estimate,
        low,
        high,
    }
}

fn fill(records: &Records<'_>, means: &Means, rule: CoverageRule, block: &Block) -> Cells {
    let layout = means.layout;
    let n_columns = layout.len();
    let mut prompts: Vec<(u32, u32, u32)> = block
        .prompts
        .iter()
        .map(|&(prompt, cluster)| (records.condition[prompt as usize] as u32, cluster, prompt))
        .collect();
    prompts.sort_unstable();
    let mut cells = Cells {
        keys: Vec::new(),
        sums: Vec::new(),
    };
    let mut metrics = Metrics::default();
    for (condition, cluster, prompt) in prompts {
        if cells.keys.last() != Some(&(condition, cluster)) {
            cells.keys.push((condition, cluster));
            cells.sums.resize(cells.keys.len() * n_columns, 0.0);
        }
        let prompt = prompt as usize;
        let (log_p, mixture) = records.row(prompt);
        measure(log_p, mixture, rule, &mut metrics);
        let seen = Prompt {
            mixture,
            centres: means.centres(condition as usize),
            last: records.last.map(|last| last[prompt]),
            completed: records.completed.map(|share| share[prompt]),
        };
        let start = (cells.keys.len() - 1) * n_columns;
        columns::add(layout, seen, &metrics, &mut cells.sums[start..]);
    }
    cells
}

/// First pass: means of every condition, which the columns are centred at.
struct Means {
    layout: Layout,
    n_conditions: usize,
    centres: Vec<f64>,
    mixture: Vec<f64>,
}

impl Means {
    fn new(records: &Records<'_>, keep: &[bool], rule: CoverageRule) -> Result<Self> {
        let n_tasks = records.n_tasks;
        let n_conditions = 1 + records.condition.iter().copied().max().unwrap_or(0) as usize;
        let mut counts = vec![(0.0, 0.0); n_conditions];
        let mut centres = vec![0.0; n_conditions * 2 * n_tasks];
        let mut mixture = vec![0.0; n_conditions * n_tasks];
        let mut first: Vec<Option<&[f64]>> = vec![None; n_conditions];
        let mut has_mixture = false;
        let mut metrics = Metrics::default();
        for prompt in (0..records.n_prompts()).filter(|&prompt| keep[prompt]) {
            let place = records.condition[prompt] as usize;
            let (log_p, shares) = records.row(prompt);
            measure(log_p, shares, rule, &mut metrics);
            let answered = metrics.numbers[4] < f64::INFINITY;
            counts[place].0 += 1.0;
            counts[place].1 += f64::from(u8::from(answered));
            let row = &mut centres[place * 2 * n_tasks..(place + 1) * 2 * n_tasks];
            for task in 0..n_tasks {
                row[task] += metrics.probabilities[task];
                row[n_tasks + task] += if answered { metrics.shares[task] } else { 0.0 };
                mixture[place * n_tasks + task] += shares[task];
            }
            has_mixture |= *first[place].get_or_insert(shares) != shares;
        }
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
            mixture[place * n_tasks..][..n_tasks]
                .iter_mut()
                .for_each(|sum| *sum /= count);
            if let (false, Some(shares)) = (has_mixture, first[place]) {
                // A mean of equal shares may differ from them in the last bit.
                mixture[place * n_tasks..][..n_tasks].copy_from_slice(shares);
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

    fn centres(&self, condition: usize) -> &[f64] {
        let width = 2 * self.layout.n_tasks;
        &self.centres[condition * width..(condition + 1) * width]
    }

    fn lambdas(&self, task: usize) -> Vec<f64> {
        self.mixture
            .chunks_exact(self.layout.n_tasks)
            .map(|row| row[task])
            .collect()
    }

    fn fixed(&self, condition: usize, rule: CoverageRule, has_beam: bool) -> Fixed<'_> {
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
