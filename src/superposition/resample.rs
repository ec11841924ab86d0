//! Formula      sums_b[condition] = sum over clusters of count_bc x (sum of the cluster's prompts)
//! Shapes       blocks of prompts -> sums [n_replicates, n_conditions, n_columns]
//! Range        counts of a stratum of n clusters are Multinomial(n; 1/n, ..., 1/n)
//! Promises     the same bits for any number of threads; replicates are independent streams
//! Zero rows    a cluster not drawn contributes nothing
//! NaN          none goes in (see `columns`), none comes out
//! Precision    f64; blocks are added in their order
//! Cost         n_replicates x n_clusters x (one draw + n_columns multiplications)
//!
//! The draws of a replicate fall into a block by a chain of binomials and inside it uniformly,
//! which is the multinomial exactly and keeps every block in cache for all replicates. A group of
//! replicates against the columns of a block is one product of the linear algebra room.

use rayon::prelude::*;

use crate::error::Result;
use crate::linalg::{Inner, TokenPanels, for_each_row};
use crate::superposition::blocks::{Block, Plan};
use crate::superposition::draws::{counts, draws_of_blocks};
use crate::threads::Monitor;

/// Replicates of one matrix product; wide enough for full registers, narrow enough for the cache.
const GROUP: usize = 64;
/// Blocks held in memory at once.
const WAVE: usize = 8;

/// Column sums of one block, one row for every (condition, cluster) that occurs.
#[derive(Clone, Debug)]
pub struct Cells {
    /// Condition and cluster (inside the block) of every row, ordered by condition.
    pub keys: Vec<(u32, u32)>,
    /// Sums `[n_cells, n_columns]`.
    pub sums: Vec<f64>,
}

/// Sums of the data `[n_conditions, n_columns]` and of every replicate `[n_replicates,
/// n_conditions, n_columns]`; `cells` fills a block.
pub fn resampled(
    plan: &Plan,
    n_conditions: usize,
    n_columns: usize,
    n_replicates: usize,
    seed: u64,
    cells: impl Fn(&Block) -> Cells + Sync,
    monitor: &Monitor,
) -> Result<(Vec<f64>, Vec<f64>)> {
    let width = n_conditions * n_columns;
    let mut whole = vec![0.0; width];
    let draws = draws_of_blocks(plan, n_replicates, seed)?;
    let mut sums = vec![0.0; n_replicates * width];
    let groups: Vec<usize> = (0..n_replicates).step_by(GROUP).collect();
    for (wave, blocks) in plan.blocks.chunks(WAVE).enumerate() {
        let filled: Vec<Cells> = blocks.par_iter().map(&cells).collect();
        for cells in &filled {
            total(cells, n_columns, &mut whole);
        }
        if n_replicates == 0 {
            continue;
        }
        let filled: Vec<Vec<Run>> = filled
            .par_iter()
            .map(|cells| runs(cells, n_columns))
            .collect();
        let units: Vec<(usize, usize)> = (0..blocks.len())
            .flat_map(|place| groups.iter().map(move |&group| (place, group)))
            .collect();
        let parts: Vec<Vec<f64>> = units
            .par_iter()
            .map(|&(place, group)| {
                let number = wave * WAVE + place;
                let replicates = group..(group + GROUP).min(n_replicates);
                let counts = counts(&blocks[place], number, replicates, seed, &draws);
                product(&filled[place], &counts, blocks[place].n_clusters, n_columns)
            })
            .collect();
        for (&(place, group), part) in units.iter().zip(&parts) {
            scatter(&filled[place], part, group, n_columns, width, &mut sums);
        }
        monitor.tick(blocks.len())?;
    }
    Ok((whole, sums))
}

fn total(cells: &Cells, n_columns: usize, whole: &mut [f64]) {
    for (key, row) in cells.keys.iter().zip(cells.sums.chunks_exact(n_columns)) {
        let into = &mut whole[key.0 as usize * n_columns..][..n_columns];
        into.iter_mut()
            .zip(row)
            .for_each(|(sum, value)| *sum += value);
    }
}

/// Cells of one condition in a block, ready for products.
struct Run {
    condition: usize,
    clusters: Vec<u32>,
    columns: TokenPanels,
}

