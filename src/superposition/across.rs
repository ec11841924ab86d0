//! What a task's mean share does from condition to condition: calibration and vote model.

use crate::superposition::vote::Curves;

/// Names of the statistics of a task across conditions.
pub const NAMES: [&str; 6] = [
    "slope",
    "intercept",
    "logit_slope",
    "n_eff",
    "threshold",
    "vote_rmse",
];

/// Statistics of a task: `mixture` and `shares` are its lambda and mean share in each condition.
pub fn statistics(mixture: &[f64], shares: &[f64], curves: &Curves) -> [f64; NAMES.len()] {
    let (slope, intercept) = line(mixture, shares);
    let (lambdas, logits): (Vec<f64>, Vec<f64>) = mixture
        .iter()
        .zip(shares)
        .filter(|(lambda, _)| **lambda > 0.0 && **lambda < 1.0)
        .map(|(lambda, share)| (logit(*lambda), logit(*share)))
        .unzip();
    let vote = curves.fit(shares);
    [
        slope,
        intercept,
        line(&lambdas, &logits).0,
        vote.n_eff,
        vote.threshold,
        vote.rmse,
    ]
}

fn logit(share: f64) -> f64 {
    share.ln() - (1.0 - share).ln()
}

/// Least-squares slope and intercept; NaN without two distinct abscissae or with an infinity.
fn line(abscissae: &[f64], ordinates: &[f64]) -> (f64, f64) {
    let count = abscissae.len() as f64;
    let mean_x = abscissae.iter().sum::<f64>() / count;
    let mean_y = ordinates.iter().sum::<f64>() / count;
    let pairs = || abscissae.iter().zip(ordinates);
    let spread: f64 = abscissae.iter().map(|x| (x - mean_x) * (x - mean_x)).sum();
    let joint: f64 = pairs().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    if spread > 0.0 && joint.is_finite() {
        let slope = joint / spread;
        (slope, mean_y - slope * mean_x)
    } else {
        (f64::NAN, f64::NAN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::superposition::vote::Threshold;

    #[test]
    fn a_calibrated_curve_has_slope_one_in_both_scales() {
        let lambdas = [0.25, 0.5, 0.75];
        let curves = Curves::new(&lambdas, 11, Threshold::Majority);
        let found = statistics(&lambdas, &lambdas, &curves);
        assert!((found[0] - 1.0).abs() < 1e-15 && found[1].abs() < 1e-15);
        assert!((found[2] - 1.0).abs() < 1e-15);
        assert_eq!(found[3], 1.0);
    }

    #[test]
    fn one_condition_has_no_slope() {
        let curves = Curves::new(&[0.5], 11, Threshold::Majority);
        assert!(
            statistics(&[0.5], &[0.5], &curves)
                .iter()
                .all(|value| value.is_nan())
        );
    }
}
