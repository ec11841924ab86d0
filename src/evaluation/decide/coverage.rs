//! Risk against coverage: what is lost when only the surest predictions are acted on.
//!
//! ```text
//! Formula   risk(k) = E[mean loss of the k most confident], area = mean of risk(1) .. risk(n)
//! Shapes    confidence [n], losses [n] -> risk [n], best [n], area, its chance and best level
//! Range     between the extremes of the losses
//! Promises  order-free; unchanged by every strictly increasing map of the confidence
//! Zero rows not applicable
//! NaN       refused
//! Precision f64; expectations over random orders of equal confidence, exact
//! Cost      n log n
//! ```
//!
//! Of a group of m equals with mean loss l, j of them cost j l in expectation. A random order is
//! one group of all, so its risk is the mean loss at every coverage, exactly.
//!
//! Source: El-Yaniv and Wiener 2010 (risk and coverage); area and its excess over the best order:
//! Geifman, Uziel, El-Yaniv 2019 (arXiv 1805.08206).

use crate::error::Result;
use crate::selection::Order;

/// A risk-coverage curve beside the best one.
#[derive(Debug, Clone, PartialEq)]
pub struct Coverage {
    /// Expected mean loss of the k most confident, k = 1 .. n.
    pub risk: Vec<f64>,
    /// The same if confidence ordered by loss.
    pub best: Vec<f64>,
    /// Mean of `risk`, of a random order, and of `best`.
    pub area: [f64; 3],
}

/// The curve of a confidence against losses; both need at least one entry.
pub fn risk_coverage(confidence: &[f64], losses: &[f64]) -> Result<Coverage> {
    let risk = curve(confidence, losses)?;
    let gains: Vec<f64> = losses.iter().map(|loss| -loss).collect();
    let best = curve(&gains, losses)?;
    let chance = curve(&vec![0.0; losses.len()], losses)?;
    let area = [&risk, &chance, &best].map(|curve| mean(curve));
    Ok(Coverage { risk, best, area })
}

fn curve(confidence: &[f64], losses: &[f64]) -> Result<Vec<f64>> {
    let order = Order::descending(confidence, losses)?;
    let (mut risk, mut sum) = (Vec::with_capacity(losses.len()), 0.0);
    for group in order.groups() {
        let inside: f64 = order.indices()[group.clone()]
            .iter()
            .map(|&at| losses[at])
            .sum();
        let each = inside / group.len() as f64;
        for place in 1..=group.len() {
            risk.push((sum + place as f64 * each) / (group.start + place) as f64);
        }
        sum += inside;
    }
    Ok(risk)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worked_curve_with_a_tie() {
        // Surest: loss 0; then two equals with losses 1 and 0.
        let found = risk_coverage(&[0.9, 0.5, 0.5], &[0.0, 1.0, 0.0]).unwrap();
        assert_eq!(found.risk, [0.0, 0.25, 1.0 / 3.0]);
        assert_eq!(found.best, [0.0, 0.0, 1.0 / 3.0]);
        let third = 1.0 / 3.0;
        let expected = [(0.25 + third) / 3.0, third, third / 3.0];
        for (found, expected) in found.area.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-15);
        }
        assert!(risk_coverage(&[f64::NAN], &[0.0]).is_err());
    }
}
