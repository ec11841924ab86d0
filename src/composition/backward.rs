//! From the loss back to every parameter, for the chunk that `forward` just went through.
//!
//! Gradients are of `mean over the batch of BCE + beta KL(W || 1/K)`; the caller adds the penalty
//! on the tower. They are added to what `gradient` holds.

use pulp::Arch;

use super::forward::Scratch;
use super::lanes::{add_scaled, dot};
use super::layout::Mode;
use super::objective::{Objective, judge};
use super::ready::Ready;
use super::real::Real;
use super::rows::Rows;
use super::tower::descend;
use crate::linalg::{Operand, multiply, multiply_add};

/// Slopes of the loss by everything in between.
#[derive(Debug, Default)]
pub struct Back<T> {
    pub(super) logits: Vec<T>,
    pub(super) layers: Vec<Vec<T>>,
    pub(super) fused: Vec<T>,
    mixed: Vec<T>,
    weights: Vec<T>,
    normed: Vec<T>,
    hidden: Vec<T>,
    moments: Vec<T>,
    sums: Vec<T>,
}

/// Adds the gradient of the chunk to `gradient` and returns its part of the objective.
pub fn backward<T: Real>(
    head: &Ready<'_, T>,
    rows: Rows<'_, T>,
    which: &[usize],
    labels: &[bool],
    objective: Objective,
    scratch: &mut Scratch<T>,
    gradient: &mut [T],
) -> f64 {
    let mut back = std::mem::take(&mut scratch.back);
    let mut loss = judge(which, labels, objective, &scratch.logits, &mut back.logits);
    descend(head, which.len(), scratch, &mut back, gradient);
    if head.shape.mode != Mode::Share {
        back.mixed.resize(head.shape.width, T::default());
        back.weights.resize(head.shape.n_sources, T::default());
        if head.shape.mode == Mode::Prompt {
            back.normed.resize(scratch.normed.len(), T::default());
            back.moments.clear();
            back.moments.resize(head.keys.len(), T::default());
        }
        back.sums.clear();
        back.sums.resize(head.shape.n_sources, T::default());
        loss += Arch::new()
            .dispatch(|| unfuse(head, rows, which, objective, scratch, &mut back, gradient));
        if head.shape.mode == Mode::Prompt {
            query(head, which.len(), scratch, &mut back, gradient);
        }
    }
    scratch.back = back;
    loss
}

#[inline(always)]
fn unfuse<T: Real>(
    head: &Ready<'_, T>,
    rows: Rows<'_, T>,
    which: &[usize],
    objective: Objective,
    scratch: &Scratch<T>,
    back: &mut Back<T>,
    gradient: &mut [T],
) -> f64 {
    let (at, width, dim) = (head.layout, head.shape.width, head.shape.dim);
    let prompt = &head.parameters[at.prompt.clone()];
    let mode = head.shape.mode;
    let mut penalty = 0.0;
    for (n, &row) in which.iter().enumerate() {
        let fused = &back.fused[n * width..][..width];
        let mixed = &scratch.mixed[n * width..][..width];
        let [specific, common] = [scratch.gate[2 * n], scratch.gate[2 * n + 1]];
        let mut towards = T::default();
        // The prompt's slope, and the part of the gate's that belongs to the specific side.
        let slopes = &mut gradient[at.prompt.clone()];
        for (((&slope, &mixed), sum), out) in
            fused.iter().zip(mixed).zip(slopes).zip(&mut back.mixed)
        {
            *out = slope * mixed;
            *sum += specific * *out;
        }
        towards += dot(&back.mixed, prompt) - dot(fused, rows.shared(row));
        let lean = specific * common * towards;
        let gate = &mut gradient[at.gate.clone()];
        let (own, other) = gate.split_at_mut(dim);
        for ((&x, own), other) in scratch.x[n * dim..][..dim].iter().zip(own).zip(other) {
            *own += lean * x;
            *other -= lean * x;
        }
        if mode == Mode::Fixed {
            continue;
        }
        for ((out, &slope), &prompt) in back.mixed.iter_mut().zip(fused).zip(prompt) {
            *out = specific * slope * prompt;
        }
        let weights = &scratch.weights[n * head.shape.n_sources..][..head.shape.n_sources];
        penalty += pull(head, rows, row, objective, weights, back);
        if mode == Mode::Task {
            for (sum, &slope) in back.sums.iter_mut().zip(&back.weights) {
                *sum += slope;
            }
        } else {
            unnormalise(head, n, scratch, back);
        }
    }
    settle(head, back, gradient);
    penalty
}

