//! Tokens rounded to bfloat16 or to integers of 8 bits, at the speed of reading them.

use pulp::{Arch, Simd, WithSimd};

use super::simd::{quads, rounded_to_bf16};

const SUMS: usize = 16;

/// Rounds a token to bfloat16, ties to even; the square of what that moved it by.
pub fn round_row(row: &mut [f32]) -> f64 {
    Arch::new().dispatch(Round(row))
}

/// Rounds a token to multiples of its step, of which the largest is 127 (`quads`); the same.
pub fn quantize_row(row: &mut [f32]) -> f64 {
    Arch::new().dispatch(Quantize(row))
}

struct Round<'a>(&'a mut [f32]);

impl WithSimd for Round<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        each(self.0, rounded_to_bf16)
    }
}

struct Quantize<'a>(&'a mut [f32]);

impl WithSimd for Quantize<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        let (inverse, step) = quads::steps(quads::largest(self.0));
        each(self.0, |value| quads::rounded(value, inverse) * step)
    }
}

// In `f64`, because squares of what is lost may fall out of `f32`.
#[inline(always)]
fn each(row: &mut [f32], near: impl Fn(f32) -> f32) -> f64 {
    let (chunks, rest) = row.as_chunks_mut::<SUMS>();
    let mut sums = [0.0; SUMS];
    for chunk in chunks {
        round(chunk, &mut sums, &near);
    }
    let mut last = [0.0; SUMS];
    last[..rest.len()].copy_from_slice(rest);
    round(&mut last, &mut sums, &near);
    rest.copy_from_slice(&last[..rest.len()]);
    sums.into_iter().sum()
}

// A whole register at every step: number by number, the compiler makes halves and quarters.
#[inline(always)]
fn round(values: &mut [f32; SUMS], sums: &mut [f64; SUMS], near: impl Fn(f32) -> f32) {
    let near = values.map(near);
    let lost: [f32; SUMS] = std::array::from_fn(|at| values[at] - near[at]);
    *values = near;
    for (sum, lost) in sums.iter_mut().zip(lost) {
        *sum += f64::from(lost) * f64::from(lost);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_keeps_what_bfloat16_holds_and_tells_what_it_moved() {
        let mut row = vec![
            1.0,
            -3.5,
            0.0,
            1.0 + 2f32.powi(-9),
            1.0 + 3.0 * 2f32.powi(-8),
        ];
        row.extend(vec![2.0; 30]);
        let error = round_row(&mut row);
        assert_eq!(row[..5], [1.0, -3.5, 0.0, 1.0, 1.0 + 2f32.powi(-6)]);
        assert_eq!(row[5..], vec![2.0; 30]);
        assert_eq!(error, 2f64.powi(-18) + 2f64.powi(-16));
    }

    #[test]
    fn a_quantized_row_holds_multiples_of_its_step_and_tells_what_it_moved() {
        let mut row = vec![127.0, -63.4, 0.2, 0.5, -127.0];
        row.extend(vec![64.25; 30]);
        let error = quantize_row(&mut row);
        assert_eq!(row[..5], [127.0, -63.0, 0.0, 0.0, -127.0]);
        assert_eq!(row[5..], vec![64.0; 30]);
        let expected = 0.4f64.powi(2) + 0.2f64.powi(2) + 0.25 + 30.0 * 0.0625;
        assert!((error - expected).abs() < 1e-5);
        let mut zeros = vec![0.0; 3];
        assert_eq!((quantize_row(&mut zeros), zeros), (0.0, vec![0.0; 3]));
        let mut again = row.clone();
        quantize_row(&mut again);
        assert_eq!(again, row);
    }
}
