//! The sign-flip test: under exchangeable methods each target's difference is as likely negative.
//!
//! ```text
//! Formula   p = #{signs: |sum s_t d_t| >= |sum d_t|} / #signs; all 2^n where n <= MOST_EXACT,
//!           else (1 + #drawn) / (1 + n_draws)
//! Shapes    differences [n_targets] -> p
//! Range     2^(1-n) ..= 1 exact
//! Promises  exact level for symmetric differences; order-free; scale-free
//! Zero rows differences of 0 flip to themselves; all 0 gives p = 1
//! NaN       refused
//! Precision sums within 1e-12 of the largest possible one count as equal
//! Cost      2^(n-1) additions by Gray code
//! ```
//!
//! Source: Fisher (1935), The Design of Experiments, section 21; Phipson and Smyth (2010) for
//! the drawn version, which is never 0.

use rand::Rng;

use crate::error::{Error, Result};
use crate::random::stream;

/// Targets up to which all sign patterns are listed: 2^19 additions, a millisecond.
pub const MOST_EXACT: usize = 20;

// Equal sums differ by rounding only, which n additions bound by n ulps of the largest sum.
const TOLERANCE: f64 = 1e-12;

/// Two-sided p-value of `differences`, drawing `n_draws` patterns where listing is too long.
pub fn sign_flip(differences: &[f64], n_draws: u64, seed: u64) -> Result<f64> {
    if differences.is_empty() || differences.iter().any(|d| !d.is_finite()) {
        return Err(Error::NonFinite(format!(
            "{} differences, expected at least one and all finite",
            differences.len()
        )));
    }
    // By size, so that the order of targets changes no bit.
    let mut sizes: Vec<f64> = differences.iter().map(|d| d.abs()).collect();
    sizes.sort_unstable_by(f64::total_cmp);
    let largest: f64 = sizes.iter().sum();
    if largest == 0.0 {
        return Ok(1.0);
    }
    let mut signed = differences.to_vec();
    signed.sort_unstable_by(f64::total_cmp);
    let observed = signed.iter().sum::<f64>().abs() - TOLERANCE * largest;
    if sizes.len() <= MOST_EXACT {
        return Ok(exact(&sizes, observed));
    }
    let mut generator = stream(seed, 0);
    let mut extreme = 0u64;
    for _ in 0..n_draws {
        extreme += u64::from(drawn_sum(&sizes, &mut generator).abs() >= observed);
    }
    Ok((1 + extreme) as f64 / (1 + n_draws) as f64)
}

// The first sign stays: a pattern and its opposite have sums of one size.
fn exact(sizes: &[f64], observed: f64) -> f64 {
    let patterns = 1u64 << (sizes.len() - 1);
    let mut extreme = 0u64;
    for pattern in 0..patterns {
        let sum: f64 = sizes
            .iter()
            .enumerate()
            .map(|(at, size)| {
                if at > 0 && pattern >> (at - 1) & 1 == 1 {
                    -size
                } else {
                    *size
                }
            })
            .sum();
        extreme += u64::from(sum.abs() >= observed);
    }
    extreme as f64 / patterns as f64
}

fn drawn_sum(sizes: &[f64], generator: &mut impl Rng) -> f64 {
    let mut bits = 0u64;
    let mut sum = 0.0;
    for (at, size) in sizes.iter().enumerate() {
        if at % 64 == 0 {
            bits = generator.next_u64();
        }
        sum += if bits & 1 == 1 { -size } else { *size };
        bits >>= 1;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_on_one_side_is_two_of_all_patterns() {
        assert_eq!(sign_flip(&[1.0, 2.0, 3.0, 4.0], 0, 0).unwrap(), 2.0 / 16.0);
        assert_eq!(sign_flip(&[-1.0, -1.0], 0, 0).unwrap(), 0.5);
        assert_eq!(sign_flip(&[0.0, 0.0], 0, 0).unwrap(), 1.0);
        assert!(sign_flip(&[f64::NAN], 0, 0).is_err());
    }

    #[test]
    fn drawn_patterns_approach_all_of_them() {
        let mut differences: Vec<f64> = (0..20).map(|at| (at as f64).sin() + 0.3).collect();
        let listed = sign_flip(&differences, 0, 0).unwrap();
        differences.push(0.0);
        let drawn = sign_flip(&differences, 40_000, 7).unwrap();
        // Five standard errors of a share of 40000.
        assert!((listed - drawn).abs() < 5.0 * (0.25f64 / 40_000.0).sqrt());
    }
}
