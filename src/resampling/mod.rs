//! Drawing again: replicates of a table, of a ranking and of a sign, one stream each.
//!
//! ```text
//! cube [n_targets, n_columns, n_seeds] --nested bootstrap--> replicates [n, n_columns]
//! means and their error [n_columns]   --posterior draws--->  replicates [n, n_columns]
//! replicates --> tally (ranks, who beats whom: whole numbers)  and  intervals (quantiles)
//! ```
//!
//! Replicate `i` draws from stream `i` of the seed, so replicates may be computed on any number
//! of threads and in shards, and everything made of them (counts and quantiles) is a symmetric
//! function of the set of replicates: shards merge in any order to the same bits.

mod intervals;
mod lanes;
mod levels;
mod nested;
mod plan;
mod posterior;
mod quantiles;
mod seeds;
mod signs;
mod studentised;
mod tally;
mod weighted;

pub use intervals::{Interval, Reference, interval};
pub use levels::{student_quantile, wilson};
pub use nested::Cube;
pub use plan::{Plan, Unit};
pub use posterior::{Anchor, RankModel};
pub use seeds::{SeedError, seed_error};
pub use signs::{MOST_EXACT, sign_flip};
pub use studentised::{range_distribution, range_quantile};
pub use tally::{ONE, Tally, rank_interval};

use std::ops::Range;

use ndarray::Array2;
use rand::Rng;
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::threads::Monitor;

// Replicates a thread takes at a time: long enough that scheduling costs nothing, short enough
// that Ctrl-C is heard at once. The cut changes no bit, every replicate being alone.
const PER_PIECE: usize = 128;

/// Rows of replicates `range`, row `i` filled by `fill(number, row)`.
pub fn replicates(
    range: Range<u64>,
    n_columns: usize,
    monitor: &Monitor,
    fill: impl Fn(u64, &mut [f64]) + Sync,
) -> Result<Array2<f64>> {
    let width = n_columns.max(1);
    replicate_blocks(range, n_columns, monitor, |first, rows| {
        for (row, number) in rows.chunks_exact_mut(width).zip(first..) {
            fill(number, row);
        }
    })
}

/// The same by blocks: `fill(first, rows)` fills all rows from replicate `first` on.
fn replicate_blocks(
    range: Range<u64>,
    n_columns: usize,
    monitor: &Monitor,
    fill: impl Fn(u64, &mut [f64]) + Sync,
) -> Result<Array2<f64>> {
    let too_many = || Error::Value(format!("replicates {range:?} are too many or none"));
    let count = range.end.checked_sub(range.start).filter(|&n| n > 0);
    let count = usize::try_from(count.ok_or_else(too_many)?).map_err(|_| too_many())?;
    let size = count.checked_mul(n_columns).ok_or_else(too_many)?;
    let mut values = vec![0.0; size];
    let width = n_columns.max(1);
    values
        .par_chunks_mut(PER_PIECE * width)
        .enumerate()
        .try_for_each(|(piece, rows)| {
            fill(range.start + (piece * PER_PIECE) as u64, rows);
            monitor.tick(rows.len() / width)
        })?;
    Array2::from_shape_vec((count, n_columns), values)
        .map_err(|error| Error::Shape(error.to_string()))
}

/// Fills `places` with whole numbers below `n`, several from each 64 random bits: the fraction a
/// product with `n` leaves is the next number's randomness (Brackett-Rozinsky and Lemire 2024).
/// As long as the numbers drawn have at most 2^32 outcomes together, no outcome's probability is
/// off by more than one part in 2^32.
fn fill_below(generator: &mut impl Rng, n: usize, places: &mut [usize]) {
    for some in places.chunks_mut(at_once(n)) {
        let mut bits = generator.next_u64();
        for place in some {
            let product = u128::from(bits) * n as u128;
            *place = (product >> 64) as usize;
            bits = product as u64;
        }
    }
}

// Numbers below `n` made of one 64 bits. Whole bits a number: counting them out once costs less
// than a division for each.
fn at_once(n: usize) -> usize {
    let width = usize::BITS - n.saturating_sub(1).leading_zeros();
    (32 / width.clamp(1, 32)) as usize
}
