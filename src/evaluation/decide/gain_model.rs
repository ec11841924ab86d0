//! What an unmeasured source would bring, from everything that was measured.
//!
//! ```text
//! Formula   y_ts = m + a_t + u_s + b z_ts + e, all Gaussian: m ~ N(0, s2), a_t ~ N(0, va s2),
//!           u_s ~ N(0, vu s2), b ~ N(0, vb s2), e ~ N(0, s2); z the predicted scores, z-scored
//! Shapes    measured cells (target, source, z) [n], gains [n] -> mean and deviation of any cell
//! Range     deviation > 0
//! Promises  free of the scale and offset of the gains
//! Zero rows gains that are all equal have deviation 0
//! NaN       refused
//! Precision f64; one Cholesky factor of n x n
//! Cost      64 n^3 / 3 to choose va, vu, vb; n^2 for every forecast
//! ```
//!
//! va, vu and vb are those of 64 combinations of 0, 0.1, 0.5 and 2 with the largest evidence, s2
//! solved for. Expected improvement over `best`: `(mean - best) P(u) + deviation p(u)`,
//! `u = (mean - best) / deviation`, P and p of the standard normal.
//!
//! Source: Rasmussen and Williams 2006, "Gaussian processes for machine learning", chapter 2;
//! Jones, Schonlau, Welch 1998 (expected improvement).

use faer::linalg::solvers::{Llt, Solve};
use faer::{Mat, Side};

use crate::error::{Error, Result};

const WEIGHTS: [f64; 4] = [0.0, 0.1, 0.5, 2.0];

/// A target, a source and the standardised predicted score of the one for the other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    /// Number of the target.
    pub target: usize,
    /// Number of the source.
    pub source: usize,
    /// Predicted score.
    pub score: f64,
}

/// Mean and standard deviation of a measurement that was not made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Forecast {
    /// Expected gain.
    pub mean: f64,
    /// Its standard deviation, noise of a single cell included.
    pub deviation: f64,
}

/// Variances of targets, sources and score, relative to the noise.
type Variances = [f64; 3];

/// The fitted model.
#[derive(Debug)]
pub struct GainModel {
    cells: Vec<Cell>,
    variances: Variances,
    factor: Llt<f64>,
    solved: Mat<f64>,
    mean: f64,
    unit: f64,
    noise: f64,
}

impl GainModel {
    /// Fits the model to at least two measured cells.
    pub fn fit(cells: Vec<Cell>, gains: &[f64]) -> Result<Self> {
        if cells.len() != gains.len() || cells.len() < 2 {
            return Err(Error::Shape(format!(
                "{} cells and {} gains, expected as many of both, at least two",
                cells.len(),
                gains.len()
            )));
        }
        let finite = cells.iter().all(|cell| cell.score.is_finite());
        if !finite || gains.iter().any(|gain| !gain.is_finite()) {
            return Err(Error::NonFinite(
                "scores and gains must be finite numbers".into(),
            ));
        }
        let n = gains.len() as f64;
        let mean = gains.iter().sum::<f64>() / n;
        let spread = (gains.iter().map(|gain| (gain - mean).powi(2)).sum::<f64>() / n).sqrt();
        let unit = if spread > 0.0 { spread } else { 1.0 };
        let outcome = Mat::from_fn(gains.len(), 1, |row, _| (gains[row] - mean) / unit);
        let mut best: Option<(f64, Self)> = None;
        for a in WEIGHTS {
            for u in WEIGHTS {
                for b in WEIGHTS {
                    let variances = [a, u, b];
                    let (evidence, factor, solved, noise) = fitted(&cells, &outcome, variances)?;
                    if best.as_ref().is_none_or(|(known, _)| evidence > *known) {
                        let cells = cells.clone();
                        let model = Self {
                            cells,
                            variances,
                            factor,
                            solved,
                            mean,
                            unit,
                            noise,
                        };
                        best = Some((evidence, model));
                    }
                }
            }
        }
        best.map(|(_, model)| model)
            .ok_or_else(|| Error::Value("no model of the gains could be fitted".into()))
    }

    /// What measuring `cell` would give.
    pub fn forecast(&self, cell: Cell) -> Forecast {
        let row = Mat::from_fn(self.cells.len(), 1, |at, _| {
            covariance(self.cells[at], cell, self.variances)
        });
        let known = row.transpose() * self.factor.solve(&row);
        let expected = row.transpose() * &self.solved;
        let left = covariance(cell, cell, self.variances) - known[(0, 0)];
        Forecast {
            mean: self.mean + self.unit * expected[(0, 0)],
            deviation: self.unit * (self.noise * (1.0 + left.max(0.0))).sqrt(),
        }
    }
}

