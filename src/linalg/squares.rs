//! Norms of single-precision tokens, at the speed of reading them.

use half::bf16;
use pulp::{Arch, Simd, WithSimd};

use super::simd::row_totals;

// Sixteen running sums fill an AVX-512 register, and rows follow each other without waiting.
const SUMS: usize = 16;
/// Products added in `f32` before they join an `f64` sum: the error of a sum of squares stays
/// below nine roundings of `f32`, of a norm below five.
const RUN: usize = 8 * SUMS;
/// Sums of squares below this may have lost digits to underflow and are added again in `f64`.
const SMALLEST: f64 = 1e-29;

/// A number that is one of `f32` too.
pub trait Single: Copy {
    /// The same number.
    fn single(self) -> f32;
}

impl Single for f32 {
    #[inline(always)]
    fn single(self) -> f32 {
        self
    }
}

impl Single for bf16 {
    // Two instructions for a whole register, where the library's conversion looks at each number.
    #[inline(always)]
    fn single(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }
}

/// Sum of squares of every row of width `dim`, in one order whatever the processor.
pub fn row_squares<T: Single>(rows: &[T], dim: usize, squares: &mut [f64]) {
    Arch::new().dispatch(Squares { rows, dim, squares });
}

struct Squares<'a, T> {
    rows: &'a [T],
    dim: usize,
    squares: &'a mut [f64],
}

impl<T: Single> WithSimd for Squares<'_, T> {
    type Output = ();

    // Sixteen rows at a time, because bringing the sums of one row together takes as long as
    // squaring 128 numbers.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let dim = self.dim;
        let rows = self.rows.chunks(SUMS * dim);
        for (rows, squares) in rows.zip(self.squares.chunks_mut(SUMS)) {
            let mut totals = [0.0f64; SUMS];
            for start in (0..dim).step_by(RUN) {
                let run = start..(start + RUN).min(dim);
                let mut sums = [[0.0f32; SUMS]; SUMS];
                for (sums, row) in sums.iter_mut().zip(rows.chunks_exact(dim)) {
                    *sums = squares_of(&row[run.clone()]);
                }
                for (total, sum) in totals.iter_mut().zip(row_totals(&sums)) {
                    *total += f64::from(sum);
                }
            }
            let rows = rows.chunks_exact(dim).zip(totals);
            for ((row, total), found) in rows.zip(squares) {
                *found = if total < SMALLEST || !total.is_finite() {
                    row.iter()
                        .map(|&value| f64::from(value.single()))
                        .map(|value| value * value)
                        .sum()
                } else {
                    total
                };
            }
        }
    }
}

#[inline(always)]
fn squares_of<T: Single>(run: &[T]) -> [f32; SUMS] {
    let (chunks, rest) = run.as_chunks::<SUMS>();
    let mut sums = [0.0f32; SUMS];
    for chunk in chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += value.single() * value.single();
        }
    }
    for (sum, value) in sums.iter_mut().zip(rest) {
        *sum += value.single() * value.single();
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_its_own_sum_of_squares() {
        let rows: Vec<f32> = (0..2 * 37).map(|value| value as f32).collect();
        let mut squares = [0.0; 2];
        row_squares(&rows, 37, &mut squares);
        let exact = |from: u64, to: u64| (from..to).map(|v| v * v).sum::<u64>() as f64;
        assert_eq!(squares, [exact(0, 37), exact(37, 74)]);
        let short: Vec<bf16> = rows.iter().map(|&value| bf16::from_f32(value)).collect();
        let mut same = [0.0; 2];
        row_squares(&short, 37, &mut same);
        assert_eq!(same, squares);
        let mut extreme = [0.0; 3];
        row_squares(&[1e-40f32, 0.0, 1e30], 1, &mut extreme);
        assert!(extreme[0] > 0.9e-80 && extreme[1] == 0.0 && extreme[2] > 0.9e60);
    }
}
