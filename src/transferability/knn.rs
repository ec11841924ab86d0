//! Formula     share of examples whose class wins the vote of their k nearest other examples
//! Shapes      features [n, dim], labels [n] -> one number
//! Range       [0, 1]
//! Promises    free of scale, rotation and translation (up to ties that rounding breaks)
//! Zero rows   are examples like any other
//! NaN         refused before
//! Precision   squared Euclidean distances from differences; votes are whole numbers
//! Cost        n^2 dim multiplications
//!
//! Ties are not left to the order of examples: those equally far at the k-th place share the
//! votes that are left, and classes with equal votes share the win. With fewer than k other
//! examples all of them vote.
//!
//! Source: Cover and Hart 1967, "Nearest neighbor pattern classification"; leave-one-out.

use super::about::{About, Needs};
use super::classes::Classes;
use super::features::Features;
use crate::error::{Error, Result};
use crate::linalg::{SquaredDifference, TokenPanels, for_each_row};

pub const ABOUT: About = About {
    name: "knn",
    formula: "leave-one-out accuracy of the k nearest neighbours",
    summary: "Whether the nearest other examples carry the same label.",
    needs: Needs::Features,
    range: (0.0, 1.0),
    scale_free: true,
    rotation_free: true,
    translation_free: true,
    options: &["k"],
    source: "Cover and Hart 1967",
};

/// Leave-one-out accuracy.
pub fn score(features: &Features, classes: &Classes, k: usize) -> Result<f64> {
    if k == 0 {
        return Err(Error::Value("k is 0, expected at least 1".into()));
    }
    let scaled = features.scaled();
    let panels = TokenPanels::pack_rows(scaled.values(), scaled.dim());
    let k = k.min(features.n() - 1);
    let mut sum = 0.0;
    for_each_row(&panels, &panels, SquaredDifference, |row, distances| {
        sum += win(row, distances, classes, k);
    });
    Ok(sum / features.n() as f64)
}

/// The part of the win that goes to the own class: 1, 0, or a share where classes tie.
fn win(row: usize, distances: &[f64], classes: &Classes, k: usize) -> f64 {
    let others = || (0..distances.len()).filter(|&other| other != row);
    let mut sorted: Vec<f64> = others().map(|other| distances[other]).collect();
    let (_, &mut last, _) = sorted.select_nth_unstable_by(k - 1, f64::total_cmp);
    let n_nearer = others().filter(|&other| distances[other] < last).count();
    let n_equal = others().filter(|&other| distances[other] == last).count();
    // In units of 1 / n_equal, so that votes stay whole.
    let mut votes = vec![0; classes.len()];
    for other in others().filter(|&other| distances[other] <= last) {
        let vote = if distances[other] < last {
            n_equal
        } else {
            k - n_nearer
        };
        votes[classes.codes()[other]] += vote;
    }
    let most = votes.iter().max().copied().unwrap_or(0);
    if votes[classes.codes()[row]] < most {
        return 0.0;
    }
    1.0 / votes.iter().filter(|&&vote| vote == most).count() as f64
}
