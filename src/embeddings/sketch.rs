//! A random projection of very long vectors, one pass, no matrix.
//!
//! Formula     y_b = sum over coordinates i with bucket(i) = b of sign(i) x_i
//! Shapes      any number of coordinates in, `dim` out
//! Promises    linear; E <y, y'> = <x, x'>; the variance of <y, y'> is at most
//!             2 |x|^2 |x'|^2 / dim, so that by Chebyshev's inequality
//!             P(|<y, y'> - <x, x'>| > e |x| |x'|) <= 2 / (dim e^2)
//! Precision   sums in f64, coordinates in order
//! Cost        one addition and one random word per coordinate, whatever `dim` is
//!
//! Bucket and sign of coordinate `i` are bits of a hash of the seed and `i` alone, so a vector may
//! arrive in any pieces: output `i` of SplitMix64 (Steele, Lea, Flood 2014) started at the seed's
//! own stream. Charikar, Chen, Farach-Colton 2002; the bound is that of Weinberger et al. 2009,
//! lemma 2.

use rand::Rng;

use crate::error::{Error, Result};
use crate::random::stream;

/// The projection to `dim` coordinates under `seed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sketch {
    start: u64,
    dim: usize,
}

impl Sketch {
    /// A projection to `dim` coordinates.
    pub fn new(seed: u64, dim: usize) -> Result<Self> {
        // A bucket is chosen by 31 random bits.
        if dim == 0 || dim > 1 << 24 {
            return Err(Error::Value(format!(
                "projection to {dim} coordinates: expected 1 to {}",
                1 << 24
            )));
        }
        let start = stream(seed, 0).next_u64();
        Ok(Self { start, dim })
    }

    /// Number of coordinates of the result.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Adds the coordinates `first..` of a vector to its projection.
    pub fn add(&self, first: usize, values: &[f64], projection: &mut [f64]) {
        for (at, value) in (first as u64..).zip(values) {
            let word = self.word(at);
            let bucket = (u64::from((word >> 33) as u32) * self.dim as u64) >> 31;
            // The lowest bit becomes the sign bit.
            let signed = f64::from_bits(value.to_bits() ^ (word << 63));
            projection[bucket as usize] += signed;
        }
    }

    /// Output `at` of SplitMix64.
    fn word(&self, at: u64) -> u64 {
        let mut word = self
            .start
            .wrapping_add(at.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    }
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
        let sketch = Sketch {
            start: 1_234_567,
            dim: 1,
        };
        let words = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973];
        assert_eq!([sketch.word(0), sketch.word(1)], words);
    }

    #[test]
    fn sizes_out_of_range_are_refused() {
        assert!(Sketch::new(1, 0).is_err());
        assert!(Sketch::new(1, 1 << 25).is_err());
    }
}
