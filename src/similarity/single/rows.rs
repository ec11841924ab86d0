//! Tokens of one side as the single-precision product reads them: moved into the frame, rounded
//! to `f32` if they were not, and never divided by their norms; scores are divided instead. A row
//! depends on nothing but itself and its position, so neither does any product.

use std::ops::Range;

use half::bf16;
use half::slice::HalfFloatSliceExt;

use super::norms::Norms;
use crate::linalg::simd::Path;
use crate::linalg::{round_row, row_squares};
use crate::similarity::centre::Frame;
use crate::similarity::prepare::Normalize;
use crate::tokens::Stored;

/// Norms between which products of `f32` neither overflow nor lose digits to underflow: sums of
/// two tokens stay below 2^120, and what falls below the smallest number, 2^-149 a coordinate, is
/// less than 2^-30 of the rounding of the smallest sums.
const ORDINARY: Range<f64> = 1.0 / (1u64 << 50) as f64..(1u64 << 60) as f64;
const ORDINARY_SQUARES: Range<f64> = ORDINARY.start * ORDINARY.start..ORDINARY.end * ORDINARY.end;

/// Whether products of a token of this squared norm keep what single precision promises.
pub fn is_ordinary(square: f64) -> bool {
    ORDINARY_SQUARES.contains(&square)
}

/// One side of a comparison.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    stored: Stored<'a>,
    frame: &'a Frame,
    normalize: Normalize,
    // Whether tokens are rounded to bfloat16, which happens before anything else looks at them.
    rounds: bool,
    // Tokens that the tile may read in place.
    lying: Option<&'a [f32]>,
}

impl<'a> Rows<'a> {
    /// A side in a frame, its tokens rounded to bfloat16 if `rounds`.
    pub fn new(stored: Stored<'a>, frame: &'a Frame, normalize: Normalize, rounds: bool) -> Self {
        let lying = match stored {
            Stored::F32(ragged) if frame.is_empty() && !rounds => Some(ragged.buffer()),
            _ => None,
        };
        Self {
            stored,
            frame,
            normalize,
            // Nothing is left to round where tokens are stored so and stay where they are.
            rounds: rounds && !(matches!(stored, Stored::Bf16(_)) && frame.is_empty()),
            lying,
        }
    }

    /// Adds some rows, the first of them in `task`, to what was found so far; scratch is that of
    /// `found`. Returns the task of the row after the last.
    pub fn look(&self, rows: Range<usize>, task: usize, found: &mut Norms) -> usize {
        let dim = self.dim();
        found.start(rows.len());
        if let Some(values) = self.lying(&rows) {
            row_squares(values, dim, &mut found.squares);
        } else if let Some(values) = self.short(&rows) {
            row_squares(values, dim, &mut found.squares);
        } else {
            let mut scratch = Vec::new();
            self.fill_rows(&rows, task, &mut scratch, found);
        }
        self.judge(rows, task, found)
    }

