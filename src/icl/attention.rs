//! The literal forward pass of one layer of linear attention.
//!
//! Formula      `f = (z W_q W_k' Z') M Z W_v h`, `z = [x', 0]`, rows of Z: prompt, examples
//!              `[x_i', y_i]`, query; M masks the query itself; no softmax, no scaling
//! Shapes       inputs `[n_sequences, n_examples, dim]`, labels `[n_sequences, n_examples]`,
//!              queries `[n_sequences, dim]`, tasks `[n_sequences]`; returns `[n_sequences]`
//! Promises     order of examples is irrelevant up to rounding; linear in query and head
//! Cost         `2 n (dim + 1) + 3 (dim + 1)^2` multiplications a sequence

use faer::{Col, ColRef, Mat};
use rayon::prelude::*;

use super::weights::AttentionWeights;
use crate::error::{Error, Result};
use crate::threads::Monitor;

// Enough work (about 50 us at d = 10, n = 50) that the bookkeeping of a piece does not show.
const SEQUENCES_PER_PIECE: usize = 64;

/// Sequences as flat row-major slices.
#[derive(Debug, Clone, Copy)]
pub struct Sequences<'a> {
    /// `[n_sequences, n_examples, dim]`
    pub inputs: &'a [f64],
    /// `[n_sequences, n_examples]`
    pub labels: &'a [f64],
    /// `[n_sequences, dim]`
    pub queries: &'a [f64],
    /// `[n_sequences]`, which prompt and head each sequence uses
    pub tasks: &'a [usize],
    /// Length of every context.
    pub n_examples: usize,
}

/// One prediction per sequence.
pub fn forward(
    weights: &AttentionWeights,
    sequences: Sequences<'_>,
    monitor: &Monitor,
) -> Result<Vec<f64>> {
    let (width, n_tasks) = (weights.query.nrows(), weights.heads.nrows());
    let (dim, n, count) = (width - 1, sequences.n_examples, sequences.tasks.len());
    let sizes = [
        ("inputs", sequences.inputs.len(), count * n * dim),
        ("labels", sequences.labels.len(), count * n),
        ("queries", sequences.queries.len(), count * dim),
    ];
    for (name, got, wanted) in sizes {
        if got != wanted {
            return Err(Error::Shape(format!(
                "{name} holds {got} numbers, expected {wanted} for {count} sequences of {n} \
                 examples of width {dim}"
            )));
        }
    }
    if let Some(task) = sequences.tasks.iter().find(|&&task| task >= n_tasks) {
        return Err(Error::Mixture(format!(
            "task number {task} is unknown, expected 0 to {}",
            n_tasks - 1
        )));
    }
    let mut predictions = vec![0.0; count];
    predictions
        .par_chunks_mut(SEQUENCES_PER_PIECE)
        .enumerate()
        .try_for_each(|(piece, chunk)| {
            for (offset, prediction) in chunk.iter_mut().enumerate() {
                *prediction = one(weights, sequences, piece * SEQUENCES_PER_PIECE + offset);
            }
            monitor.tick(chunk.len())
        })?;
    Ok(predictions)
}

fn one(weights: &AttentionWeights, sequences: Sequences<'_>, index: usize) -> f64 {
    let dim = weights.query.nrows() - 1;
    let (n, task) = (sequences.n_examples, sequences.tasks[index]);
    let query = &sequences.queries[index * dim..(index + 1) * dim];
    let tokens = stack(
        weights.prompts.row(task).transpose(),
        &sequences.inputs[index * n * dim..(index + 1) * n * dim],
        &sequences.labels[index * n..(index + 1) * n],
        query,
    );
    let asked = tokens.row(n + 1) * &weights.query * weights.key.transpose();
    let mut scores = asked * tokens.transpose();
    scores[n + 1] = 0.0;
    let attended = scores * &tokens * &weights.value;
    attended * weights.heads.row(task).transpose()
}

/// The token matrix Z `[1 + n_examples + 1, dim + 1]`.
fn stack(prompt: ColRef<'_, f64>, inputs: &[f64], labels: &[f64], query: &[f64]) -> Mat<f64> {
    let (n, dim) = (labels.len(), query.len());
    let mut tokens = Mat::<f64>::zeros(n + 2, dim + 1);
    tokens.row_mut(0).copy_from(prompt.transpose());
    for example in 0..n {
        for column in 0..dim {
            tokens[(example + 1, column)] = inputs[example * dim + column];
        }
        tokens[(example + 1, dim)] = labels[example];
    }
    let last = Col::from_fn(dim + 1, |row| if row < dim { query[row] } else { 0.0 });
    tokens.row_mut(n + 1).copy_from(last.transpose());
    tokens
}
