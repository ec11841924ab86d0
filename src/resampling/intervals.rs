//! From replicates of a mean to an interval, by name.
//!
//! ```text
//! percentile  quantiles a, 1 - a of the replicates
//! expanded    the same at a' = Phi(-t(1-a, n-1) sqrt(n / (n-1))): repairs the two reasons for
//!             which percentiles of few units are too short (Hesterberg 2015)
//! bca         bias-corrected and accelerated (Efron 1987), acceleration by jackknife over units
//! student     mean -+ t(1-a, n-1) se, of the unit means: no replicates at all
//! skew        the same with Hall's (1992, JRSS B 54) correction for skewness g: every m with
//!             |U + g U^2 / 3 + g^2 U^3 / 27 + g / (6 n)| <= t(1-a, n-1) / sqrt(n), U = (mean - m) / sd
//! share       of numbers from 0 to 1: every p with (mean - p)^2 <= t(1-a, n-1)^2 f p (1 - p) / n,
//!             where f = sum (x - mean)^2 / (n mean (1 - mean)), 1 where the mean is 0 or 1
//! ```
//!
//! `share` is Wilson's interval (1927) where all numbers are 0 or 1, f being 1; other numbers vary
//! less than 0 and 1 of the same mean, and f says how much less (McCullagh and Nelder 1989, 4.5).
//!

use statrs::distribution::ContinuousCDF;

use super::levels::{checked_level, normal, score_interval, student_quantile};
use super::quantiles::quantiles;
use crate::error::{Error, Result};

/// How an interval is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interval {
    /// Quantiles of the replicates.
    Percentile,
    /// Quantiles further out, for few units.
    Expanded,
    /// Bias-corrected and accelerated quantiles.
    Bca,
    /// Student's t over units.
    Student,
    /// Student's t over units, corrected for their skewness.
    Skew,
    /// A score interval over units, for numbers from 0 to 1.
    Share,
}

impl Interval {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Percentile,
        Self::Expanded,
        Self::Bca,
        Self::Student,
        Self::Skew,
        Self::Share,
    ];

    /// The one name of the method.
    pub fn name(self) -> &'static str {
        match self {
            Self::Percentile => "percentile",
            Self::Expanded => "expanded",
            Self::Bca => "bca",
            Self::Student => "student",
            Self::Skew => "skew",
            Self::Share => "share",
        }
    }

    /// Finds a method by name.
    pub fn from_name(name: &str) -> Result<Self> {
        let known = Self::ALL.map(Self::name).join("', '");
        Self::ALL
            .into_iter()
            .find(|own| own.name() == name)
            .ok_or_else(|| {
                Error::UnknownName(format!("unknown interval '{name}'; known: '{known}'"))
            })
    }
}

/// What the table itself says about a mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// The mean over units.
    pub estimate: f64,
    /// The unit means, those that have one.
    pub units: Vec<f64>,
    /// The mean without each unit.
    pub jackknife: Vec<f64>,
}

/// Interval of `confidence` from `replicates`, whose order is lost; NaN where nothing was drawn,
/// and below two units for the methods that need a spread.
pub fn interval(
    method: Interval,
    replicates: &mut [f64],
    reference: &Reference,
    confidence: f64,
) -> Result<(f64, f64)> {
    let tail = checked_level((1.0 - checked_level(confidence)?) / 2.0)?;
    let n = reference.units.len() as f64;
    let needs_units = method != Interval::Percentile;
    if replicates.is_empty() || (needs_units && n < 2.0) {
        return Ok((f64::NAN, f64::NAN));
    }
    let levels = match method {
        Interval::Percentile => (tail, 1.0 - tail),
        Interval::Expanded => {
            let reach = student_quantile(1.0 - tail, n - 1.0)? * (n / (n - 1.0)).sqrt();
            let outer = normal().cdf(-reach);
            (outer, 1.0 - outer)
        }
        Interval::Bca => bca_levels(replicates, reference, tail),
        Interval::Student => return student(reference, tail),
        Interval::Skew => return skew(reference, tail),
        Interval::Share => return share(&reference.units, tail),
    };
    Ok(quantiles(replicates, levels))
}

