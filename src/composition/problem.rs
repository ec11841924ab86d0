//! A head that is asked: what it says about rows, and the slope of its objective.

use rayon::prelude::*;

use super::forward::{CHUNK, Scratch, forward};
use super::layout::{Layout, Mode, Shape};
use super::pieces::Pieces;
use super::ready::Ready;
use super::real::Real;
use super::rows::Rows;
use crate::error::{Error, Result};
use crate::threads::Monitor;

/// What is minimised.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Temperature of the source weights; infinity weighs all alike.
    pub tau: f64,
    /// Weight of `KL(W || 1/K)`.
    pub beta_kl: f64,
    /// Half of this times the squares of the tower's weights is added.
    pub decay: f64,
}

/// What a head says about rows.
#[derive(Debug, Default)]
pub struct Answer<T> {
    /// Logits `[n]`.
    pub logits: Vec<T>,
    /// Weights of the sources `[n, n_sources]`; empty in mode share.
    pub weights: Vec<T>,
    /// Specific and shared `[n, 2]`; empty in mode share.
    pub gate: Vec<T>,
}

/// A head and what it learns from.
#[derive(Debug, Clone, Copy)]
pub struct Problem<'a, T> {
    /// Sizes.
    pub shape: &'a Shape,
    /// Prompts of the sources `[n_sources, width]`.
    pub keys: &'a [T],
    /// What is minimised.
    pub options: Options,
}

impl<'a, T: Real> Problem<'a, T> {
    /// A head of these sizes on these prompts.
    pub fn new(shape: &'a Shape, keys: &'a [T], options: Options) -> Self {
        Self {
            shape,
            keys,
            options,
        }
    }

    /// Places of the tensors, if rows and labels fit.
    pub fn check(&self, rows: Rows<'_, T>, n_labels: Option<usize>) -> Result<Layout> {
        let shape = self.shape;
        // A tower on the shared representation reads no input.
        let fits = (rows.dim() == shape.dim || shape.mode == Mode::Share)
            && rows.width() == shape.width
            && rows.n_sources() == shape.n_sources
            && n_labels.is_none_or(|n| n == rows.len());
        if !fits {
            return Err(Error::Shape(format!(
                "features of dim {}, width {} and {} sources with {n_labels:?} labels for {} \
                 rows do not fit a head of dim {}, width {} and {} sources",
                rows.dim(),
                rows.width(),
                rows.n_sources(),
                rows.len(),
                shape.dim,
                shape.width,
                shape.n_sources
            )));
        }
        shape.layout()
    }

    /// Logits, weights and gates of all rows.
    pub fn answer(
        &self,
        parameters: &[T],
        rows: Rows<'_, T>,
        monitor: &Monitor,
    ) -> Result<Answer<T>> {
        let layout = self.check(rows, None)?;
        let head = Ready::new(self.shape, &layout, parameters, self.keys, self.options.tau)?;
        let everything: Vec<usize> = (0..rows.len()).collect();
        let parts = everything.par_chunks(16 * CHUNK).map(|some| {
            let mut scratch = Scratch::default();
            let mut part = Answer::default();
            for which in some.chunks(CHUNK) {
                forward(&head, rows, which, &mut scratch);
                part.logits.extend_from_slice(&scratch.logits);
                if self.shape.mode != Mode::Share {
                    part.weights.extend_from_slice(&scratch.weights);
                    part.gate.extend_from_slice(&scratch.gate);
                }
            }
            monitor.tick(0).map(|()| part)
        });
        let parts = parts.collect::<Result<Vec<Answer<T>>>>()?;
        let mut all = Answer::default();
        for part in parts {
            all.logits.extend(part.logits);
            all.weights.extend(part.weights);
            all.gate.extend(part.gate);
        }
        Ok(all)
    }

    /// Objective of all rows as one batch, without the penalty on the tower, and its gradient.
    pub fn slopes(
        &self,
        parameters: &[T],
        rows: Rows<'_, T>,
        labels: &[bool],
    ) -> Result<(f64, Vec<T>)> {
        let layout = self.check(rows, Some(labels.len()))?;
        let mut pieces = Pieces::new(rows.len(), layout.len);
        let head = Ready::new(self.shape, &layout, parameters, self.keys, self.options.tau)?;
        let everything: Vec<usize> = (0..rows.len()).collect();
        let beta_kl = self.options.beta_kl;
        let (loss, gradients) = pieces.fill(&head, rows, labels, &everything, beta_kl);
        let mut sum = vec![T::default(); layout.len];
        for piece in gradients {
            for (sum, &slope) in sum.iter_mut().zip(piece) {
                *sum += slope;
            }
        }
        Ok((loss, sum))
    }
}
