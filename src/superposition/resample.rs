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
//! which is the multinomial exactly and keeps every block in cache for all replicates.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rand::Rng;
use rand_distr::{Binomial, Distribution};
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::random::stream;
use crate::superposition::blocks::{BLOCK, BLOCK_BITS, Block, Plan};
use crate::threads::Monitor;

/// Replicates of one matrix product; wide enough for full registers, narrow enough for the cache.
const GROUP: usize = 64;
/// Blocks held in memory at once.
const WAVE: usize = 8;
/// A replicate's words are dealt out in lots of this size: lot 0 to the binomials, lot b + 1 to
/// block b. A block draws about 350 words, so lots never touch.
const LOT_BITS: u32 = 24;

/// Column sums of one block, one row for every (condition, cluster) that occurs.
#[derive(Clone, Debug)]
pub struct Cells {
    /// Condition and cluster (inside the block) of every row, ordered by condition.
    pub keys: Vec<(u32, u32)>,
    /// Sums `[n_cells, n_columns]`.
    pub sums: Vec<f64>,
}

/// Sums of every replicate `[n_replicates, n_conditions, n_columns]`; `cells` fills a block.
pub fn resampled(
    plan: &Plan,
    n_conditions: usize,
    n_columns: usize,
    n_replicates: usize,
    seed: u64,
    cells: impl Fn(&Block) -> Cells + Sync,
    monitor: &Monitor,
) -> Result<Vec<f64>> {
    let width = n_conditions * n_columns;
    let draws = draws_of_blocks(plan, n_replicates, seed)?;
    let mut sums = vec![0.0; n_replicates * width];
    let groups: Vec<usize> = (0..n_replicates).step_by(GROUP).collect();
    for (wave, blocks) in plan.blocks.chunks(WAVE).enumerate() {
        let filled: Vec<Cells> = blocks.par_iter().map(&cells).collect();
        let units: Vec<(usize, usize)> = (0..blocks.len())
            .flat_map(|place| groups.iter().map(move |&group| (place, group)))
            .collect();
        let parts: Vec<Vec<f64>> = units
            .par_iter()
            .map(|&(place, group)| {
                let number = wave * WAVE + place;
                let replicates = group..(group + GROUP).min(n_replicates);
                let counts = counts(&blocks[place], number, replicates, seed, &draws[number]);
                product(&filled[place], &counts, n_columns)
            })
            .collect();
        for (&(place, group), part) in units.iter().zip(&parts) {
            scatter(&filled[place], part, group, n_columns, width, &mut sums);
        }
        monitor.tick(blocks.len())?;
    }
    Ok(sums)
}

/// How many draws of every replicate fall into every block `[n_blocks][n_replicates]`.
fn draws_of_blocks(plan: &Plan, n_replicates: usize, seed: u64) -> Result<Vec<Vec<u64>>> {
    let mut draws = vec![vec![0_u64; n_replicates]; plan.blocks.len()];
    for replicate in 0..n_replicates {
        let mut rng = stream(seed, replicate as u64);
        let mut last_stratum = usize::MAX;
        let (mut left, mut clusters_left) = (0_u64, 0_u64);
        for (number, block) in plan.blocks.iter().enumerate() {
            if block.stratum != last_stratum {
                last_stratum = block.stratum;
                left = plan.n_clusters[last_stratum] as u64;
                clusters_left = left;
            }
            let size = block.n_clusters as u64;
            let drawn = if size == clusters_left {
                left
            } else {
                let part = size as f64 / clusters_left as f64;
                let chain = Binomial::new(left, part)
                    .map_err(|error| Error::Value(format!("resampling draws: {error}")))?;
                chain.sample(&mut rng)
            };
            draws[number][replicate] = drawn;
            left -= drawn;
            clusters_left -= size;
        }
    }
    Ok(draws)
}

/// Counts of every cluster `[n_clusters, n_group]` for a group of replicates.
fn counts(
    block: &Block,
    number: usize,
    replicates: std::ops::Range<usize>,
    seed: u64,
    draws: &[u64],
) -> Vec<f64> {
    let n_group = replicates.len();
    let mut counts = vec![0.0; block.n_clusters * n_group];
    let mut drawn = vec![0_u32; block.n_clusters];
    for (column, replicate) in replicates.enumerate() {
        let mut rng = stream(seed, replicate as u64);
        rng.set_word_pos((number as u128 + 1) << LOT_BITS);
        drawn.fill(0);
        draw_uniform(&mut rng, draws[replicate], &mut drawn);
        for (cluster, &count) in drawn.iter().enumerate() {
            counts[cluster * n_group + column] = f64::from(count);
        }
    }
    counts
}

