//! Formula     Spearman's rho over pairs of examples, between the correlation of their features
//!             and whether they share a label
//! Shapes      features [n, dim], labels [n] -> one number
//! Range       [-1, 1]
//! Promises    free of scale; unchanged by any map a x + b, a > 0, of one example's features
//! Zero rows   constant rows correlate 0 with everything, themselves included
//! NaN         refused before
//! Precision   correlations rounded to 1e-12 before they are ranked, so that equal examples tie;
//!             ranks are halves of whole numbers
//! Cost        n^2 dim / 2 multiplications, 8 n^2 bytes
//!
//! Source: Bolya, Mittapalli, Hoffman 2021 (arXiv 2111.06977), section 3. There the distances of
//! labels are 1 - Pearson of 0/1 columns, which take two values, and the score is 100 rho.

use super::about::{About, Needs};
use super::classes::Classes;
use super::features::Features;
use crate::error::{Error, Result};
use crate::linalg::{Inner, TokenPanels, for_each_row, unit};

pub const ABOUT: About = About {
    name: "parc",
    formula: "Spearman over pairs (i, j) of corr(x_i, x_j) and [y_i = y_j]",
    summary: "Whether examples of one class have the more similar features.",
    needs: Needs::Features,
    range: (-1.0, 1.0),
    scale_free: true,
    rotation_free: false,
    translation_free: false,
    options: &[],
    source: "Bolya et al. 2021, arXiv 2111.06977",
};

/// 1.6 GB of pairs.
const MOST_EXAMPLES: usize = 20_000;
const GRID: f64 = 1e12;

/// Rank correlation of closeness in features and in labels.
pub fn score(features: &Features, classes: &Classes) -> Result<f64> {
    if features.n() > MOST_EXAMPLES {
        return Err(Error::Value(format!(
            "features hold {} examples and parc compares all pairs, expected at most \
             {MOST_EXAMPLES}; score a random sample of the examples",
            features.n()
        )));
    }
    let mut pairs = pairs(features, classes);
    pairs.sort_unstable();
    Ok(spearman(&pairs))
}

/// Rounded correlation of every pair, and whether it shares a label.
fn pairs(features: &Features, classes: &Classes) -> Vec<(i64, bool)> {
    let dim = features.dim();
    let mut values = features.scaled().values().to_vec();
    for row in values.chunks_exact_mut(dim) {
        // Off with the first number before the mean, so that constant rows become exactly zero.
        let first = row[0];
        row.iter_mut().for_each(|value| *value -= first);
        let mean = row.iter().sum::<f64>() / dim as f64;
        row.iter_mut().for_each(|value| *value -= mean);
        unit(row);
    }
    let panels = TokenPanels::pack_rows(&values, dim);
    let codes = classes.codes();
    let mut pairs = Vec::with_capacity(codes.len() * (codes.len() - 1) / 2);
    for_each_row(&panels, &panels, Inner, |row, products| {
        for (other, product) in products[..row].iter().enumerate() {
            let rounded = (product * GRID).round() as i64;
            pairs.push((rounded, codes[row] == codes[other]));
        }
    });
    pairs
}

/// Spearman's rho between sorted numbers and a yes or no, ties sharing their mean rank.
fn spearman(sorted: &[(i64, bool)]) -> f64 {
    let count = sorted.len() as f64;
    let same = sorted.iter().filter(|pair| pair.1).count() as f64;
    // Doubled ranks are whole numbers; their mean is count - 1.
    let (mut squares, mut same_sum, mut start) = (0.0, 0.0, 0);
    while start < sorted.len() {
        let width = sorted[start..]
            .iter()
            .take_while(|pair| pair.0 == sorted[start].0)
            .count();
        let deviation = (2 * start + width) as f64 - count;
        let inside = sorted[start..start + width].iter().filter(|pair| pair.1);
        squares += width as f64 * deviation * deviation;
        same_sum += inside.count() as f64 * deviation;
        start += width;
    }
    if squares == 0.0 || same == 0.0 || same == count {
        return 0.0;
    }
    (same_sum / (squares * same * (1.0 - same / count)).sqrt()).clamp(-1.0, 1.0)
}
