//! Several predictors as one, fitted on other targets only.
//!
//! ```text
//! Formula   x = scores of each predictor, z-scored inside the target; y = truth, likewise;
//!           prediction of target t = x w_t, w_t = argmin sum_{targets != t} (y - x w)^2 + |w|^2
//! Shapes    predictors each [n_targets, n_sources], truth [n_targets, n_sources] -> the same
//! Range     any
//! Promises  the truth of a target never enters its own prediction; free of the scale and offset
//!           of every predictor; one predictor that is right keeps its order
//! Zero rows a target whose scores are all equal contributes zeros
//! NaN       marks cells that are not there; a cell needs all predictors and, to teach, its truth
//! Precision f64
//! Cost      n_targets^2 n_sources m^2 for m predictors
//! ```
//!
//! Source: ridge regression (Hoerl and Kennard 1970) on stacked predictors (Wolpert 1992). The
//! penalty of 1 weighs as much as one cell with every z-score 1, and only matters for few cells.

use faer::linalg::solvers::Solve;
use faer::{Mat, Side};

use crate::error::{Error, Result};

/// Leave-one-target-out predictions `[n_targets * n_sources]`, NaN where a predictor is missing.
pub fn stacked(predictors: &[Vec<f64>], truth: &[f64], n_sources: usize) -> Result<Vec<f64>> {
    let sizes_fit = predictors.iter().all(|scores| scores.len() == truth.len());
    if predictors.is_empty() || n_sources == 0 || !sizes_fit {
        return Err(Error::Shape(
            "predictors and truth differ in size, expected all [n_targets, n_sources]".into(),
        ));
    }
    let present: Vec<bool> = (0..truth.len())
        .map(|cell| predictors.iter().all(|scores| scores[cell].is_finite()))
        .collect();
    let inputs: Vec<Vec<f64>> = predictors
        .iter()
        .map(|scores| standardised(scores, n_sources, |cell| present[cell]))
        .collect();
    let teaches = |cell: usize| present[cell] && truth[cell].is_finite();
    let outcome = standardised(truth, n_sources, teaches);
    let mut found = vec![f64::NAN; truth.len()];
    for target in 0..truth.len() / n_sources {
        let own = target * n_sources..(target + 1) * n_sources;
        let others: Vec<usize> = (0..truth.len())
            .filter(|cell| !own.contains(cell) && teaches(*cell))
            .collect();
        let weights = ridge(&inputs, &outcome, &others)?;
        for cell in own.filter(|cell| present[*cell]) {
            found[cell] = inputs.iter().zip(&weights).map(|(x, w)| x[cell] * w).sum();
        }
    }
    Ok(found)
}

fn standardised(values: &[f64], width: usize, counts: impl Fn(usize) -> bool) -> Vec<f64> {
    let mut found = vec![0.0; values.len()];
    for start in (0..values.len()).step_by(width) {
        let cells: Vec<usize> = (start..start + width)
            .filter(|cell| counts(*cell))
            .collect();
        let n = cells.len() as f64;
        let mean = cells.iter().map(|&cell| values[cell]).sum::<f64>() / n;
        let square = |&cell: &usize| (values[cell] - mean).powi(2);
        let spread = (cells.iter().map(square).sum::<f64>() / n).sqrt();
        if spread > mean.abs() * f64::EPSILON * n {
            cells
                .iter()
                .for_each(|&cell| found[cell] = (values[cell] - mean) / spread);
        }
    }
    found
}

fn ridge(inputs: &[Vec<f64>], outcome: &[f64], cells: &[usize]) -> Result<Vec<f64>> {
    if let [_] = inputs {
        // One predictor is taken at its word: a fit could only turn its order round.
        return Ok(vec![1.0]);
    }
    let count = inputs.len();
    let product = |left: &[f64], right: &[f64]| -> f64 {
        cells.iter().map(|&cell| left[cell] * right[cell]).sum()
    };
    let gram = Mat::from_fn(count, count, |i, j| {
        product(&inputs[i], &inputs[j]) + f64::from(u8::from(i == j))
    });
    let right = Mat::from_fn(count, 1, |i, _| product(&inputs[i], outcome));
    let factor = gram
        .llt(Side::Lower)
        .map_err(|_| Error::Value("predictors cannot be combined: singular fit".into()))?;
    let weights = factor.solve(&right);
    Ok((0..count).map(|row| weights[(row, 0)]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_useful_predictor_of_two_is_found_on_other_targets() {
        let truth = vec![1.0, 2.0, 3.0, 3.0, 1.0, 2.0, 5.0, 4.0, 9.0];
        let noise = vec![2.0, 1.0, 2.0, 2.0, 1.0, 2.0, 1.0, 3.0, 1.5];
        let found = stacked(&[truth.clone(), noise.clone()], &truth, 3).unwrap();
        for target in 0..3 {
            let own = &found[3 * target..3 * target + 3];
            let real = &truth[3 * target..3 * target + 3];
            for i in 0..3 {
                for j in 0..3 {
                    assert_eq!(own[i] > own[j], real[i] > real[j]);
                }
            }
        }
        let mut hidden = truth.clone();
        hidden[0..3].copy_from_slice(&[9.0, -4.0, 0.0]);
        let other = stacked(&[truth.clone(), noise], &hidden, 3).unwrap();
        assert_eq!(other[0..3], found[0..3]);
        let gap = vec![f64::NAN, 1.0, 2.0];
        assert!(stacked(&[gap], &[0.0, 1.0, 2.0], 3).unwrap()[0].is_nan());
    }
}
