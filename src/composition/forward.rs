//! From cached features to a logit, 64 rows at a time.
//!
//! ```text
//! q = LN(ReLU(x P1') P2')             W = softmax_k(q . E_k / tau)
//! m = sum_k W_k own_k                 (w_a, w_s) = softmax(x Wg')
//! f = w_a m * E + w_s shared          logit = tower(f)
//! ```
//!
//! After Bai et al., Efficient Multi-task Prompt Tuning for Recommendation (arXiv 2408.17214).

use pulp::Arch;

use super::lanes::{add_scaled, dot, scale_into, sum, sum_of};
use super::layout::Mode;
use super::ready::{Ready, softmax};
use super::real::Real;
use super::rows::Rows;
use super::tower::climb;
use crate::linalg::{Operand, multiply};

/// Rows worked on together: activations of 64 rows stay in the second-level cache.
pub const CHUNK: usize = 64;

/// Variance below which a layer normalisation stops amplifying.
const NORM_FLOOR: f64 = 1e-5;

/// Everything between features and logits of one chunk; backward reads it again.
#[derive(Debug, Default)]
pub struct Scratch<T> {
    /// Embedded inputs `[n, dim]`.
    pub x: Vec<T>,
    /// Hidden layer of the query network `[n, hidden]`.
    pub hidden: Vec<T>,
    /// Normalised query, before scale and shift `[n, width]`.
    pub normed: Vec<T>,
    /// One over the standard deviation `[n]`.
    pub inverse: Vec<T>,
    /// Scores of the sources without what the shift adds `[n, n_sources]`.
    pub scores: Vec<T>,
    /// Weights of the sources `[n, n_sources]`.
    pub weights: Vec<T>,
    /// Specific and shared `[n, 2]`.
    pub gate: Vec<T>,
    /// Weighted experts `[n, width]`.
    pub mixed: Vec<T>,
    /// What the tower reads `[n, width]`.
    pub fused: Vec<T>,
    /// Hidden layers of the tower `[n, outputs]`.
    pub layers: Vec<Vec<T>>,
    /// Logits `[n]`.
    pub logits: Vec<T>,
    /// Room for `backward`.
    pub back: super::backward::Back<T>,
}

/// Fills `scratch` for the rows `which`.
pub fn forward<T: Real>(
    head: &Ready<'_, T>,
    rows: Rows<'_, T>,
    which: &[usize],
    scratch: &mut Scratch<T>,
) {
    let (shape, at) = (head.shape, head.layout);
    if shape.mode == Mode::Share {
        gather(&mut scratch.fused, which, |row| rows.shared(row));
    } else {
        gather(&mut scratch.x, which, |row| rows.x(row));
        let n = which.len();
        for (values, width) in [
            (&mut scratch.hidden, at.hidden),
            (&mut scratch.normed, shape.width),
            (&mut scratch.mixed, shape.width),
            (&mut scratch.fused, shape.width),
            (&mut scratch.inverse, 1),
            (&mut scratch.scores, shape.n_sources),
            (&mut scratch.weights, shape.n_sources),
            (&mut scratch.gate, 2),
        ] {
            values.resize(n * width, T::default());
        }
        if shape.mode == Mode::Prompt {
            query(head, n, scratch);
        }
        Arch::new().dispatch(|| fuse(head, rows, which, scratch));
    }
    climb(head, which.len(), scratch);
}

fn gather<'a, T: Real>(out: &mut Vec<T>, which: &[usize], row: impl Fn(usize) -> &'a [T]) {
    out.clear();
    for &number in which {
        out.extend_from_slice(row(number));
    }
}

fn query<T: Real>(head: &Ready<'_, T>, n: usize, scratch: &mut Scratch<T>) {
    let (at, dim, width) = (head.layout, head.shape.dim, head.shape.width);
    let weights = Operand::new(&head.parameters[at.query_in.clone()], at.hidden, dim);
    let x = Operand::new(&scratch.x, n, dim);
    multiply(&mut scratch.hidden, x, weights.transposed());
    Arch::new().dispatch(|| cut(&mut scratch.hidden));
    let weights = Operand::new(&head.parameters[at.query_out.clone()], width, at.hidden);
    let hidden = Operand::new(&scratch.hidden, n, at.hidden);
    multiply(&mut scratch.normed, hidden, weights.transposed());
}

#[inline(always)]
fn cut<T: Real>(values: &mut [T]) {
    for value in values {
        *value = if *value > T::default() {
            *value
        } else {
            T::default()
        };
    }
}

#[inline(always)]
fn fuse<T: Real>(head: &Ready<'_, T>, rows: Rows<'_, T>, which: &[usize], s: &mut Scratch<T>) {
    let (width, n_sources) = (head.shape.width, head.shape.n_sources);
    let prompt = &head.parameters[head.layout.prompt.clone()];
    let by_row = which.iter().zip(s.x.chunks_exact(head.shape.dim));
    let weights = s.weights.chunks_exact_mut(n_sources);
    let scores = s.scores.chunks_exact_mut(n_sources);
    let normed = s.normed.chunks_exact_mut(width).zip(&mut s.inverse);
    let mixed = s.mixed.chunks_exact_mut(width);
    let fused = s.fused.chunks_exact_mut(width);
    let (gates, _) = s.gate.as_chunks_mut::<2>();
    let outputs = mixed.zip(fused).zip(gates);
    for ((((&row, x), weights), (scores, (normed, inverse))), ((mixed, fused), gate)) in
        by_row.zip(weights).zip(scores.zip(normed)).zip(outputs)
    {
        if head.shape.mode == Mode::Prompt {
            *inverse = normalise(normed);
            let keys = head.scaled_keys.chunks_exact(width).zip(&head.offsets);
            for ((score, weight), (key, &offset)) in scores.iter_mut().zip(&mut *weights).zip(keys)
            {
                *score = dot(normed, key);
                *weight = *score + offset;
            }
            softmax(weights);
        } else {
            weights.copy_from_slice(&head.weights);
        }
        scale_into(mixed, weights[0], rows.own(row, 0));
        for (k, &weight) in weights.iter().enumerate().skip(1) {
            add_scaled(mixed, weight, rows.own(row, k));
        }
        let lean = dot(x, &head.gate_difference);
        *gate = [sigmoid(lean), sigmoid(-lean)];
        let parts = mixed.iter().zip(prompt).zip(rows.shared(row));
        for (out, ((&mixed, &prompt), &shared)) in fused.iter_mut().zip(parts) {
            *out = gate[0] * mixed * prompt + gate[1] * shared;
        }
    }
}

/// Takes the mean out and divides by the standard deviation; returns one over it.
#[inline(always)]
fn normalise<T: Real>(values: &mut [T]) -> T {
    let width = T::of(values.len() as f64);
    let mean = sum(values) / width;
    let variance = sum_of(values, values, |a, _| (a - mean) * (a - mean)) / width;
    let inverse = T::of(1.0) / (variance + T::of(NORM_FLOOR)).root();
    for value in values {
        *value = (*value - mean) * inverse;
    }
    inverse
}

/// `1 / (1 + e^-z)`
#[inline(always)]
pub fn sigmoid<T: Real>(z: T) -> T {
    T::of(1.0) / (T::of(1.0) + (-z).exponential())
}
