//! Formula     -H(Y | Z) = sum_{y, z} p(y, z) ln(p(y, z) / p(z)), shares counted over examples
//! Shapes      source labels z [n], labels y [n] -> one number
//! Range       [-ln n_classes, 0]
//! Promises    unchanged by renaming the classes of either side
//! Zero rows   not applicable
//! NaN         refused before
//! Precision   f64; counts are exact
//! Cost        n additions
//!
//! Source: Tran, Nguyen, Hassner 2019 (arXiv 1908.08142), equation 6.

use super::about::{About, Needs};
use super::classes::Classes;
use super::features::Features;
use crate::error::Result;

pub const ABOUT: About = About {
    name: "nce",
    formula: "sum_{y, z} p(y, z) ln p(y | z)",
    summary: "Minus the uncertainty that is left about the label once the source's label is known.",
    needs: Needs::SourceLabels,
    range: (f64::NEG_INFINITY, 0.0),
    scale_free: false,
    rotation_free: false,
    translation_free: false,
    options: &[],
    source: "Tran et al. 2019, arXiv 1908.08142",
};

/// Negative conditional entropy; the source's labels travel as one column of whole numbers.
pub fn score(source_labels: &Features, classes: &Classes) -> Result<f64> {
    let mut order: Vec<usize> = Vec::new();
    let sources: Vec<usize> = source_labels
        .rows()
        .map(|row| {
            let label = row[0] as usize;
            order
                .iter()
                .position(|&known| known == label)
                .unwrap_or_else(|| {
                    order.push(label);
                    order.len() - 1
                })
        })
        .collect();
    let mut joint = vec![0u32; order.len() * classes.len()];
    let mut marginal = vec![0u32; order.len()];
    for (&source, &code) in sources.iter().zip(classes.codes()) {
        joint[source * classes.len() + code] += 1;
        marginal[source] += 1;
    }
    let n = classes.n() as f64;
    Ok(joint
        .chunks_exact(classes.len())
        .zip(&marginal)
        .flat_map(|(row, &total)| row.iter().map(move |&count| (f64::from(count), total)))
        .filter(|&(count, _)| count > 0.0)
        .map(|(count, total)| count / n * (count / f64::from(total)).ln())
        .sum())
}
