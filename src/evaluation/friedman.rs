//! Whether any of several methods differs in its ranks over targets, and which gap is critical.
//!
//! ```text
//! Formula   chi2 = (k - 1) sum_j (R_j - N (k+1)/2)^2 / sum_ij (r_ij - (k+1)/2)^2
//!           critical difference of mean ranks = q(1-a; k, inf) / sqrt(2) sqrt(k (k+1) / (6 N))
//! Shapes    scores [n_targets, n_methods], higher is better -> ranks from 1 [n_methods]
//! Range     chi2 0 ..= N (k - 1)
//! Promises  unchanged by increasing maps of each target's scores; order-free
//! Zero rows a target that ties all methods says nothing and counts in N
//! NaN       refused by the ranks
//! Precision ranks are exact
//! Cost      N k log k
//! ```
//!
//! Source: Friedman (1937), tie-corrected as in Conover (1999), section 5.8; Nemenyi (1963);
//! Demsar (2006), JMLR 7, for comparing methods over data sets.

use ndarray::ArrayView2;
use statrs::distribution::{ChiSquared, ContinuousCDF};

use crate::error::{Error, Result};
use crate::resampling::range_quantile;
use crate::selection::average_ranks;

/// Friedman's test, with what Nemenyi's test needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Friedman {
    /// Mean rank of each method from 1, best first `[n_methods]`.
    pub average_ranks: Vec<f64>,
    /// The statistic; NaN if every target ties all methods.
    pub statistic: f64,
    /// Its p-value by the chi-squared distribution.
    pub p_value: f64,
    /// Mean ranks further apart than this differ.
    pub critical_difference: f64,
}

/// Tests `scores [n_targets, n_methods]` at level 1 - `confidence`.
pub fn friedman(scores: ArrayView2<'_, f64>, confidence: f64) -> Result<Friedman> {
    let (n, k) = scores.dim();
    if n < 2 || k < 2 {
        return Err(Error::Shape(format!(
            "scores have shape {:?}, expected two targets and two methods at least",
            scores.dim()
        )));
    }
    let mut sums = vec![0.0; k];
    let mut spread = 0.0;
    let middle = (k as f64 + 1.0) / 2.0;
    for row in scores.outer_iter() {
        for (sum, rank) in sums.iter_mut().zip(average_ranks(&row.to_vec())?) {
            *sum += rank + 1.0;
            spread += (rank + 1.0 - middle).powi(2);
        }
    }
    let (n, k) = (n as f64, k as f64);
    let between: f64 = sums.iter().map(|sum| (sum - n * middle).powi(2)).sum();
    let statistic = (k - 1.0) * between / spread;
    let chi = ChiSquared::new(k - 1.0).map_err(|error| Error::Value(error.to_string()))?;
    let reach = range_quantile(confidence, sums.len(), f64::INFINITY)?;
    Ok(Friedman {
        average_ranks: sums.iter().map(|sum| sum / n).collect(),
        statistic,
        p_value: if statistic.is_nan() {
            f64::NAN
        } else {
            chi.sf(statistic)
        },
        critical_difference: reach / 2f64.sqrt() * (k * (k + 1.0) / (6.0 * n)).sqrt(),
    })
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn one_method_always_first_is_as_far_as_it_gets() {
        let found = friedman(array![[3.0, 2.0, 1.0], [9.0, 5.0, 4.0]].view(), 0.95).unwrap();
        assert_eq!(found.average_ranks, [1.0, 2.0, 3.0]);
        assert!((found.statistic - 4.0).abs() < 1e-12);
        // Demsar's table: q(0.05; 3) = 2.343, times sqrt(12 / 12).
        assert!((found.critical_difference - 2.343 * 1.0).abs() < 2e-3);
        assert!(friedman(array![[1.0, 2.0]].view(), 0.95).is_err());
    }
}
