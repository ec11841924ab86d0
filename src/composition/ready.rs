//! A head between two changes of its parameters: what every row needs, worked out once.

use super::lanes::{dot, sum};
use super::layout::{Layout, Mode, Shape};
use super::real::Real;
use crate::error::{Error, Result};

/// A head that stands still.
#[derive(Debug)]
pub struct Ready<'a, T> {
    /// Sizes.
    pub shape: &'a Shape,
    /// Places of the tensors.
    pub layout: &'a Layout,
    /// All parameters.
    pub parameters: &'a [T],
    /// Prompts of the sources `[n_sources, width]`.
    pub keys: &'a [T],
    /// Weight of a source is `softmax(score * sharpness)`.
    pub sharpness: T,
    /// `norm_scale * key / tau [n_sources, width]`
    pub scaled_keys: Vec<T>,
    /// Mean of each row of `scaled_keys`.
    pub scaled_means: Vec<T>,
    /// `norm_shift . key / tau [n_sources]`
    pub offsets: Vec<T>,
    /// `gate[0] - gate[1] [dim]`
    pub gate_difference: Vec<T>,
    /// Weights that do not depend on the row `[n_sources]`; empty in mode prompt.
    pub weights: Vec<T>,
}

impl<'a, T: Real> Ready<'a, T> {
    /// Works out what the rows share.
    pub fn new(
        shape: &'a Shape,
        layout: &'a Layout,
        parameters: &'a [T],
        keys: &'a [T],
        tau: f64,
    ) -> Result<Self> {
        if parameters.len() != layout.len || keys.len() != shape.n_sources * shape.width {
            return Err(Error::Shape(format!(
                "a head of {} parameters and {} numbers in its keys, expected {} and {}",
                parameters.len(),
                keys.len(),
                layout.len,
                shape.n_sources * shape.width
            )));
        }
        // 1 / infinity is zero: every source weighs the same.
        let sharpness = T::of(1.0 / tau);
        let mut ready = Self {
            shape,
            layout,
            parameters,
            keys,
            sharpness,
            scaled_keys: Vec::new(),
            scaled_means: Vec::new(),
            offsets: Vec::new(),
            gate_difference: Vec::new(),
            weights: Vec::new(),
        };
        let (specific, shared) = parameters[layout.gate.clone()].split_at(layout.gate.len() / 2);
        let pairs = specific.iter().zip(shared);
        ready.gate_difference = pairs.map(|(&a, &b)| a - b).collect();
        match shape.mode {
            Mode::Prompt => ready.scale_keys(),
            Mode::Fixed => {
                let equal = T::of(1.0 / shape.n_sources as f64);
                ready.weights = vec![equal; shape.n_sources];
            }
            Mode::Task => {
                let prompt = &parameters[layout.prompt.clone()];
                let keys = keys.chunks_exact(shape.width);
                ready.weights = keys.map(|key| dot(prompt, key) * sharpness).collect();
                softmax(&mut ready.weights);
            }
            Mode::Share => {}
        }
        Ok(ready)
    }

    fn scale_keys(&mut self) {
        let scale = &self.parameters[self.layout.norm_scale.clone()];
        let shift = &self.parameters[self.layout.norm_shift.clone()];
        for key in self.keys.chunks_exact(self.shape.width) {
            let scaled = key.iter().zip(scale);
            let scaled: Vec<T> = scaled.map(|(&e, &g)| e * g * self.sharpness).collect();
            let width = T::of(self.shape.width as f64);
            self.scaled_means.push(sum(&scaled) / width);
            self.offsets.push(dot(shift, key) * self.sharpness);
            self.scaled_keys.extend(scaled);
        }
    }
}

/// Turns scores into weights of sum one, the largest score taken out first.
#[inline(always)]
pub fn softmax<T: Real>(scores: &mut [T]) {
    let first = scores.first().copied().unwrap_or_default();
    let most = scores.iter().fold(first, |a, &b| if b > a { b } else { a });
    let mut total = T::default();
    for score in scores.iter_mut() {
        *score = (*score - most).exponential();
        total += *score;
    }
    for score in scores {
        *score /= total;
    }
}
