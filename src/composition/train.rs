//! Training with early stopping on validation AUC.

use rand::seq::SliceRandom;

use super::adam::Adam;
use super::layout::Layout;
use super::objective::log_loss;
use super::pieces::Pieces;
use super::problem::Problem;
use super::ranks::auc;
use super::ready::Ready;
use super::real::Real;
use super::rows::Rows;
use crate::error::{Error, Result};
use crate::random::stream;
use crate::threads::Monitor;

// Streams of shuffles start above those of the tensors.
const SHUFFLES: u64 = 1 << 32;

/// How it is minimised.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Step length of Adam.
    pub learning_rate: f64,
    /// Rows a step looks at.
    pub batch_size: usize,
    /// Most passes over the rows.
    pub epochs: usize,
    /// Passes without a better validation AUC before it stops; without validation never.
    pub patience: usize,
    /// Seed of the shuffles.
    pub seed: u64,
}

/// One pass over the rows.
#[derive(Debug, Clone, Copy)]
pub struct Epoch {
    /// Mean objective of its batches, without the penalty on the tower.
    pub loss: f64,
    /// Validation AUC afterwards; NaN without validation.
    pub auc: f64,
    /// Validation log-loss afterwards; NaN without validation.
    pub log_loss: f64,
}

/// What training found.
#[derive(Debug)]
pub struct Trained<T> {
    /// Parameters of the best epoch.
    pub parameters: Vec<T>,
    /// Every epoch.
    pub history: Vec<Epoch>,
    /// Number of the best one.
    pub best: usize,
}

impl<T: Real> Problem<'_, T> {
    /// Trains from `start`; the best epoch by validation AUC is kept, without validation the last.
    pub fn train(
        &self,
        rows: Rows<'_, T>,
        labels: &[bool],
        validation: Option<(Rows<'_, T>, &[bool])>,
        start: Vec<T>,
        plan: Plan,
        monitor: &Monitor,
    ) -> Result<Trained<T>> {
        let layout = self.check(rows, Some(labels.len()))?;
        let decay = self.decays(&layout);
        let mut adam = Adam::new(layout.len, plan.learning_rate);
        let mut pieces = Pieces::new(plan.batch_size.min(rows.len()), layout.len);
        let mut order: Vec<usize> = (0..rows.len()).collect();
        let mut now = start;
        let mut found = Trained {
            parameters: now.clone(),
            history: Vec::new(),
            best: 0,
        };
        for number in 0..plan.epochs {
            order.shuffle(&mut stream(plan.seed, SHUFFLES + number as u64));
            let mut loss = 0.0;
            for batch in order.chunks(plan.batch_size) {
                let head = Ready::new(self.shape, &layout, &now, self.keys, self.options.tau)?;
                let beta_kl = self.options.beta_kl;
                let (part, gradients) = pieces.fill(&head, rows, labels, batch, beta_kl);
                loss += part * batch.len() as f64 / rows.len() as f64;
                adam.step(&mut now, gradients, &decay);
                monitor.tick(batch.len())?;
            }
            let epoch = self.judge(&now, loss, validation, monitor)?;
            diverged(&now, epoch, number)?;
            found.history.push(epoch);
            let best = found.history[found.best].auc;
            if number == 0 || epoch.auc > best || epoch.auc.is_nan() {
                found.best = number;
                found.parameters.clone_from(&now);
            } else if number - found.best >= plan.patience {
                break;
            }
        }
        Ok(found)
    }

    fn decays(&self, layout: &Layout) -> Vec<T> {
        let mut decay = vec![T::default(); layout.len];
        for layer in &layout.tower {
            decay[layer.weight.clone()].fill(T::of(self.options.decay));
        }
        decay
    }

    fn judge(
        &self,
        parameters: &[T],
        loss: f64,
        validation: Option<(Rows<'_, T>, &[bool])>,
        monitor: &Monitor,
    ) -> Result<Epoch> {
        let Some((rows, labels)) = validation else {
            let (auc, log_loss) = (f64::NAN, f64::NAN);
            return Ok(Epoch {
                loss,
                auc,
                log_loss,
            });
        };
        self.check(rows, Some(labels.len()))?;
        let logits = self.answer(parameters, rows, monitor)?.logits;
        let logits: Vec<f64> = logits.into_iter().map(Real::widen).collect();
        let parts = logits.iter().zip(labels);
        let total: f64 = parts.map(|(&logit, &label)| log_loss(logit, label)).sum();
        Ok(Epoch {
            loss,
            auc: auc(&logits, labels).unwrap_or(f64::NAN),
            log_loss: total / labels.len() as f64,
        })
    }
}

fn diverged<T: Real>(parameters: &[T], epoch: Epoch, number: usize) -> Result<()> {
    let is_finite = parameters.iter().all(|value| value.widen().is_finite());
    if is_finite && epoch.loss.is_finite() {
        return Ok(());
    }
    Err(Error::NonFinite(format!(
        "training left the finite numbers in epoch {number} (loss {}); lower learning_rate or \
         scale the features",
        epoch.loss
    )))
}
