//! Norms of single-precision tokens, without loss: squares of `f32` are exact in `f64`.

use pulp::{Arch, Simd, WithSimd};

// Sixteen running sums hide the latency of an addition and fill two AVX-512 registers.
const SUMS: usize = 16;

/// Sum of squares of every row of width `dim`, in one order whatever the processor.
pub fn row_squares(rows: &[f32], dim: usize, squares: &mut [f64]) {
    Arch::new().dispatch(Squares { rows, dim, squares });
}

struct Squares<'a> {
    rows: &'a [f32],
    dim: usize,
    squares: &'a mut [f64],
}

impl WithSimd for Squares<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (row, found) in self.rows.chunks_exact(self.dim).zip(self.squares) {
            let (chunks, rest) = row.as_chunks::<SUMS>();
            let mut sums = [0.0f64; SUMS];
            for chunk in chunks {
                for (sum, &value) in sums.iter_mut().zip(chunk) {
                    let value = f64::from(value);
                    *sum += value * value;
                }
            }
            for (sum, &value) in sums.iter_mut().zip(rest) {
                let value = f64::from(value);
                *sum += value * value;
            }
            *found = sums.iter().sum();
        }
    }
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
    }
}