/// Slopes of the scores of one row into `back.weights`; returns its share of the penalty.
#[inline(always)]
fn pull<T: Real>(
    head: &Ready<'_, T>,
    rows: Rows<'_, T>,
    row: usize,
    objective: Objective,
    weights: &[T],
    back: &mut Back<T>,
) -> f64 {
    let mut penalty = 0.0;
    let mut mean = T::default();
    let strength = T::of(objective.beta_kl * objective.share);
    let n_sources = T::of(head.shape.n_sources as f64);
    for (k, (slope, &weight)) in back.weights.iter_mut().zip(weights).enumerate() {
        *slope = dot(&back.mixed, rows.own(row, k));
        if objective.beta_kl > 0.0 && weight > T::default() {
            let excess = (weight * n_sources).logarithm();
            penalty += (weight * excess).widen();
            *slope += strength * excess;
        }
        mean += weight * *slope;
    }
    for (slope, &weight) in back.weights.iter_mut().zip(weights) {
        *slope = weight * (*slope - mean);
    }
    penalty * objective.beta_kl * objective.share
}

/// Back through scores and layer normalisation of one row.
#[inline(always)]
fn unnormalise<T: Real>(head: &Ready<'_, T>, n: usize, scratch: &Scratch<T>, back: &mut Back<T>) {
    let (width, n_sources) = (head.shape.width, head.shape.n_sources);
    let normed = &scratch.normed[n * width..][..width];
    let scores = &scratch.scores[n * n_sources..][..n_sources];
    let out = &mut back.normed[n * width..][..width];
    let (mut mean, mut along) = (T::default(), T::default());
    out.fill(T::default());
    for (k, &slope) in back.weights.iter().enumerate() {
        mean += slope * head.scaled_means[k];
        along += slope * scores[k];
        add_scaled(out, slope, &head.scaled_keys[k * width..][..width]);
        add_scaled(&mut back.moments[k * width..][..width], slope, normed);
        back.sums[k] += slope;
    }
    along /= T::of(width as f64);
    for (out, &normed) in out.iter_mut().zip(normed) {
        *out = scratch.inverse[n] * (*out - mean - normed * along);
    }
}

/// What the rows summed up, as gradients of the tensors they belong to.
#[inline(always)]
fn settle<T: Real>(head: &Ready<'_, T>, back: &Back<T>, gradient: &mut [T]) {
    let (at, width) = (head.layout, head.shape.width);
    for (k, (key, &sum)) in head.keys.chunks_exact(width).zip(&back.sums).enumerate() {
        let slope = sum * head.sharpness;
        match head.shape.mode {
            Mode::Task => add_scaled(&mut gradient[at.prompt.clone()], slope, key),
            Mode::Prompt => {
                add_scaled(&mut gradient[at.norm_shift.clone()], slope, key);
                let moments = &back.moments[k * width..][..width];
                let scale = &mut gradient[at.norm_scale.clone()];
                for ((out, &moment), &key) in scale.iter_mut().zip(moments).zip(key) {
                    *out += moment * key * head.sharpness;
                }
            }
            Mode::Fixed | Mode::Share => {}
        }
    }
}

fn query<T: Real>(
    head: &Ready<'_, T>,
    n: usize,
    scratch: &Scratch<T>,
    back: &mut Back<T>,
    gradient: &mut [T],
) {
    let (at, dim, width) = (head.layout, head.shape.dim, head.shape.width);
    let slopes = Operand::new(&back.normed, n, width);
    let hidden = Operand::new(&scratch.hidden, n, at.hidden);
    multiply_add(
        &mut gradient[at.query_out.clone()],
        slopes.transposed(),
        hidden,
    );
    let weights = Operand::new(&head.parameters[at.query_out.clone()], width, at.hidden);
    back.hidden.resize(n * at.hidden, T::default());
    multiply(&mut back.hidden, slopes, weights);
    Arch::new().dispatch(|| {
        for (slope, &activation) in back.hidden.iter_mut().zip(&scratch.hidden) {
            *slope = if activation > T::default() {
                *slope
            } else {
                T::default()
            };
        }
    });
    let slopes = Operand::new(&back.hidden, n, at.hidden);
    let x = Operand::new(&scratch.x, n, dim);
    multiply_add(&mut gradient[at.query_in.clone()], slopes.transposed(), x);
}
