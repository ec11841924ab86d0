//! A random projection of very long vectors, one pass, no matrix.
//!
//! Formula     y_b = sum over coordinates i with bucket(i) = b of sign(i) x_i, where
//!             bucket(i) = (i + shift(i div dim)) mod dim
//! Shapes      any number of coordinates in, `dim` out
//! Promises    linear; E <y, y'> = <x, x'>; the variance of <y, y'> is at most
//!             2 |x|^2 |x'|^2 / dim, so that by Chebyshev's inequality
//!             P(|<y, y'> - <x, x'>| > e |x| |x'|) <= 2 / (dim e^2)
//! Precision   sums in f64, coordinates in order
//! Cost        one addition per coordinate and one random word per 64, whatever `dim` is
//!
//! Charikar, Chen, Farach-Colton 2002; the bound is that of Weinberger et al. 2009, lemma 2. It
//! needs independent signs and, for any two coordinates, a common bucket with probability at most
//! 1 / dim. A whole block of `dim` coordinates is therefore turned by one random shift: two of one
//! block never meet, two of different blocks do with probability 1 / dim, and additions run along
//! memory instead of across it.
//!
//! Signs and shifts are a hash of the seed and the coordinate alone, so a vector may arrive in any
//! pieces: outputs of SplitMix64 (Steele, Lea, Flood 2014) started at two streams of the seed.

use pulp::Arch;
use rand::Rng;

use crate::error::{Error, Result};
use crate::random::stream;

/// The projection to `dim` coordinates under `seed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sketch {
    signs: u64,
    shifts: u64,
    dim: usize,
}

impl Sketch {
    /// A projection to `dim` coordinates.
    pub fn new(seed: u64, dim: usize) -> Result<Self> {
        // A shift is chosen by 64 random bits, so all are equally likely to 1 part in 2^40.
        if dim == 0 || dim > 1 << 24 {
            return Err(Error::Value(format!(
                "projection to {dim} coordinates: expected 1 to {}",
                1 << 24
            )));
        }
        let start = |which| stream(seed, which).next_u64();
        Ok(Self {
            signs: start(0),
            shifts: start(1),
            dim,
        })
    }

    /// Number of coordinates of the result.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Adds the coordinates `first..` of a vector to its projection.
    pub fn add(&self, first: usize, values: &[f64], projection: &mut [f64]) {
        let (mut at, mut rest) = (first, values);
        while !rest.is_empty() {
            let (block, inside) = (at / self.dim, at % self.dim);
            let place = (inside + self.shift(block)) % self.dim;
            // To the end of the block, or of the projection.
            let len = rest.len().min(self.dim - inside.max(place));
            let (run, later) = rest.split_at(len);
            self.add_run(at, run, &mut projection[place..place + len]);
            (at, rest) = (at + len, later);
        }
    }

    fn shift(&self, block: usize) -> usize {
        let word = u128::from(output(self.shifts, block as u64));
        ((word * self.dim as u128) >> 64) as usize
    }

    /// Adds coordinates with neighbouring buckets, as many as share a word of signs at a time.
    fn add_run(&self, first: usize, values: &[f64], sums: &mut [f64]) {
        Arch::new().dispatch(
            #[inline(always)]
            || {
                let mut at = first;
                let head = values.len().min(at.next_multiple_of(64) - at);
                let (start, values) = values.split_at(head);
                let (start_sums, sums) = sums.split_at_mut(head);
                self.add_word(at, start, start_sums);
                at += head;
                for (values, sums) in values.chunks(64).zip(sums.chunks_mut(64)) {
                    self.add_word(at, values, sums);
                    at += 64;
                }
            },
        );
    }

    #[inline(always)]
    fn add_word(&self, first: usize, values: &[f64], sums: &mut [f64]) {
        let word = output(self.signs, first as u64 / 64) >> (first % 64);
        for (bit, (sum, value)) in sums.iter_mut().zip(values).enumerate() {
            // A random bit becomes the sign bit.
            *sum += f64::from_bits(value.to_bits() ^ ((word >> bit) << 63));
        }
    }
}

/// Output `at` of SplitMix64 that starts at `start`.
#[inline(always)]
fn output(start: u64, at: u64) -> u64 {
    let mut word = start.wrapping_add(at.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(seed: u64, dim: usize, values: &[f64]) -> Vec<f64> {
        let mut projection = vec![0.0; dim];
        Sketch::new(seed, dim)
            .unwrap()
            .add(0, values, &mut projection);
        projection
    }

    fn dot(left: &[f64], right: &[f64]) -> f64 {
        left.iter().zip(right).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn pieces_give_the_projection_of_the_whole() {
        let values: Vec<f64> = (0..1000).map(f64::from).collect();
        let sketch = Sketch::new(7, 16).unwrap();
        let mut pieces = vec![0.0; 16];
        for (index, piece) in values.chunks(77).enumerate() {
            sketch.add(77 * index, piece, &mut pieces);
        }
        assert_eq!(pieces, project(7, 16, &values));
    }

    #[test]
    fn inner_products_are_unbiased_and_within_the_stated_variance() {
        let x: Vec<f64> = (0..200).map(|i| f64::from(i % 7) - 2.0).collect();
        let y: Vec<f64> = (0..200).map(|i| f64::from(i % 5) - 1.0).collect();
        let (dim, n_seeds) = (8, 4000u32);
        let bound = 2.0 * dot(&x, &x) * dot(&y, &y) / dim as f64;
        let errors: Vec<f64> = (0..n_seeds)
            .map(|seed| {
                let seed = u64::from(seed);
                dot(&project(seed, dim, &x), &project(seed, dim, &y)) - dot(&x, &y)
            })
            .collect();
        let n = f64::from(n_seeds);
        let mean = errors.iter().sum::<f64>() / n;
        let variance = errors.iter().map(|error| error * error).sum::<f64>() / n;
        // Five standard errors of the mean; the variance is an inequality with room.
        assert!(mean.abs() <= 5.0 * (bound / n).sqrt(), "{mean}");
        assert!(variance <= bound, "{variance} > {bound}");
    }

    #[test]
    fn words_are_those_of_the_published_generator() {
        // The first outputs of SplitMix64 with state 1234567.
        let words = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973];
        assert_eq!([output(1_234_567, 0), output(1_234_567, 1)], words);
    }

    #[test]
    fn sizes_out_of_range_are_refused() {
        assert!(Sketch::new(1, 0).is_err());
        assert!(Sketch::new(1, 1 << 25).is_err());
    }
}
