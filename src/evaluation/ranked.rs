//! The truth laid out in predicted order, with the groups of tied predictions.

use crate::error::Result;
use crate::selection::Order;

/// Measured scores from the best predicted candidate to the worst; candidates with equal
/// predictions form a group, inside which the truth descends.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    truth: Vec<f64>,
    bounds: Vec<usize>,
}

impl Ranked {
    /// Lays out `truth [n]` by descending `scores [n]`.
    pub fn new(scores: &[f64], truth: &[f64]) -> Result<Self> {
        let order = Order::descending(scores, truth)?;
        Ok(Self {
            truth: order.indices().iter().map(|&index| truth[index]).collect(),
            bounds: order.bounds().to_vec(),
        })
    }

    /// Number of candidates.
    pub fn n(&self) -> usize {
        self.truth.len()
    }

    /// Measured scores in predicted order.
    pub fn truth(&self) -> &[f64] {
        &self.truth
    }

    /// Groups of tied predictions, best first: how many candidates precede, and their truth.
    pub fn groups(&self) -> impl Iterator<Item = (usize, &[f64])> {
        self.bounds
            .windows(2)
            .map(|pair| (pair[0], &self.truth[pair[0]..pair[1]]))
    }

    /// The largest measured score; minus infinity without candidates.
    pub fn best(&self) -> f64 {
        self.truth.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    /// The order that knows nothing: one group of everything.
    pub fn all_tied(&self) -> Self {
        let truth = self.sorted();
        let bounds = vec![0, truth.len()];
        Self { truth, bounds }
    }

    /// The order by the truth itself; candidates of equal truth stay tied.
    pub fn ideal(&self) -> Self {
        let truth = self.sorted();
        let starts = (0..truth.len()).filter(|&at| at == 0 || truth[at] != truth[at - 1]);
        let bounds = starts.chain([truth.len()]).collect();
        Self { truth, bounds }
    }

    fn sorted(&self) -> Vec<f64> {
        let mut truth = self.truth.clone();
        truth.sort_by(|a, b| b.total_cmp(a));
        truth
    }
}
