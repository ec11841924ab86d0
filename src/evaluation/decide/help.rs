//! The probability that a source helps, from its score.
//!
//! ```text
//! Formula   p = 1 / (1 + exp(-(a + b score))), b >= 0, by maximum likelihood against outcomes
//!           moved to (n_help + 1) / (n_help + 2) and 1 / (n_harm + 2)
//! Shapes    scores [n], helps [n] -> a, b
//! Range     p strictly between 0 and 1
//! Promises  order-free; unchanged by a score map x -> c x + d, c > 0
//! Zero rows scores that are all equal give b = 0: the base rate
//! NaN       refused
//! Precision f64; scores are standardised before the fit
//! Cost      about 10 n exponentials
//! ```
//!
//! Source: Platt 1999, "Probabilistic outputs for support vector machines", with his targets: two
//! numbers are all that the few targets of a transfer table can carry, where an isotonic fit would
//! follow the noise, and the moved targets keep a separated table from certainty. A score that
//! speaks against itself (b < 0) is not turned round: then every source gets the base rate.

use crate::error::{Error, Result};

const MOST_STEPS: usize = 100;
const SETTLED: f64 = 1e-12;

/// A fitted curve from score to probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HelpModel {
    /// a
    pub intercept: f64,
    /// b, never negative
    pub slope: f64,
}

impl HelpModel {
    /// Fits the curve; needs at least one outcome.
    pub fn fit(scores: &[f64], helps: &[bool]) -> Result<Self> {
        if scores.len() != helps.len() || scores.is_empty() {
            return Err(Error::Shape(format!(
                "{} scores and {} outcomes, expected as many of both, at least one",
                scores.len(),
                helps.len()
            )));
        }
        if let Some(at) = scores.iter().position(|score| !score.is_finite()) {
            return Err(Error::NonFinite(format!(
                "score number {at} is {}, expected a finite number",
                scores[at]
            )));
        }
        let n = scores.len() as f64;
        let mean = scores.iter().sum::<f64>() / n;
        let spread = (scores.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / n).sqrt();
        let n_help = helps.iter().filter(|&&help| help).count() as f64;
        let (high, low) = ((n_help + 1.0) / (n_help + 2.0), 1.0 / (n - n_help + 2.0));
        let aims: Vec<f64> = helps
            .iter()
            .map(|&help| if help { high } else { low })
            .collect();
        let rate = aims.iter().sum::<f64>() / n;
        let flat = Self {
            intercept: (rate / (1.0 - rate)).ln(),
            slope: 0.0,
        };
        if spread <= mean.abs() * f64::EPSILON * n {
            return Ok(flat);
        }
        let unit: Vec<f64> = scores.iter().map(|score| (score - mean) / spread).collect();
        let (intercept, slope) = newton(&unit, &aims, flat.intercept);
        if slope <= 0.0 {
            return Ok(flat);
        }
        Ok(Self {
            intercept: intercept - slope * mean / spread,
            slope: slope / spread,
        })
    }

    /// Probability that a source of this score helps.
    pub fn probability(&self, score: f64) -> f64 {
        logistic(self.intercept + self.slope * score)
    }
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn loss(unit: &[f64], aims: &[f64], (a, b): (f64, f64)) -> f64 {
    let term = |(x, aim): (&f64, &f64)| {
        let z = a + b * x;
        // ln(1 + exp z) - aim z, without overflow.
        z.max(0.0) + (-z.abs()).exp().ln_1p() - aim * z
    };
    unit.iter().zip(aims).map(term).sum()
}

// Convex, and strictly so because the aims are inside (0, 1): halved Newton steps settle.
fn newton(unit: &[f64], aims: &[f64], start: f64) -> (f64, f64) {
    let mut at = (start, 0.0);
    for _ in 0..MOST_STEPS {
        let (mut g, mut h) = ((0.0, 0.0), (1e-12, 0.0, 1e-12));
        for (x, aim) in unit.iter().zip(aims) {
            let p = logistic(at.0 + at.1 * x);
            let w = p * (1.0 - p);
            g = (g.0 + p - aim, g.1 + (p - aim) * x);
            h = (h.0 + w, h.1 + w * x, h.2 + w * x * x);
        }
        let determinant = h.0 * h.2 - h.1 * h.1;
        let step = (
            (h.2 * g.0 - h.1 * g.1) / determinant,
            (h.0 * g.1 - h.1 * g.0) / determinant,
        );
        let before = loss(unit, aims, at);
        let mut size = 1.0;
        let moved = |size: f64| (at.0 - size * step.0, at.1 - size * step.1);
        while loss(unit, aims, moved(size)) > before && size > SETTLED {
            size /= 2.0;
        }
        at = moved(size);
        if step.0.abs().max(step.1.abs()) * size < SETTLED {
            break;
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_meets_the_mean_of_its_aims() {
        let (scores, helps) = ([0.1, 0.4, 0.5, 0.9], [false, true, false, true]);
        let model = HelpModel::fit(&scores, &helps).unwrap();
        let sum: f64 = scores.iter().map(|&score| model.probability(score)).sum();
        assert!((sum - 2.0 * (0.75 + 0.25)).abs() < 1e-10 && model.slope > 0.0);
    }

    #[test]
    fn a_score_that_misleads_or_says_nothing_gives_the_base_rate() {
        for scores in [[0.9, 0.5, 0.1], [0.3, 0.3, 0.3]] {
            let model = HelpModel::fit(&scores, &[false, false, true]).unwrap();
            assert_eq!(model.slope, 0.0);
            let rate = (2.0 / 3.0 + 0.25 + 0.25) / 3.0;
            assert!((model.probability(5.0) - rate).abs() < 1e-12);
        }
        assert!(HelpModel::fit(&[], &[]).is_err());
        assert!(HelpModel::fit(&[f64::NAN], &[true]).is_err());
    }

    #[test]
    fn separated_outcomes_stay_short_of_certainty() {
        let model = HelpModel::fit(&[0.0, 0.0, 1.0, 1.0], &[false, false, true, true]).unwrap();
        assert!((model.probability(1.0) - 0.75).abs() < 1e-9);
        assert!((model.probability(0.0) - 0.25).abs() < 1e-9);
    }
}