fn runs(cells: &Cells, n_columns: usize) -> Vec<Run> {
    let mut start = 0;
    let grouped = cells.keys.chunk_by(|left, right| left.0 == right.0);
    grouped
        .map(|keys| {
            let rows = &cells.sums[start * n_columns..(start + keys.len()) * n_columns];
            start += keys.len();
            let columns: Vec<f64> = (0..n_columns)
                .flat_map(|column| rows.iter().skip(column).step_by(n_columns))
                .copied()
                .collect();
            Run {
                condition: keys[0].0 as usize,
                clusters: keys.iter().map(|key| key.1).collect(),
                columns: TokenPanels::pack_rows(&columns, keys.len()),
            }
        })
        .collect()
}

/// Weighted sums `[n_runs, n_group, n_columns]` for counts `[n_group, n_clusters]`.
fn product(runs: &[Run], counts: &[f64], n_clusters: usize, n_columns: usize) -> Vec<f64> {
    let mut result = Vec::new();
    for run in runs {
        let n_cells = run.clusters.len();
        // A condition that has every cluster of the block has them in order.
        let weights = if n_cells == n_clusters {
            TokenPanels::pack_rows(counts, n_clusters)
        } else {
            let gathered: Vec<f64> = counts
                .chunks_exact(n_clusters)
                .flat_map(|row| run.clusters.iter().map(|&cluster| row[cluster as usize]))
                .collect();
            TokenPanels::pack_rows(&gathered, n_cells)
        };
        let first = result.len();
        result.resize(first + counts.len() / n_clusters * n_columns, 0.0);
        for_each_row(&weights, &run.columns, Inner, |row, sums| {
            let start = first + row * n_columns;
            result[start..start + n_columns].copy_from_slice(sums);
        });
    }
    result
}

fn scatter(
    runs: &[Run],
    part: &[f64],
    group: usize,
    n_columns: usize,
    width: usize,
    sums: &mut [f64],
) {
    let n_group = part.len() / (runs.len() * n_columns);
    for (run, rows) in runs.iter().zip(part.chunks_exact(n_group * n_columns)) {
        for (member, row) in rows.chunks_exact(n_columns).enumerate() {
            let to = (group + member) * width + run.condition * n_columns;
            let into = &mut sums[to..to + n_columns];
            into.iter_mut()
                .zip(row)
                .for_each(|(sum, value)| *sum += value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::superposition::blocks::BLOCK;

    fn plan_of(sizes: &[usize]) -> Plan {
        let block = |n_clusters: &usize| Block {
            stratum: 0,
            n_clusters: *n_clusters,
            prompts: (0..*n_clusters as u32)
                .map(|prompt| (prompt, prompt))
                .collect(),
        };
        Plan {
            blocks: sizes.iter().map(block).collect(),
            n_clusters: vec![sizes.iter().sum()],
        }
    }

    fn ones(block: &Block) -> Cells {
        let n_clusters = block.n_clusters;
        Cells {
            keys: (0..n_clusters as u32).map(|cluster| (0, cluster)).collect(),
            sums: vec![1.0; n_clusters],
        }
    }

    #[test]
    fn every_replicate_draws_as_many_clusters_as_there_are() {
        let plan = plan_of(&[BLOCK, BLOCK, 37]);
        let (whole, sums) = resampled(&plan, 1, 1, 70, 5, ones, &Monitor::default()).unwrap();
        assert_eq!(whole, vec![(2 * BLOCK + 37) as f64]);
        assert!(sums.iter().all(|&sum| sum == (2 * BLOCK + 37) as f64));
    }

    #[test]
    fn counts_have_the_mean_and_variance_of_a_multinomial() {
        let plan = plan_of(&[BLOCK, 512]);
        let first = |block: &Block| {
            let mut cells = ones(block);
            cells.sums.iter_mut().skip(1).for_each(|sum| *sum = 0.0);
            cells
        };
        let n_replicates = 4000;
        let (_, sums) =
            resampled(&plan, 1, 1, n_replicates, 9, first, &Monitor::default()).unwrap();
        // Two marked clusters of n: Binomial(n, 2/n), mean 2, variance 2 (1 - 2/n).
        let mean = sums.iter().sum::<f64>() / n_replicates as f64;
        let variance = sums.iter().map(|sum| (sum - mean).powi(2)).sum::<f64>();
        let variance = variance / n_replicates as f64;
        // Five standard errors: sqrt(2/4000) for the mean, about sqrt(2 * 4/4000 * 1.25) for the variance.
        assert!((mean - 2.0).abs() < 0.112, "{mean}");
        assert!((variance - 2.0).abs() < 0.25, "{variance}");
    }
}