impl Forecast {
    /// Expected improvement over a gain already in hand.
    pub fn improvement(&self, best: f64) -> f64 {
        let ahead = self.mean - best;
        if self.deviation == 0.0 {
            return ahead.max(0.0);
        }
        let u = ahead / self.deviation;
        let density = (-u * u / 2.0).exp() / std::f64::consts::TAU.sqrt();
        let below = libm::erfc(-u / std::f64::consts::SQRT_2) / 2.0;
        (ahead * below + self.deviation * density).max(0.0)
    }
}

fn covariance(first: Cell, second: Cell, [a, u, b]: Variances) -> f64 {
    let same = |is_same: bool, variance: f64| if is_same { variance } else { 0.0 };
    1.0 + same(first.target == second.target, a)
        + same(first.source == second.source, u)
        + b * first.score * second.score
}

type Fitted = (f64, Llt<f64>, Mat<f64>, f64);

fn fitted(cells: &[Cell], outcome: &Mat<f64>, variances: Variances) -> Result<Fitted> {
    let n = cells.len();
    let matrix = Mat::from_fn(n, n, |i, j| {
        covariance(cells[i], cells[j], variances) + f64::from(u8::from(i == j))
    });
    let factor = matrix
        .llt(Side::Lower)
        .map_err(|_| Error::Value("the covariance of the gains is singular".into()))?;
    let solved = factor.solve(outcome);
    let noise = (outcome.transpose() * &solved)[(0, 0)] / n as f64;
    let lower = factor.L();
    let half: f64 = (0..n).map(|at| lower[(at, at)].ln()).sum();
    // Equal gains leave no noise; any weights explain them, and the first are kept.
    let evidence = if noise > 0.0 {
        -0.5 * n as f64 * noise.ln() - half
    } else {
        0.0
    };
    Ok((evidence, factor, solved, noise))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(gain: impl Fn(usize, usize) -> f64) -> (Vec<Cell>, Vec<f64>) {
        let at = |target: usize, source: usize| Cell {
            target,
            source,
            score: source as f64 - 2.0,
        };
        let places = (0..4).flat_map(|t| (0..5).map(move |s| (t, s)));
        let places: Vec<_> = places.filter(|&place| place != (3, 4)).collect();
        let cells = places.iter().map(|&(t, s)| at(t, s)).collect();
        (cells, places.iter().map(|&(t, s)| gain(t, s)).collect())
    }

    const WANTED: Cell = Cell {
        target: 3,
        source: 4,
        score: 2.0,
    };

    #[test]
    fn a_source_that_helps_everyone_is_expected_to_help_again() {
        let (cells, gains) = grid(|t, s| f64::from(u8::from(s == 4)) * 5.0 + 0.1 * t as f64);
        let model = GainModel::fit(cells, &gains).unwrap();
        let found = model.forecast(WANTED);
        assert!(found.mean > 3.0 && found.deviation < 2.0, "{found:?}");
        assert!(found.improvement(0.0) > found.improvement(3.0));
    }

    #[test]
    fn scale_and_offset_of_gains_pass_through() {
        let (cells, gains) = grid(|t, s| ((t * 7 + s * 3) % 5) as f64);
        let moved: Vec<f64> = gains.iter().map(|gain| 10.0 * gain - 4.0).collect();
        let plain = GainModel::fit(cells.clone(), &gains)
            .unwrap()
            .forecast(WANTED);
        let found = GainModel::fit(cells, &moved).unwrap().forecast(WANTED);
        assert!((found.mean - (10.0 * plain.mean - 4.0)).abs() < 1e-9);
        assert!((found.deviation - 10.0 * plain.deviation).abs() < 1e-9);
    }

    #[test]
    fn equal_gains_leave_nothing_to_expect() {
        let (cells, gains) = grid(|_, _| 2.0);
        let found = GainModel::fit(cells, &gains).unwrap().forecast(WANTED);
        assert_eq!((found.mean, found.deviation), (2.0, 0.0));
        assert_eq!((found.improvement(2.0), found.improvement(1.5)), (0.0, 0.5));
    }

    #[test]
    fn improvement_at_the_mean_is_a_known_number() {
        let forecast = Forecast {
            mean: 1.0,
            deviation: 2.0,
        };
        let expected = 2.0 / std::f64::consts::TAU.sqrt();
        assert!((forecast.improvement(1.0) - expected).abs() < 1e-15);
    }
}
