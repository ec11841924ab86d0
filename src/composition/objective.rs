//! What training minimises, and its slope by the logits.

use super::forward::sigmoid;
use super::real::Real;

/// What a batch is worth.
#[derive(Debug, Clone, Copy)]
pub struct Objective {
    /// One over the rows of the whole batch.
    pub share: f64,
    /// Weight of `KL(W || 1/K)`.
    pub beta_kl: f64,
}

/// Binary cross-entropy of a chunk as its share of the batch; `slopes` by every logit.
pub fn judge<T: Real>(
    which: &[usize],
    labels: &[bool],
    objective: Objective,
    logits: &[T],
    slopes: &mut Vec<T>,
) -> f64 {
    slopes.clear();
    let mut loss = 0.0;
    for (&row, &logit) in which.iter().zip(logits) {
        let wanted = T::of(f64::from(u8::from(labels[row])));
        slopes.push((sigmoid(logit) - wanted) * T::of(objective.share));
        loss += log_loss(logit.widen(), labels[row]);
    }
    loss * objective.share
}

/// `-ln` of the probability given to the true label.
pub fn log_loss(logit: f64, label: bool) -> f64 {
    let towards = if label { logit } else { -logit };
    (-towards).max(0.0) + libm::log1p(libm::exp(-towards.abs()))
}
