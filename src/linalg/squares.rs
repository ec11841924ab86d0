//! Norms of single-precision tokens, at the speed of reading them.

use half::bf16;
use pulp::{Arch, Simd, WithSimd};

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

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (row, found) in self.rows.chunks_exact(self.dim).zip(self.squares) {
            let sum: f64 = row.chunks(RUN).map(|run| f64::from(square_of(run))).sum();
            *found = if sum < SMALLEST || !sum.is_finite() {
                row.iter()
                    .map(|&value| f64::from(value.single()))
                    .map(|value| value * value)
                    .sum()
            } else {
                sum
            };
        }
    }
}

#[inline(always)]
fn square_of<T: Single>(run: &[T]) -> f32 {
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
    let eight: [f32; 8] = std::array::from_fn(|at| sums[at] + sums[at + 8]);
    let four: [f32; 4] = std::array::from_fn(|at| eight[at] + eight[at + 4]);
    (four[0] + four[2]) + (four[1] + four[3])
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