fn draw_uniform(rng: &mut impl Rng, n_draws: u64, counts: &mut [u32]) {
    let size = counts.len();
    if size == BLOCK {
        let (mut word, mut held) = (0_u64, 0);
        for _ in 0..n_draws {
            if held == 0 {
                word = rng.next_u64();
                held = u64::BITS / BLOCK_BITS;
            }
            counts[word as usize & (BLOCK - 1)] += 1;
            word >>= BLOCK_BITS;
            held -= 1;
        }
        return;
    }
    for _ in 0..n_draws {
        counts[below(rng, size as u32) as usize] += 1;
    }
}

/// A uniform number below `size`, by multiplication with rejection (Lemire, 2019).
pub fn below(rng: &mut impl Rng, size: u32) -> u32 {
    let smallest = size.wrapping_neg() % size;
    loop {
        let wide = u64::from(rng.next_u32()) * u64::from(size);
        if wide as u32 >= smallest {
            return (wide >> 32) as u32;
        }
    }
}

/// Weighted sums `[n_conditions of the block, n_group, n_columns]`.
fn product(cells: &Cells, counts: &[f64], n_columns: usize) -> Vec<f64> {
    let n_clusters = 1 + cells
        .keys
        .iter()
        .map(|key| key.1 as usize)
        .max()
        .unwrap_or(0);
    let n_group = counts.len() / n_clusters;
    let mut result = Vec::new();
    let mut start = 0;
    for run in cells.keys.chunk_by(|left, right| left.0 == right.0) {
        let gathered: Vec<f64> = run
            .iter()
            .flat_map(|key| {
                let first = key.1 as usize * n_group;
                &counts[first..first + n_group]
            })
            .copied()
            .collect();
        let weights = MatRef::from_row_major_slice(&gathered, run.len(), n_group);
        let rows = &cells.sums[start * n_columns..(start + run.len()) * n_columns];
        let rows = MatRef::from_row_major_slice(rows, run.len(), n_columns);
        let mut part = vec![0.0; n_group * n_columns];
        let into = MatMut::from_row_major_slice_mut(&mut part, n_group, n_columns);
        matmul(
            into,
            Accum::Replace,
            weights.transpose(),
            rows,
            1.0,
            Par::Seq,
        );
        result.extend(part);
        start += run.len();
    }
    result
}

fn scatter(
    cells: &Cells,
    part: &[f64],
    group: usize,
    n_columns: usize,
    width: usize,
    sums: &mut [f64],
) {
    let mut conditions: Vec<usize> = cells.keys.iter().map(|key| key.0 as usize).collect();
    conditions.dedup();
    let n_group = part.len() / (conditions.len() * n_columns);
    for (place, condition) in conditions.iter().enumerate() {
        for member in 0..n_group {
            let from = (place * n_group + member) * n_columns;
            let to = (group + member) * width + condition * n_columns;
            let pairs = sums[to..to + n_columns]
                .iter_mut()
                .zip(&part[from..from + n_columns]);
            pairs.for_each(|(sum, value)| *sum += value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let sums = resampled(&plan, 1, 1, 70, 5, ones, &Monitor::default()).unwrap();
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
        let sums = resampled(&plan, 1, 1, n_replicates, 9, first, &Monitor::default()).unwrap();
        // Two marked clusters of n: Binomial(n, 2/n), mean 2, variance 2 (1 - 2/n).
        let mean = sums.iter().sum::<f64>() / n_replicates as f64;
        let variance = sums.iter().map(|sum| (sum - mean).powi(2)).sum::<f64>();
        let variance = variance / n_replicates as f64;
        // Five standard errors: sqrt(2/4000) for the mean, about sqrt(2 * 4/4000 * 1.25) for the variance.
        assert!((mean - 2.0).abs() < 0.112, "{mean}");
        assert!((variance - 2.0).abs() < 0.25, "{variance}");
    }
}
