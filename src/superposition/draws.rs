//! Multinomial counts of a replicate, block by block: binomials say how many draws fall into a
//! block, uniform numbers say where in it.

use rand::Rng;
use rand_distr::{Binomial, Distribution};

use crate::error::{Error, Result};
use crate::random::stream;
use crate::superposition::blocks::{BLOCK, BLOCK_BITS, Block, Plan};

/// A replicate's words are dealt out in lots of this size: lot 0 to the binomials, lot b + 1 to
/// block b. A block draws about 350 words, so lots never touch.
const LOT_BITS: u32 = 24;

/// How many draws of every replicate fall into every block `[n_replicates][n_blocks]`.
pub fn draws_of_blocks(plan: &Plan, n_replicates: usize, seed: u64) -> Result<Vec<Vec<u64>>> {
    (0..n_replicates)
        .map(|replicate| draws_of_replicate(plan, &mut stream(seed, replicate as u64)))
        .collect()
}

fn draws_of_replicate(plan: &Plan, rng: &mut impl Rng) -> Result<Vec<u64>> {
    let mut last_stratum = usize::MAX;
    let (mut left, mut clusters_left) = (0_u64, 0_u64);
    let mut draws = Vec::with_capacity(plan.blocks.len());
    for block in &plan.blocks {
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
            chain.sample(rng)
        };
        draws.push(drawn);
        left -= drawn;
        clusters_left -= size;
    }
    Ok(draws)
}

/// Counts `[n_group, n_clusters]` of a group of replicates.
pub fn counts(
    block: &Block,
    number: usize,
    replicates: std::ops::Range<usize>,
    seed: u64,
    draws: &[Vec<u64>],
) -> Vec<f64> {
    let mut counts = vec![0.0; block.n_clusters * replicates.len()];
    let mut drawn = vec![0_u32; block.n_clusters];
    for (row, replicate) in counts.chunks_exact_mut(block.n_clusters).zip(replicates) {
        let mut rng = stream(seed, replicate as u64);
        rng.set_word_pos((number as u128 + 1) << LOT_BITS);
        drawn.fill(0);
        draw_uniform(&mut rng, draws[replicate][number], &mut drawn);
        row.iter_mut()
            .zip(&drawn)
            .for_each(|(count, &times)| *count = f64::from(times));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uniform_numbers_below_three_come_equally_often() {
        let mut rng = stream(1, 0);
        let mut counts = [0_u32; 3];
        (0..30_000).for_each(|_| counts[below(&mut rng, 3) as usize] += 1);
        // Standard deviation of each count: sqrt(30000 * 2/9) = 82.
        assert!(
            counts.iter().all(|&count| count.abs_diff(10_000) < 410),
            "{counts:?}"
        );
    }
}
