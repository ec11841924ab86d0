//! How far the mean over seeds may be from the truth, for sources measured on the same seeds.
//!
//! ```text
//! Formula   x[s, a, b] = mu_s + c_ab + d_sa + g_sb + e_sab;  the common c cancels in every order
//!           variance of a mean less the common part = (MS_sa + MS_sb - MS_sab) / (A B),
//!           not below the largest of the three / (A B); df by Satterthwaite (1946)
//!           with one kind of seed (B = 1): MS_sa / A, df = (n - 1)(A - 1)
//! Shapes    values [n_sources, n_first, n_second] -> means [n_sources] and their error
//! Range     variances are not negative
//! Promises  order-free in seeds up to rounding; a shift of one seed for all sources changes nothing
//! Zero rows not applicable
//! NaN       refused
//! Precision f64
//! Cost      a few passes over the values
//! ```

use ndarray::{Array2, ArrayView3, Axis};

use super::levels::student_quantile;
use super::studentised::range_quantile;
use crate::error::{Error, Result};

/// Means over seeds with two errors: against each other, and of each alone.
#[derive(Debug, Clone, PartialEq)]
pub struct SeedError {
    /// `[n_sources]`
    pub means: Vec<f64>,
    /// Error variance of a mean against the others; 0 where there are none.
    pub variance: f64,
    /// Its degrees of freedom.
    pub freedom: f64,
    /// Student's interval of each mean alone `[n_sources]`.
    pub intervals: Vec<(f64, f64)>,
    /// Error variance of the common level, over the first kind of seed.
    pub level_variance: f64,
    /// Units behind `intervals` and `level_variance`.
    pub n_units: usize,
}

impl SeedError {
    /// Means further apart than this are told apart, with probability `confidence` of no false
    /// split among all pairs where none differs (Tukey 1949).
    pub fn least_difference(&self, confidence: f64) -> Result<f64> {
        if self.means.len() < 2 {
            return Ok(0.0);
        }
        let reach = range_quantile(confidence, self.means.len(), self.freedom)?;
        Ok(reach * self.variance.sqrt())
    }
}

/// Errors of the means of `values [n_sources, n_first, n_second]` over both kinds of seed.
pub fn seed_error(values: ArrayView3<'_, f64>, confidence: f64) -> Result<SeedError> {
    let (n, first, second) = values.dim();
    if n == 0 || first < 2 || second == 0 {
        return Err(Error::Shape(format!(
            "values have shape {:?}, expected one source and two seeds at least",
            values.dim()
        )));
    }
    if values.iter().any(|value| !value.is_finite()) {
        return Err(Error::NonFinite(
            "a score over seeds is missing or infinite".into(),
        ));
    }
    let over_second = average(&values, 2);
    let (own_squares, own_freedom) = interaction(&over_second);
    // With several second seeds the fewer kind limits what each mean alone can tell.
    let is_crossed = second > 1;
    let over_first = average(&values, 1);
    let (variance, freedom) = if n == 1 {
        // Nothing to be compared with: all its error is that of the level.
        (
            0.0,
            first.min(if is_crossed { second } else { first }) as f64 - 1.0,
        )
    } else if is_crossed {
        let cells = (first * second) as f64;
        let (other_squares, other_freedom) = interaction(&over_first);
        let sa = own_squares * second as f64 / own_freedom;
        let sb = other_squares * first as f64 / other_freedom;
        let centred = total_interaction(&values);
        let rest_freedom = (n as f64 - 1.0) * (first as f64 - 1.0) * (second as f64 - 1.0);
        let rest = (centred - sa * own_freedom - sb * other_freedom).max(0.0) / rest_freedom;
        let sum = (sa + sb - rest).max(sa).max(sb).max(rest);
        let freedom =
            satterthwaite(&[(sa, own_freedom), (sb, other_freedom), (rest, rest_freedom)]);
        (sum / cells, freedom)
    } else {
        (own_squares / own_freedom / first as f64, own_freedom)
    };
    let units = if is_crossed && second < first {
        over_first
    } else {
        over_second
    };
    let n_units = units.ncols();
    let reach = student_quantile((1.0 + confidence) / 2.0, n_units as f64 - 1.0)?;
    let means: Vec<f64> = units.outer_iter().map(|row| mean(row.iter())).collect();
    let intervals = units.outer_iter().zip(&means).map(|(row, centre)| {
        let half = reach * variance_of_mean(row.iter()).sqrt();
        (centre - half, centre + half)
    });
    let level: Vec<f64> = units
        .columns()
        .into_iter()
        .map(|seed| mean(seed.iter()))
        .collect();
    Ok(SeedError {
        intervals: intervals.collect(),
        level_variance: variance_of_mean(level.iter()),
        means,
        variance,
        freedom,
        n_units,
    })
}

