//! From replicates of a mean to an interval, by name.
//!
//! ```text
//! percentile  quantiles a, 1 - a of the replicates
//! expanded    the same at a' = Phi(-t(1-a, n-1) sqrt(n / (n-1))): repairs the two reasons for
//!             which percentiles of few units are too short (Hesterberg 2015)
//! bca         bias-corrected and accelerated (Efron 1987), acceleration by jackknife over units
//! student     mean -+ t(1-a, n-1) se, of the unit means: no replicates at all
//! ```
//!
//! Quantiles interpolate linearly between order statistics (type 7 of Hyndman and Fan 1996).

use statrs::distribution::ContinuousCDF;

use super::levels::{checked_level, normal, student_quantile};
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
}

impl Interval {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Percentile, Self::Expanded, Self::Bca, Self::Student];

    /// The one name of the method.
    pub fn name(self) -> &'static str {
        match self {
            Self::Percentile => "percentile",
            Self::Expanded => "expanded",
            Self::Bca => "bca",
            Self::Student => "student",
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
    let mean = reference.units.iter().sum::<f64>() / n;
    let squares: f64 = reference
        .units
        .iter()
        .map(|unit| (unit - mean).powi(2))
        .sum();
    let half = student_quantile(1.0 - tail, n - 1.0)? * (squares / (n - 1.0) / n).sqrt();
    Ok((reference.estimate - half, reference.estimate + half))
}

/// Two quantiles of values, linear between order statistics. Selecting them instead of sorting all
/// is several times faster at 10 000 values, and the second is selected among what the first one
/// left above it.
pub(super) fn quantiles(values: &[f64], levels: (f64, f64)) -> (f64, f64) {
    let mut keys: Vec<i64> = values.iter().map(|&value| key(value)).collect();
    let last = keys.len() - 1;
    let place = |level: f64| level.clamp(0.0, 1.0) * last as f64;
    let (near, far) = (place(levels.0), place(levels.1));
    let low = order_statistic(&mut keys, near);
    let passed = if far >= near { near.floor() } else { 0.0 };
    let high = order_statistic(&mut keys[passed as usize..], far - passed);
    (low, high)
}

// The value at a place between two order statistics.
fn order_statistic(keys: &mut [i64], place: f64) -> f64 {
    let (_, &mut lower, above) = keys.select_nth_unstable(place.floor() as usize);
    let lower = value(lower);
    // The same value on both sides must come back exactly.
    match above.iter().copied().min().map(value) {
        Some(upper) => lower + place.fract() * (upper - lower),
        None => lower,
    }
}

// Whole numbers in the total order of the values: comparing them is one instruction.
fn key(value: f64) -> i64 {
    let bits = value.to_bits() as i64;
    bits ^ ((bits >> 63) as u64 >> 1) as i64
}

fn value(key: i64) -> f64 {
    f64::from_bits((key ^ ((key >> 63) as u64 >> 1) as i64) as u64)
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
    fn selected_quantiles_are_those_of_the_sorted_list() {
        let values: Vec<f64> = (0..257_u32)
            .map(|at| f64::from(at.wrapping_mul(2_654_435_769) % 1000) / 7.0 - 71.0)
            .chain([-0.0, 0.0, 1e-310, -1e-310, 1e300, -1e300])
            .collect();
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        let slow = |level: f64| {
            let place = level * (sorted.len() - 1) as f64;
            let lower = sorted[place.floor() as usize];
            lower + place.fract() * (sorted[place.ceil() as usize] - lower)
        };
        for (low, high) in [
            (0.025, 0.975),
            (0.0, 1.0),
            (0.5, 0.5),
            (0.9, 0.2),
            (0.3, 0.301),
        ] {
            let found = quantiles(&values, (low, high));
            assert_eq!(found, (slow(low), slow(high)), "{low} {high}");
        }
        assert_eq!(quantiles(&[3.0], (0.1, 0.9)), (3.0, 3.0));
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
    fn one_unit_has_no_spread() {
        let found = interval(Interval::Student, &mut [1.0], &reference(&[1.0]), 0.95).unwrap();
        assert!(found.0.is_nan() && found.1.is_nan());
        assert!(interval(Interval::Student, &mut [1.0], &reference(&[1.0, 2.0]), 1.0).is_err());
    }
}
