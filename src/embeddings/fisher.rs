//! The diagonal of a Fisher matrix, from a stream of per-example gradients.
//!
//! Formula     F_i = (1 / n) sum over examples x of sum over rows r of x of w_r g_ri^2
//! Shapes      per parameter and batch `[n_rows, n_coordinates]`; the result has one number per
//!             coordinate; a row is one gradient, an example has `rows_per_example` of them
//! Range       0 and above
//! Promises    batch-free: any cut of the stream into batches gives the same bits; merging whole
//!             shards in order gives the same bits as one pass; same bits for any threads
//! Zero rows   count as examples
//! NaN         refused, naming parameter, example and coordinate; the batch leaves no trace
//! Precision   f16, bf16, f32 or f64 in; squares and sums in f64. Squares of the first three are
//!             exact, so an error is at most that of `n` additions.
//! Cost        one multiplication and one addition per gradient number; three f64 per coordinate,
//!             however many examples there are
//!
//! Sums run in shards of `shard_size` examples: each shard is added up from zero, and whole shards
//! are folded into one total in their order. A shard may therefore be computed anywhere and merged
//! later. Columns are cut in tiles whose sums stay in the cache while a batch passes.

mod merge;
mod squares;

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::threads::Monitor;
use crate::tokens::Stored;
use squares::{Part, TILE, add_part, first_bad};

/// What is squared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Square {
    /// Every row by itself: the Fisher diagonal.
    EachExample,
    /// The mean of a batch, as published code does; a batch then counts as one example, and the
    /// result depends on the batch size.
    BatchMean,
}

/// What two accumulators must share to be merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Examples of one shard.
    pub shard_size: usize,
    /// Consecutive rows that belong to one example (label draws or classes).
    pub rows_per_example: usize,
    /// What is squared.
    pub square: Square,
}

/// The sums of one parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Sums {
    /// What messages call it.
    pub name: String,
    /// Whole shards, folded in order.
    pub whole: Vec<f64>,
    /// The shard that is being filled.
    pub running: Vec<f64>,
}

/// The accumulator.
#[derive(Debug, Clone)]
pub struct Fisher {
    layout: Layout,
    sums: Vec<Sums>,
    // Where the next batch is added before anybody knows that all of it is finite.
    next: Vec<Vec<f64>>,
    n_whole: usize,
    n_running: usize,
}

impl Fisher {
    /// An accumulator without examples, for parameters of these names and sizes.
    pub fn new(parameters: &[(String, usize)], layout: Layout) -> Result<Self> {
        let sums = parameters.iter().map(|(name, size)| Sums {
            name: name.clone(),
            whole: vec![0.0; *size],
            running: vec![0.0; *size],
        });
        Self::restored(sums.collect(), [0, 0], layout)
    }

    /// An accumulator as it was: its sums, and the examples in whole shards and in the running one.
    pub fn restored(sums: Vec<Sums>, counts: [usize; 2], layout: Layout) -> Result<Self> {
        let [n_whole, n_running] = counts;
        if layout.shard_size == 0 || layout.rows_per_example == 0 {
            return Err(Error::Value(
                "shard_size and rows_per_example must be at least 1".into(),
            ));
        }
        let fits = |sums: &Sums| !sums.whole.is_empty() && sums.whole.len() == sums.running.len();
        if sums.is_empty() || !sums.iter().all(fits) {
            return Err(Error::Shape(
                "the Fisher diagonal needs at least one parameter, each with at least one number"
                    .into(),
            ));
        }
        if !n_whole.is_multiple_of(layout.shard_size) || n_running >= layout.shard_size {
            return Err(Error::Format(format!(
                "{n_whole} merged and {n_running} running examples do not fit shards of {}",
                layout.shard_size
            )));
        }
        let next = sums.iter().map(|sums| vec![0.0; sums.whole.len()]);
        Ok(Self {
            layout,
            next: next.collect(),
            sums,
            n_whole,
            n_running,
        })
    }

    /// The sums of every parameter.
    pub fn sums(&self) -> &[Sums] {
        &self.sums
    }

    /// Examples in whole shards, and in the running one.
    pub fn counts(&self) -> [usize; 2] {
        [self.n_whole, self.n_running]
    }

