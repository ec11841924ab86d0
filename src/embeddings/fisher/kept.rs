//! Rows of small batches, held as they came until there are enough of them to be worth a pass.
//!
//! The sums take 16 bytes of reading and writing per coordinate, a float32 gradient only 4: one
//! example at a time, most of the traffic would be sums. Kept rows are added in their order, so
//! nothing else can tell that they waited.

use rayon::prelude::*;

use super::squares::{TILE, add_rows};
use super::{Fisher, Square};
use crate::error::Result;
use crate::tokens::{Ragged, Stored};

/// Rows that wait at most: together as large as the two vectors of sums.
pub const KEPT: usize = 4;

/// Float32 rows [KEPT, n_coordinates] of every parameter, the first `n_rows` of them in use.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    pub n_rows: usize,
    rows: Vec<Vec<f32>>,
}

impl Fisher {
    /// The batch as float32 matrices, if it is small enough to wait and no shard ends with it.
    pub(super) fn small<'a>(
        &self,
        batch: &[Stored<'a>],
        weights: Option<&[f64]>,
        n_examples: usize,
    ) -> Option<Vec<Ragged<'a, f32>>> {
        let is_plain = weights.is_none() && self.layout.square == Square::EachExample;
        let ends = self.n_running + n_examples >= self.layout.shard_size;
        if !is_plain || ends || batch[0].n_rows() > KEPT / 2 {
            return None;
        }
        let narrow = batch.iter().map(|rows| match rows {
            Stored::F32(rows) => Some(*rows),
            _ => None,
        });
        narrow.collect()
    }

    /// Takes the rows in, or refuses all of them.
    pub(super) fn keep(
        &mut self,
        batch: &[Stored<'_>],
        narrow: &[Ragged<'_, f32>],
        n_examples: usize,
    ) -> Result<()> {
        let n_rows = batch[0].n_rows();
        if self.kept.n_rows + n_rows > KEPT {
            self.settle();
        }
        if self.kept.rows.is_empty() {
            let sizes = self.sums.iter().map(|sums| sums.whole.len());
            self.kept.rows = sizes.map(|size| vec![0.0; KEPT * size]).collect();
        }
        let first = self.kept.n_rows;
        let mut is_finite = true;
        for (kept, rows) in self.kept.rows.iter_mut().zip(narrow) {
            let place = first * rows.dim()..(first + n_rows) * rows.dim();
            let tiles = kept[place].par_chunks_mut(TILE);
            is_finite &= tiles
                .zip(rows.buffer().par_chunks(TILE))
                .map(|(kept, given)| {
                    kept.copy_from_slice(given);
                    // Looks at every number, so that the loop has no branch.
                    given
                        .iter()
                        .fold(true, |all, value| all & value.is_finite())
                })
                .reduce(|| true, |left, right| left & right);
        }
        if !is_finite {
            return self.refuse_nonfinite(batch);
        }
        self.kept.n_rows += n_rows;
        self.n_running += n_examples;
        Ok(())
    }

    /// Adds the rows that wait to the running shard.
    pub(super) fn settle(&mut self) {
        let n_rows = std::mem::take(&mut self.kept.n_rows);
        if n_rows == 0 {
            return;
        }
        for (sums, rows) in self.sums.iter_mut().zip(&self.kept.rows) {
            let size = sums.running.len();
            let tiles = sums.running.par_chunks_mut(TILE).enumerate();
            tiles.for_each(|(tile, sums)| {
                let start = tile * TILE;
                let piece = |row: usize| &rows[row * size + start..][..sums.len()];
                let pieces: Vec<&[f32]> = (0..n_rows).map(piece).collect();
                add_rows(&pieces, sums);
            });
        }
    }
}