    /// As `look`, and the rows as `f32`: in place, or copied into `scratch`.
    pub fn take<'s>(
        &'s self,
        rows: &Range<usize>,
        task: usize,
        found: &mut Norms,
        scratch: &'s mut Vec<f32>,
    ) -> (&'s [f32], usize) {
        if let Some(values) = self.lying(rows) {
            return (values, self.look(rows.clone(), task, found));
        }
        found.start(rows.len());
        self.fill_rows(rows, task, scratch, found);
        (scratch, self.judge(rows.clone(), task, found))
    }

    fn fill_rows(
        &self,
        rows: &Range<usize>,
        mut task: usize,
        scratch: &mut Vec<f32>,
        found: &mut Norms,
    ) {
        let dim = self.dim();
        scratch.resize(rows.len() * dim, 0.0);
        for (at, row) in rows.clone().zip(scratch.chunks_exact_mut(dim)) {
            task = self.task_from(task, at);
            let (was_lost, error) = self.fill(at, task, row);
            found.lost.push(was_lost);
            found.errors.push(error);
        }
        row_squares(scratch, dim, &mut found.squares);
    }

    // From squares to norms, scales and tasks out of the ordinary.
    fn judge(&self, rows: Range<usize>, mut task: usize, found: &mut Norms) -> usize {
        let mut largest = 0.0f64;
        for (number, &square) in found.squares.iter().enumerate() {
            largest = largest.max(square);
            let error = found.errors.get(number).copied().unwrap_or(0.0);
            // On the way to `f32`, or when all that is left was rounded to zero.
            let was_lost =
                found.lost.get(number).is_some_and(|&lost| lost) || (square == 0.0 && error > 0.0);
            if was_lost || (square != 0.0 && !is_ordinary(square)) {
                task = self.task_from(task, rows.start + number);
                if found.extraordinary.last() != Some(&task) {
                    found.extraordinary.push(task);
                }
            } else {
                found.moved = found.moved.max(relative(error, square));
            }
        }
        found.largest = found.largest.max(largest.sqrt());
        let start = found.scales.len();
        found.scales.resize(start + rows.len(), 1.0);
        if self.normalize == Normalize::Tokens {
            for (scale, square) in found.scales[start..].iter_mut().zip(&found.squares) {
                let inverse = 1.0 / square.sqrt();
                *scale = if *square > 0.0 { inverse } else { 0.0 };
            }
        }
        self.task_from(task, rows.end)
    }

    // The task of a row that is not before the first of `task`.
    fn task_from(&self, task: usize, row: usize) -> usize {
        let later = &self.offsets()[task + 1..];
        task + later.iter().take_while(|&&end| end <= row).count()
    }

    /// The task of a row.
    pub fn task_of(&self, row: usize) -> usize {
        self.offsets().partition_point(|&start| start <= row) - 1
    }

    /// Number of tasks.
    pub fn n_tasks(&self) -> usize {
        self.stored.n_tasks()
    }

    /// Width of every token.
    pub fn dim(&self) -> usize {
        self.stored.dim()
    }

    /// Row bounds of every task.
    pub fn offsets(&self) -> &'a [usize] {
        self.stored.offsets()
    }

    /// Rows of task `index`.
    pub fn task(&self, index: usize) -> Range<usize> {
        self.offsets()[index]..self.offsets()[index + 1]
    }

    /// Rows in place, where they can be read so.
    pub fn lying(&self, rows: &Range<usize>) -> Option<&'a [f32]> {
        let dim = self.dim();
        self.lying
            .map(|values| &values[rows.start * dim..rows.end * dim])
    }

    /// Rows as a tile of `path` reads them, where they lie so.
    pub fn in_place(&self, path: Path, rows: &Range<usize>) -> Option<&'a [f32]> {
        if !path.reads_pairs() {
            return self.lying(rows);
        }
        let values = self.short(rows)?;
        let fits = 2 * path.words(self.dim()) == self.dim();
        fits.then(|| bytemuck::try_cast_slice(values).ok())?
    }

    // Rows stored as bfloat16 that nothing is done to.
    fn short(&self, rows: &Range<usize>) -> Option<&'a [bf16]> {
        match self.stored {
            Stored::Bf16(ragged) if self.frame.is_empty() => {
                Some(&ragged.buffer()[rows.start * self.dim()..rows.end * self.dim()])
            }
            _ => None,
        }
    }

    // Whether a number other than zero fell out of the ordinary range on its way to `f32`, and the
    // square of what rounding to bfloat16 moved the token by.
    fn fill(&self, at: usize, task: usize, row: &mut [f32]) -> (bool, f64) {
        let was_lost = self.fill_single(at, task, row);
        let error = if self.rounds { round_row(row) } else { 0.0 };
        (was_lost, error)
    }

    fn fill_single(&self, at: usize, task: usize, row: &mut [f32]) -> bool {
        let values = at * row.len()..(at + 1) * row.len();
        if self.frame.is_empty() {
            match self.stored {
                Stored::F32(ragged) => row.copy_from_slice(&ragged.buffer()[values]),
                Stored::F16(ragged) => ragged.buffer()[values].convert_to_f32_slice(row),
                Stored::Bf16(ragged) => ragged.buffer()[values].convert_to_f32_slice(row),
                Stored::F64(_) => return self.fill_rounded(at, task, row),
            }
            return false;
        }
        self.fill_rounded(at, task, row)
    }

    fn fill_rounded(&self, at: usize, task: usize, row: &mut [f32]) -> bool {
        let mut wide = self.stored.widen_rows(at..at + 1);
        self.frame.subtract(at - self.offsets()[task], &mut wide);
        let mut largest = 0.0f64;
        for (slot, value) in row.iter_mut().zip(wide) {
            *slot = value as f32;
            largest = largest.max(value.abs());
        }
        largest > 0.0 && !ORDINARY.contains(&largest)
    }
}

// The root of a ratio of squares; a zero token does not move.
fn relative(error: f64, square: f64) -> f64 {
    if square > 0.0 {
        (error / square).sqrt()
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Ragged;

    fn norms(side: &Rows<'_>, rows: Range<usize>) -> Norms {
        let mut found = Norms::default();
        side.look(rows.clone(), side.task_of(rows.start), &mut found);
        found
    }

    #[test]
    fn scales_are_one_over_the_norm_and_zero_for_zero_tokens() {
        let values = [3.0f32, 4.0, 0.0, 0.0, 0.0, 2.0];
        let ragged = Ragged::new(&values, &[0, 2, 3], 2).unwrap();
        let frame = Frame::default();
        let rows = Rows::new(Stored::F32(ragged), &frame, Normalize::Tokens, false);
        let found = norms(&rows, 0..3);
        assert_eq!(found.scales, [0.2, 0.0, 0.5]);
        assert_eq!((found.largest, found.extraordinary.len()), (5.0, 0));
        let raw = Rows::new(Stored::F32(ragged), &frame, Normalize::Nothing, false);
        assert_eq!(norms(&raw, 1..3).scales, [1.0; 2]);
    }

    #[test]
    fn tokens_that_rounding_turns_to_zero_are_named() {
        let values = [1.0f32, 1e-41, 0.0, 4.7e-41];
        let ragged = Ragged::new(&values, &[0, 1, 2, 3, 4], 1).unwrap();
        let frame = Frame::default();
        let rows = Rows::new(Stored::F32(ragged), &frame, Normalize::Tokens, true);
        assert_eq!(norms(&rows, 0..4).extraordinary, [1, 3]);
    }

    #[test]
    fn tokens_that_f32_cannot_multiply_are_named() {
        let values = [1.0f64, 1e-40, 1e300];
        let ragged = Ragged::new(&values, &[0, 1, 2, 3], 1).unwrap();
        let frame = Frame::default();
        let rows = Rows::new(Stored::F64(ragged), &frame, Normalize::Tokens, false);
        let mut joined = norms(&rows, 0..2);
        joined.join(&norms(&rows, 1..3));
        assert_eq!((joined.extraordinary, joined.scales.len()), (vec![1, 2], 4));
        assert_eq!(norms(&rows, 1..2).extraordinary, [1]);
    }
}