    /// Adds a batch, one matrix per parameter, each row weighted (None: by 1). A batch that is
    /// refused leaves no trace.
    pub fn add(
        &mut self,
        batch: &[Stored<'_>],
        weights: Option<&[f64]>,
        monitor: &Monitor,
    ) -> Result<()> {
        let n_examples = self.check(batch, weights)?;
        let room = self.layout.shard_size - self.n_running;
        if n_examples > room {
            // More than one shard is touched, and a whole one cannot be taken back.
            self.refuse_nonfinite(batch)?;
        }
        let mut first = 0;
        while first < n_examples {
            let count = (n_examples - first).min(self.layout.shard_size - self.n_running);
            self.add_rows(batch, weights, [first, count], monitor)?;
            first += count;
        }
        Ok(())
    }

    fn check(&self, batch: &[Stored<'_>], weights: Option<&[f64]>) -> Result<usize> {
        if batch.len() != self.sums.len() {
            return Err(Error::Shape(format!(
                "the batch has gradients of {} parameters, the accumulator has {}",
                batch.len(),
                self.sums.len()
            )));
        }
        let n_rows = batch[0].n_rows();
        for (sums, rows) in self.sums.iter().zip(batch) {
            if rows.dim() != sums.whole.len() || rows.n_rows() != n_rows {
                return Err(Error::Shape(format!(
                    "gradient of parameter '{}': got {} rows of {} numbers, expected {n_rows} of {}",
                    sums.name,
                    rows.n_rows(),
                    rows.dim(),
                    sums.whole.len()
                )));
            }
        }
        let per_example = self.layout.rows_per_example;
        if !n_rows.is_multiple_of(per_example)
            || weights.is_some_and(|weights| weights.len() != n_rows)
        {
            return Err(Error::Shape(format!(
                "the batch has {n_rows} rows, expected a multiple of rows_per_example = \
                 {per_example}, and one weight for each row"
            )));
        }
        Ok(match self.layout.square {
            Square::EachExample => n_rows / per_example,
            Square::BatchMean => 1,
        })
    }

    fn add_rows(
        &mut self,
        batch: &[Stored<'_>],
        weights: Option<&[f64]>,
        [first, count]: [usize; 2],
        monitor: &Monitor,
    ) -> Result<()> {
        let (rows, square) = match self.layout.square {
            Square::EachExample => {
                let per_example = self.layout.rows_per_example;
                let rows = first * per_example..(first + count) * per_example;
                (rows, Square::EachExample)
            }
            Square::BatchMean => (0..batch[0].n_rows(), Square::BatchMean),
        };
        for ((sums, next), matrix) in self.sums.iter().zip(&mut self.next).zip(batch) {
            monitor.tick(0)?;
            let part = Part {
                rows: rows.clone(),
                weights,
                square,
            };
            let tiles = sums.running.par_chunks(TILE).zip(next.par_chunks_mut(TILE));
            let is_finite = tiles.enumerate().map(|(tile, (before, after))| {
                add_part(matrix, &part, tile * TILE, before, after);
                after.iter().all(|sum| sum.is_finite())
            });
            if !is_finite.reduce(|| true, |left, right| left && right) {
                self.refuse_nonfinite(batch)?;
                return Err(Error::NonFinite(format!(
                    "gradient of parameter '{}': the sum of squares leaves the range of float64",
                    sums.name
                )));
            }
        }
        for (sums, next) in self.sums.iter_mut().zip(&mut self.next) {
            std::mem::swap(&mut sums.running, next);
        }
        self.n_running += count;
        monitor.tick(count)?;
        if self.n_running == self.layout.shard_size {
            self.fold();
        }
        Ok(())
    }

    fn refuse_nonfinite(&self, batch: &[Stored<'_>]) -> Result<()> {
        for (sums, rows) in self.sums.iter().zip(batch) {
            if let Some((row, column)) = first_bad(rows) {
                return Err(Error::NonFinite(format!(
                    "gradient of parameter '{}': example {} (row {row} of the batch), coordinate \
                     {column} is NaN or infinite, or its square is",
                    sums.name,
                    self.n_whole + self.n_running + row / self.layout.rows_per_example,
                )));
            }
        }
        Ok(())
    }

    fn fold(&mut self) {
        for sums in &mut self.sums {
            let tiles = sums.whole.par_chunks_mut(TILE);
            tiles
                .zip(sums.running.par_chunks_mut(TILE))
                .for_each(|(whole, running)| {
                    for (total, sum) in whole.iter_mut().zip(running) {
                        *total += *sum;
                        *sum = 0.0;
                    }
                });
        }
        self.n_whole += self.n_running;
        self.n_running = 0;
    }

    /// The mean over examples, one vector per parameter.
    pub fn mean(&self) -> Result<Vec<Vec<f64>>> {
        let count = self.n_whole + self.n_running;
        if count == 0 {
            return Err(Error::Value(
                "no example was accumulated, so there is no mean; call partial_fit first".into(),
            ));
        }
        let mean = |sums: &Sums| {
            let pairs = sums.whole.iter().zip(&sums.running);
            pairs
                .map(|(whole, running)| (whole + running) / count as f64)
                .collect()
        };
        Ok(self.sums.iter().map(mean).collect())
    }
}

#[cfg(test)]
mod tests;
