//! Formula      P = b0 + sum_j w_j [example j is of the task]; least squares
//!              Var = (X'X)^-1 (sum_g X_g'u_g u_g'X_g) (X'X)^-1, g over clusters
//! Shapes       indicators [n_prompts, n_positions], P [n_prompts] -> weights, errors [n_positions]
//! Range        any; standard errors >= 0
//! Promises     relabelling prompts changes nothing
//! Zero rows    a position that never varies, or a constant number of examples, is refused
//! NaN          refused before
//! Precision    f64, QR-free normal equations of centred 0/1 columns
//! Cost         n_prompts n_positions^2
//!
//! Source: Liang and Zeger (1986) for the clustered covariance, without small-sample factor.

use faer::linalg::solvers::{DenseSolveCore, Llt};
use faer::{Mat, MatRef, Side};

use crate::error::{Error, Result};
use crate::linalg::clear_registers;

/// Weight of every position, and its cluster-robust standard error.
pub fn position_weights(
    indicators: &[f64],
    probabilities: &[f64],
    cluster: &[i64],
    n_positions: usize,
) -> Result<(Vec<f64>, Vec<f64>)> {
    let n_prompts = probabilities.len();
    let design = centred(indicators, n_prompts, n_positions);
    let design = MatRef::from_row_major_slice(&design, n_prompts, n_positions);
    let mean = probabilities.iter().sum::<f64>() / n_prompts as f64;
    let response = Mat::from_fn(n_prompts, 1, |row, _| probabilities[row] - mean);
    let gram = design.transpose() * design;
    let inverse = inverse(&gram)?;
    let weights = &inverse * (design.transpose() * &response);
    let residual = &response - design * &weights;
    let n_clusters = 1 + cluster.iter().copied().max().unwrap_or(0).max(0) as usize;
    let mut scores = Mat::<f64>::zeros(n_clusters, n_positions);
    for (prompt, &group) in cluster.iter().enumerate() {
        for position in 0..n_positions {
            scores[(group as usize, position)] +=
                residual[(prompt, 0)] * design[(prompt, position)];
        }
    }
    let middle = scores.transpose() * &scores;
    let covariance = &inverse * middle * &inverse;
    clear_registers();
    let errors = (0..n_positions).map(|place| covariance[(place, place)].max(0.0).sqrt());
    Ok((
        (0..n_positions).map(|place| weights[(place, 0)]).collect(),
        errors.collect(),
    ))
}

fn centred(indicators: &[f64], n_prompts: usize, n_positions: usize) -> Vec<f64> {
    let mut means = vec![0.0; n_positions];
    for row in indicators.chunks_exact(n_positions) {
        means
            .iter_mut()
            .zip(row)
            .for_each(|(sum, value)| *sum += value);
    }
    let means: Vec<f64> = means.iter().map(|sum| sum / n_prompts as f64).collect();
    let rows = indicators.chunks_exact(n_positions);
    rows.flat_map(|row| row.iter().zip(&means).map(|(value, mean)| value - mean))
        .collect()
}

// Indicators have variance at most 1/4, so a healthy Gram matrix is conditioned far below this.
const SMALLEST_RATIO: f64 = 1e-10;

fn inverse(gram: &Mat<f64>) -> Result<Mat<f64>> {
    let refused = || {
        Error::Shape(
            "position weights are not identified: a position never varies, the number of \
             examples of the task is the same in every prompt, or there are fewer prompts than \
             positions; draw contexts independently, or pool several mixtures"
                .into(),
        )
    };
    let values = gram
        .self_adjoint_eigenvalues(Side::Lower)
        .map_err(|_| refused())?;
    let largest = values.iter().copied().fold(0.0, f64::max);
    let smallest = values.iter().copied().fold(f64::INFINITY, f64::min);
    if smallest <= SMALLEST_RATIO * largest {
        return Err(refused());
    }
    Llt::new(gram.as_ref(), Side::Lower)
        .map(|factor| factor.inverse())
        .map_err(|_| refused())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planted_weights_come_back_without_error() {
        let indicators: Vec<f64> = (0..8_u32)
            .flat_map(|row| (0..3).map(move |bit| f64::from(row >> bit & 1)))
            .collect();
        let planted = [0.1, 0.2, 0.4];
        let probabilities: Vec<f64> = indicators
            .chunks_exact(3)
            .map(|row| 0.05 + row.iter().zip(planted).map(|(x, w)| x * w).sum::<f64>())
            .collect();
        let cluster: Vec<i64> = (0..8).collect();
        let (weights, errors) = position_weights(&indicators, &probabilities, &cluster, 3).unwrap();
        for (found, planted) in weights.iter().zip(planted) {
            assert!((found - planted).abs() < 1e-14);
        }
        assert!(errors.iter().all(|error| *error < 1e-14));
    }

    #[test]
    fn a_constant_number_of_examples_is_refused() {
        let indicators = [1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0];
        assert!(position_weights(&indicators, &[0.1, 0.2, 0.3, 0.4], &[0, 1, 2, 3], 2).is_err());
    }
}
