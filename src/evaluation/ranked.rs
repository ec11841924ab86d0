//! The truth laid out in predicted order, with the groups of tied predictions.

use crate::error::Result;
use crate::selection::Order;

/// One list of candidates in the three orders that every metric is computed on.
#[derive(Debug, Clone, PartialEq)]
pub struct Orders {
    /// By descending prediction.
    pub predicted: Ranked,
    /// One group of everything: the order that knows nothing.
    pub tied: Ranked,
    /// By the truth itself; candidates of equal truth stay tied.
    pub ideal: Ranked,
}

impl Orders {
    /// Lays out `truth [n]` by descending `scores [n]`, and by the truth.
    pub fn new(scores: &[f64], truth: &[f64]) -> Result<Self> {
        let predicted = Ranked::new(scores, truth)?;
        Ok(Self {
            tied: predicted.all_tied(),
            ideal: predicted.ideal(),
            predicted,
        })
    }

    /// Number of candidates.
    pub fn n(&self) -> usize {
        self.ideal.n()
    }

    /// The largest measured score; minus infinity without candidates.
    pub fn best(&self) -> f64 {
        let first = self.ideal.truth.first();
        first.copied().unwrap_or(f64::NEG_INFINITY)
    }
}

/// Measured scores from the best predicted candidate to the worst; candidates with equal
/// predictions form a group, inside which the truth descends.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    truth: Vec<f64>,
    bounds: Vec<usize>,
}

impl Ranked {
    fn new(scores: &[f64], truth: &[f64]) -> Result<Self> {
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

    fn all_tied(&self) -> Self {
        let truth = self.sorted();
        let bounds = vec![0, truth.len()];
        Self { truth, bounds }
    }

    fn ideal(&self) -> Self {
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
