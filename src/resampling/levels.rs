//! Quantiles of Student's t, and an interval for a share.

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use crate::error::{Error, Result};

/// Quantile of Student's t at `level`.
pub fn student_quantile(level: f64, freedom: f64) -> Result<f64> {
    checked_level(level)?;
    let student = StudentsT::new(0.0, 1.0, freedom);
    let student = student.map_err(|error| Error::Value(format!("Student's t: {error}")))?;
    Ok(student.inverse_cdf(level))
}

pub(super) fn checked_level(level: f64) -> Result<f64> {
    if level > 0.0 && level < 1.0 {
        return Ok(level);
    }
    Err(Error::Value(format!(
        "a level is {level}, expected more than 0 and less than 1"
    )))
}

/// The standard normal distribution.
pub(super) fn normal() -> Normal {
    Normal::standard()
}

/// Wilson's score interval for a share of `n` trials (Wilson 1927, JASA 22); half a success is
/// a tie.
pub fn wilson(successes: f64, n: f64, confidence: f64) -> Result<(f64, f64)> {
    let z = normal().inverse_cdf(checked_level((1.0 + confidence) / 2.0)?);
    if n <= 0.0 || !(0.0..=n).contains(&successes) {
        return Err(Error::Value(format!(
            "{successes} successes of {n} trials, expected between none and all of them"
        )));
    }
    Ok(score_interval(successes / n, z * z / n))
}

/// Every `p` with `(share - p)^2 <= reach p (1 - p)`.
pub(super) fn score_interval(share: f64, reach: f64) -> (f64, f64) {
    let centre = (share + reach / 2.0) / (1.0 + reach);
    let half = (reach * (share * (1.0 - share) + reach / 4.0)).sqrt() / (1.0 + reach);
    // Exactly 0 and 1 at the ends, where rounding would stop just short of them.
    let low = if share == 0.0 { 0.0 } else { centre - half };
    let high = if share == 1.0 { 1.0 } else { centre + half };
    (low.max(0.0), high.min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_share_is_wilsons() {
        // 8 of 10 at 95 %: (0.490, 0.943), the published worked example.
        let (low, high) = wilson(8.0, 10.0, 0.95).unwrap();
        assert!((low - 0.490162).abs() < 1e-6 && (high - 0.943318).abs() < 1e-6);
        assert_eq!(wilson(0.0, 5.0, 0.95).unwrap().0, 0.0);
        assert_eq!(wilson(5.0, 5.0, 0.95).unwrap().1, 1.0);
        assert!(wilson(0.0, 0.0, 0.95).is_err());
    }
}
