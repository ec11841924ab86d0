//! How one task's sequences are drawn, in whitened coordinates.
//!
//! With `Sx = L L'` and `x = L g`, a label is `y = g'(L'beta) + noise`, so the inputs are never
//! multiplied by L: the loss of the integrated query is `|L'(beta - b) - B s|^2` with
//! `s = G'(y - G L'v)` and `B = L' c W L`.

use faer::{Col, Mat, Scale};
use rand::Rng;

use super::matrices::{cholesky, root, to_rows, to_vec};
use super::mixture::Mixture;
use super::predictor::Predictor;
use crate::error::Result;
use crate::random::fill_normal;

/// Everything one task's sequences need, whitened; matrices are row-major.
#[derive(Debug, Clone)]
pub struct Sampler {
    /// Width of an input.
    pub dim: usize,
    /// Length of the context.
    pub n_examples: usize,
    /// `L' mu`
    pub mean: Vec<f64>,
    /// `L' S^(1/2)`
    pub spread: Vec<f64>,
    /// `L' v`
    pub shift: Vec<f64>,
    /// `L' b`
    pub bias: Vec<f64>,
    /// `B = c L' W L`
    pub gain: Vec<f64>,
    /// Standard deviation of the label noise.
    pub noise: f64,
}

impl Sampler {
    /// Prepares `task` under the prompt and head of the same task.
    pub fn new(
        mixture: &Mixture,
        predictor: &Predictor,
        task: usize,
        n_examples: usize,
    ) -> Result<Self> {
        let lower = cholesky(mixture.input(task))?;
        let white = |column: &Col<f64>| to_vec((lower.transpose() * column).as_ref());
        let gain: Mat<f64> = Scale(predictor.scales[task])
            * (lower.transpose() * &predictor.preconditioner * &lower);
        Ok(Self {
            dim: mixture.dim(),
            n_examples,
            mean: white(mixture.mean(task)),
            spread: to_rows((lower.transpose() * root(mixture.covariance(task))?).as_ref()),
            shift: white(&predictor.shifts[task]),
            bias: white(&predictor.biases[task]),
            gain: to_rows(gain.as_ref()),
            noise: mixture.noise(task).sqrt(),
        })
    }
}

/// Memory one thread reuses from sequence to sequence.
#[derive(Debug, Clone)]
pub struct Scratch {
    inputs: Vec<f64>,
    labels: Vec<f64>,
    label_noise: Vec<f64>,
    pub(super) deviation: Vec<f64>,
    pub(super) vector: Vec<f64>,
    pub(super) gradient: Vec<f64>,
    pub(super) factor: Vec<f64>,
    start: Vec<f64>,
}

impl Scratch {
    /// Sizes the memory for one sampler.
    pub fn new(sampler: &Sampler) -> Self {
        let (dim, n) = (sampler.dim, sampler.n_examples);
        Self {
            inputs: vec![0.0; n * dim],
            labels: vec![0.0; n],
            label_noise: vec![0.0; n],
            deviation: vec![0.0; dim],
            vector: vec![0.0; dim],
            gradient: vec![0.0; dim],
            factor: vec![0.0; dim * dim],
            start: vec![0.0; dim],
        }
    }
}

/// Draws a whole sequence; `signs` gives every use of it the sign of its task deviation and
/// label noise: `[1]` for one loss, `[1, -1]` for an antithetic pair. Returns the average loss.
pub fn drawn_loss(
    sampler: &Sampler,
    signs: &[f64],
    generator: &mut impl Rng,
    scratch: &mut Scratch,
) -> f64 {
    fill_normal(generator, &mut scratch.deviation);
    fill_normal(generator, &mut scratch.inputs);
    fill_normal(generator, &mut scratch.label_noise);
    let dim = sampler.dim;
    let mut total = 0.0;
    for &sign in signs {
        for row in 0..dim {
            let spread = &sampler.spread[row * dim..(row + 1) * dim];
            scratch.vector[row] = sampler.mean[row] + sign * dot(spread, &scratch.deviation);
            scratch.start[row] = scratch.vector[row] - sampler.shift[row];
        }
        // Inputs lie column after column, so that both passes run along the examples.
        let (noise, n) = (sign * sampler.noise, sampler.n_examples);
        for (label, draw) in scratch.labels.iter_mut().zip(&scratch.label_noise) {
            *label = noise * draw;
        }
        for (column, start) in scratch.start.iter().enumerate() {
            let inputs = &scratch.inputs[column * n..(column + 1) * n];
            for (label, input) in scratch.labels.iter_mut().zip(inputs) {
                *label += start * input;
            }
        }
        for (column, sum) in scratch.gradient.iter_mut().enumerate() {
            *sum = dot(
                &scratch.inputs[column * n..(column + 1) * n],
                &scratch.labels,
            );
        }
        for row in 0..dim {
            let step = dot(&sampler.gain[row * dim..(row + 1) * dim], &scratch.gradient);
            let missed = scratch.vector[row] - sampler.bias[row] - step;
            total += missed * missed;
        }
    }
    total / signs.len() as f64
}

/// Inner product with four partial sums, which the compiler keeps in vector registers.
pub fn dot(left: &[f64], right: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    let (left_blocks, right_blocks) = (left.chunks_exact(4), right.chunks_exact(4));
    let tail: f64 = left_blocks
        .remainder()
        .iter()
        .zip(right_blocks.remainder())
        .map(|(a, b)| a * b)
        .sum();
    for (a, b) in left_blocks.zip(right_blocks) {
        for lane in 0..4 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + tail
}
