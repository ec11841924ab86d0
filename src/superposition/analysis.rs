//! A whole record: statistics of every condition and across them, each with its interval.

use rayon::prelude::*;

use crate::error::Result;
use crate::superposition::across;
use crate::superposition::blocks::{Block, plan};
use crate::superposition::columns::{self, Prompt};
use crate::superposition::condition::{self, n_statistics, share_place};
use crate::superposition::means::Means;
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
    let means = Means::new(records, keep)?;
    let plan = plan(records, keep);
    let layout = means.layout;
    let cells = |block: &Block| fill(records, &means, settings.rule, block);
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
    let n_replicates = settings.n_replicates;
    let (whole, sums) = resampled(
        &plan,
        means.n_conditions,
        layout.len(),
        n_replicates,
        settings.seed,
        cells,
        monitor,
    )?;
    let (conditions, across) = evaluate(&whole);
    let width = whole.len();
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