fn average(values: &ArrayView3<'_, f64>, axis: usize) -> Array2<f64> {
    let count = values.len_of(Axis(axis)) as f64;
    values.sum_axis(Axis(axis)) / count
}

fn mean<'a>(values: impl ExactSizeIterator<Item = &'a f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}

fn variance_of_mean<'a>(values: impl ExactSizeIterator<Item = &'a f64> + Clone) -> f64 {
    let (count, centre) = (values.len() as f64, mean(values.clone()));
    values.map(|value| (value - centre).powi(2)).sum::<f64>() / (count - 1.0) / count
}

// Squares of what rows and columns leave over, with its degrees of freedom.
fn interaction(table: &Array2<f64>) -> (f64, f64) {
    let (n, count) = (table.nrows() as f64, table.ncols() as f64);
    let rows = table.sum_axis(Axis(1)) / count;
    let columns = table.sum_axis(Axis(0)) / n;
    let grand = columns.sum() / count;
    let squares = table
        .indexed_iter()
        .map(|((row, column), value)| (value - rows[row] - columns[column] + grand).powi(2));
    (squares.sum(), (n - 1.0) * (count - 1.0))
}

// Squares of x[s, a, b] less the means of s and of (a, b).
fn total_interaction(values: &ArrayView3<'_, f64>) -> f64 {
    let (n, first, second) = values.dim();
    let flat = values.to_owned().into_shape_with_order((n, first * second));
    flat.map_or(f64::NAN, |table| interaction(&table).0)
}

fn satterthwaite(squares: &[(f64, f64)]) -> f64 {
    let sum = squares[0].0 + squares[1].0 - squares[2].0;
    let spread: f64 = squares.iter().map(|(ms, df)| ms * ms / df).sum();
    let least = squares[0].1.min(squares[1].1);
    if spread > 0.0 {
        (sum * sum / spread).max(least.min(1.0))
    } else {
        least
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, array};

    use super::*;

    #[test]
    fn a_shift_of_one_seed_is_no_error_of_the_order() {
        let values = array![[1.0, 11.0, 6.0], [2.0, 12.0, 7.0]].insert_axis(Axis(2));
        let found = seed_error(values.view(), 0.95).unwrap();
        assert!(found.variance < 1e-28);
        assert_eq!((found.freedom, found.n_units), (2.0, 3));
        assert!(found.level_variance > 8.0);
    }

    #[test]
    fn one_kind_of_seed_is_two_way_analysis_of_variance() {
        // Residuals +-1/2 in all four cells: SS = 1, one degree of freedom, two seeds.
        let values = array![[0.0, 2.0], [0.0, 0.0]].insert_axis(Axis(2));
        let found = seed_error(values.view(), 0.95).unwrap();
        assert_eq!((found.variance, found.freedom), (0.5, 1.0));
        // t(0.975, 1) = 12.706; mean 1, standard error 1.
        assert!((found.intervals[0].1 - 13.706).abs() < 1e-3);
        assert_eq!(found.intervals[1], (0.0, 0.0));
    }

    #[test]
    fn crossed_seeds_have_both_errors() {
        let values =
            Array3::from_shape_fn((3, 2, 4), |(s, a, b)| ((s * 7 + a * 3 + b * 5) % 11) as f64);
        let crossed = seed_error(values.view(), 0.95).unwrap();
        assert!(crossed.variance > 0.0 && crossed.freedom >= 1.0);
        assert_eq!(crossed.n_units, 2);
        assert!(seed_error(Array3::zeros((2, 1, 1)).view(), 0.95).is_err());
    }
}