fn bca_levels(replicates: &[f64], reference: &Reference, tail: f64) -> (f64, f64) {
    let count = replicates.len() as f64;
    let counted = |is_counted: &dyn Fn(f64) -> bool| {
        replicates
            .iter()
            .filter(|&&value| is_counted(value))
            .count() as f64
    };
    let below = counted(&|value| value < reference.estimate);
    let not_above = counted(&|value| value <= reference.estimate);
    // Half of the equal ones; kept off 0 and 1, whose normal quantiles are infinite.
    let share = ((below + not_above) / (2.0 * count)).clamp(0.5 / count, 1.0 - 0.5 / count);
    let bias = normal().inverse_cdf(share);
    let centre = reference.jackknife.iter().sum::<f64>() / reference.jackknife.len() as f64;
    let power = |degree: i32| -> f64 {
        let gaps = reference.jackknife.iter().map(|value| centre - value);
        gaps.map(|gap| gap.powi(degree)).sum()
    };
    let squares = power(2);
    let acceleration = if squares > 0.0 {
        power(3) / (6.0 * squares.powf(1.5))
    } else {
        0.0
    };
    let level = |tail: f64| {
        let shifted = bias + normal().inverse_cdf(tail);
        normal().cdf(bias + shifted / (1.0 - acceleration * shifted))
    };
    (level(tail), level(1.0 - tail))
}

fn student(reference: &Reference, tail: f64) -> Result<(f64, f64)> {
    let n = reference.units.len() as f64;
    let (squares, _) = powers(&reference.units);
    let half = student_quantile(1.0 - tail, n - 1.0)? * (squares / (n - 1.0) / n).sqrt();
    Ok((reference.estimate - half, reference.estimate + half))
}

fn skew(reference: &Reference, tail: f64) -> Result<(f64, f64)> {
    let (deviation, skewness) = spread(&reference.units);
    let reach = reach(&reference.units, tail)?;
    // Below, the cubic is a straight line to the last digit.
    if skewness.abs() < 1e-8 {
        return student(reference, tail);
    }
    // 1 + g V is the cube of 1 + g U / 3.
    let solved = |level: f64| {
        let shifted = level - skewness / (6.0 * reference.units.len() as f64);
        3.0 / skewness * ((1.0 + skewness * shifted).cbrt() - 1.0)
    };
    let (estimate, low) = (reference.estimate, solved(reach));
    Ok((
        estimate - deviation * low,
        estimate - deviation * solved(-reach),
    ))
}

// Student's quantile over the root of the number of units.
fn reach(units: &[f64], tail: f64) -> Result<f64> {
    let n = units.len() as f64;
    Ok(student_quantile(1.0 - tail, n - 1.0)? / n.sqrt())
}

// Standard deviation and skewness; 0 where all units are equal.
fn spread(units: &[f64]) -> (f64, f64) {
    let n = units.len() as f64;
    let (squares, cubes) = powers(units);
    let deviation = (squares / (n - 1.0)).sqrt();
    let cubed = deviation.powi(3);
    let skewness = if cubed > 0.0 { cubes / n / cubed } else { 0.0 };
    (deviation, skewness)
}

// Sums of the squares and cubes of what units differ from their mean by.
fn powers(units: &[f64]) -> (f64, f64) {
    let mean = units.iter().sum::<f64>() / units.len() as f64;
    let power = |degree: i32| -> f64 { units.iter().map(|unit| (unit - mean).powi(degree)).sum() };
    (power(2), power(3))
}

