//! Formula      a_i = <h_i - C2, C1 - C2> / ||C1 - C2||^2; BC = (skewness^2 + 1) / kurtosis
//! Shapes       states [n_prompts, dim], two centroids [dim] -> a [n_prompts], mean, sd, BC
//! Range        a: 1 at the first centroid, 0 at the second; BC in (0, 1], 5/9 for the uniform law
//! Promises     translation, rotation and scaling change nothing
//! Zero rows    equal centroids are refused; constant coordinates have no BC
//! NaN          refused before
//! Precision    f64, population moments
//! Cost         n_prompts dim
//!
//! Source: Pfister et al. (2013) for the coefficient, in its large-sample form. Above 5/9 suggests
//! two clusters: a mean between the centroids then describes no single prompt.

use crate::error::{Error, Result};
use crate::superposition::rows::{Rows, difference, dot};

/// Coordinates, mean, population standard deviation and bimodality coefficient.
pub fn coordinates(
    states: Rows<'_>,
    first: &[f64],
    second: &[f64],
) -> Result<(Vec<f64>, [f64; 3])> {
    let axis = difference(first, second);
    let length = dot(&axis, &axis);
    if length == 0.0 {
        return Err(Error::Shape(
            "coordinate: both task vectors are equal, so there is no axis between them".into(),
        ));
    }
    let along = |row: &[f64]| dot(&difference(row, second), &axis) / length;
    let values: Vec<f64> = states.iter().map(along).collect();
    let summary = summary(&values);
    Ok((values, summary))
}

fn summary(values: &[f64]) -> [f64; 3] {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let moment = |power: i32| values.iter().map(|v| (v - mean).powi(power)).sum::<f64>() / count;
    let variance = moment(2);
    let skewness = moment(3) / variance.powf(1.5);
    let kurtosis = moment(4) / (variance * variance);
    [
        mean,
        variance.sqrt(),
        (skewness * skewness + 1.0) / kurtosis,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_points_are_as_bimodal_as_can_be() {
        let values = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
        let states = Rows::new(&values, 2).unwrap();
        let (found, summary) = coordinates(states, &[1.0, 0.0], &[0.0, 0.0]).unwrap();
        assert_eq!(found, vec![1.0, 0.0, 1.0]);
        assert!((summary[2] - 1.0).abs() < 1e-12);
        assert!(coordinates(states, &[1.0, 0.0], &[1.0, 0.0]).is_err());
    }
}
