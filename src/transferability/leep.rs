//! Formula     mean_i ln sum_z p(y_i | z) t_iz, p(y | z) = sum_{i: y_i = y} t_iz / sum_i t_iz
//! Shapes      probabilities t [n, n_source_classes], labels [n] -> one number
//! Range       [-ln n_classes, 0]
//! Promises    unchanged by the order and the names of the source's classes, and by adding
//!             source classes that are never predicted
//! Zero rows   refused: probabilities sum to 1
//! NaN         refused before
//! Precision   f64, added over examples in order; rows are divided by their sum
//! Cost        2 n n_source_classes multiplications
//!
//! Source: Nguyen, Hassner, Seeger, Archambeau 2020 (arXiv 2002.12462), equation 2.

use super::about::{About, Needs};
use super::classes::Classes;
use super::features::Features;
use crate::error::{Error, Result};

pub const ABOUT: About = About {
    name: "leep",
    formula: "mean_i ln sum_z p(y_i | z) t_iz",
    summary: "Log-likelihood of the labels when the source's own predictions are all one knows.",
    needs: Needs::Probabilities,
    range: (f64::NEG_INFINITY, 0.0),
    scale_free: false,
    rotation_free: false,
    translation_free: false,
    options: &[],
    source: "Nguyen et al. 2020, arXiv 2002.12462",
};

/// How far a row may be from summing to 1: softmax rows stored in bfloat16 are within it.
const TOLERANCE: f64 = 0.01;

/// The log expected empirical prediction.
pub fn score(probabilities: &Features, classes: &Classes) -> Result<f64> {
    let rows = checked(probabilities)?;
    let width = probabilities.dim();
    let mut joint = vec![0.0; classes.len() * width];
    let mut marginal = vec![0.0; width];
    for (row, &code) in rows.chunks_exact(width).zip(classes.codes()) {
        for (source, &mass) in row.iter().enumerate() {
            joint[code * width + source] += mass;
            marginal[source] += mass;
        }
    }
    let sum: f64 = rows
        .chunks_exact(width)
        .zip(classes.codes())
        .map(|(row, &code)| {
            let expected: f64 = row
                .iter()
                .enumerate()
                .filter(|(source, _)| marginal[*source] > 0.0)
                .map(|(source, mass)| mass * joint[code * width + source] / marginal[source])
                .sum();
            expected.min(1.0).ln()
        })
        .sum();
    Ok(sum / classes.n() as f64)
}

fn checked(probabilities: &Features) -> Result<Vec<f64>> {
    let mut rows = Vec::with_capacity(probabilities.values().len());
    for (number, row) in probabilities.rows().enumerate() {
        let sum: f64 = row.iter().sum();
        let negative = row.iter().any(|&value| value < 0.0);
        if negative || (sum - 1.0).abs() > TOLERANCE {
            let problem = if negative {
                "holds a negative number"
            } else {
                "does not sum to 1"
            };
            return Err(Error::Value(format!(
                "probabilities: row {number} {problem} (its sum is {sum}), expected \
                 probabilities of the source's classes; apply a softmax to logits first"
            )));
        }
        rows.extend(row.iter().map(|value| value / sum));
    }
    Ok(rows)
}