fn share(units: &[f64], tail: f64) -> Result<(f64, f64)> {
    if let Some(odd) = units.iter().find(|unit| !(0.0..=1.0).contains(*unit)) {
        return Err(Error::Value(format!(
            "a share is {odd}, expected a number from 0 to 1; take another interval"
        )));
    }
    let n = units.len() as f64;
    let mean = units.iter().sum::<f64>() / n;
    let most = n * mean * (1.0 - mean);
    // Where all are at one end this is 0 / 0, and the minimum is 1.
    let factor = (powers(units).0 / most).min(1.0);
    Ok(score_interval(mean, factor * reach(units, tail)?.powi(2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(units: &[f64]) -> Reference {
        let n = units.len() as f64;
        let sum: f64 = units.iter().sum();
        Reference {
            estimate: sum / n,
            units: units.to_vec(),
            jackknife: units.iter().map(|unit| (sum - unit) / (n - 1.0)).collect(),
        }
    }

    #[test]
    fn a_percentile_interval_is_two_quantiles() {
        let mut replicates: Vec<f64> = (0..=100).map(f64::from).collect();
        let found = interval(
            Interval::Percentile,
            &mut replicates,
            &reference(&[50.0]),
            0.9,
        );
        let (low, high) = found.unwrap();
        assert!((low - 5.0).abs() < 1e-9 && (high - 95.0).abs() < 1e-9);
    }

    #[test]
    fn symmetric_replicates_and_units_need_no_correction() {
        let mut replicates: Vec<f64> = (-500..=500).map(f64::from).collect();
        let symmetric = reference(&[-1.0, 0.0, 1.0]);
        let plain = interval(Interval::Percentile, &mut replicates, &symmetric, 0.95).unwrap();
        let corrected = interval(Interval::Bca, &mut replicates, &symmetric, 0.95).unwrap();
        assert!((plain.0 - corrected.0).abs() < 1e-6 && (plain.1 - corrected.1).abs() < 1e-6);
    }

    #[test]
    fn a_share_of_zeros_and_ones_has_wilsons_interval_with_students_quantile() {
        let found = interval(
            Interval::Share,
            &mut [1.0],
            &reference(&[0.0, 0.0, 1.0, 1.0]),
            0.95,
        );
        let (low, high) = found.unwrap();
        // Roots of (1/2 - p)^2 = t^2 p (1 - p) / 4 with t = 3.182446.
        let half = 0.5 * (3.182_446_f64.powi(2) / (4.0 + 3.182_446_f64.powi(2))).sqrt();
        assert!((low - 0.5 + half).abs() < 1e-6 && (high - 0.5 - half).abs() < 1e-6);
        let never = interval(Interval::Share, &mut [1.0], &reference(&[0.0; 4]), 0.95).unwrap();
        assert!(
            never.0 == 0.0 && (never.1 - 0.7169).abs() < 1e-3,
            "{never:?}"
        );
        let alike = interval(Interval::Share, &mut [1.0], &reference(&[0.25; 4]), 0.95).unwrap();
        assert_eq!(alike, (0.25, 0.25));
        assert!(interval(Interval::Share, &mut [1.0], &reference(&[0.5, 1.1]), 0.95).is_err());
    }

    #[test]
    fn a_correction_for_skewness_solves_its_cubic_and_leaves_symmetric_units_alone() {
        let units = reference(&[0.0, 0.0, 0.0, 1.0, 4.0]);
        let found = interval(Interval::Skew, &mut [0.0], &units, 0.95).unwrap();
        let (deviation, g) = spread(&units.units);
        for (end, level) in [(found.0, 2.776_445), (found.1, -2.776_445)] {
            let u = (units.estimate - end) / deviation;
            let cubic = u + g * u * u / 3.0 + g * g * u.powi(3) / 27.0 + g / 30.0;
            assert!((cubic - level / 5.0_f64.sqrt()).abs() < 1e-6, "{found:?}");
        }
        let even = reference(&[-1.0, 0.0, 1.0, 2.0]);
        let plain = interval(Interval::Student, &mut [0.0], &even, 0.95).unwrap();
        assert_eq!(
            interval(Interval::Skew, &mut [0.0], &even, 0.95).unwrap(),
            plain
        );
        let equal = reference(&[2.0; 3]);
        assert_eq!(
            interval(Interval::Skew, &mut [0.0], &equal, 0.95).unwrap(),
            (2.0, 2.0)
        );
    }

    #[test]
    fn one_unit_has_no_spread() {
        let found = interval(Interval::Student, &mut [1.0], &reference(&[1.0]), 0.95).unwrap();
        assert!(found.0.is_nan() && found.1.is_nan());
        assert!(interval(Interval::Student, &mut [1.0], &reference(&[1.0, 2.0]), 1.0).is_err());
    }
}
