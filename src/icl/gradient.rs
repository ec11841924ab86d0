//! Forward and backward pass of the raw layer on one sequence, the query integrated out.
//!
//! The prediction is linear in the query, `f = x' a` with
//! `a = [W_q W_k' C W_v h]` (first dim rows) and `C = p p' + sum_i z_i z_i'`, so the loss of a
//! sequence is `(beta - a)' Sx (beta - a) + s2` and its gradient needs no drawn query.

use super::sequences::dot;

/// Raw parameters of the layer, row-major; also used for their gradient.
#[derive(Debug, Clone, PartialEq)]
pub struct RawLayer {
    /// `dim + 1`
    pub width: usize,
    /// `[width, width]`
    pub query: Vec<f64>,
    /// `[width, width]`
    pub key: Vec<f64>,
    /// `[width, width]`
    pub value: Vec<f64>,
    /// `[n_tasks, width]`
    pub prompts: Vec<f64>,
    /// `[n_tasks, width]`
    pub heads: Vec<f64>,
}

impl RawLayer {
    /// All zero.
    pub fn zeros(width: usize, n_tasks: usize) -> Self {
        Self {
            width,
            query: vec![0.0; width * width],
            key: vec![0.0; width * width],
            value: vec![0.0; width * width],
            prompts: vec![0.0; n_tasks * width],
            heads: vec![0.0; n_tasks * width],
        }
    }

    /// The five groups, in a fixed order.
    pub fn groups(&self) -> [&[f64]; 5] {
        [
            &self.query,
            &self.key,
            &self.value,
            &self.prompts,
            &self.heads,
        ]
    }

    /// The five groups, in the same order, to be changed.
    pub fn groups_mut(&mut self) -> [&mut [f64]; 5] {
        [
            &mut self.query,
            &mut self.key,
            &mut self.value,
            &mut self.prompts,
            &mut self.heads,
        ]
    }

    /// Adds another layer's numbers.
    pub fn add(&mut self, other: &Self) {
        for (own, more) in self.groups_mut().into_iter().zip(other.groups()) {
            for (sum, value) in own.iter_mut().zip(more) {
                *sum += value;
            }
        }
    }
}

/// One sequence: tokens `[n_examples, width]` with the label last, its task vector, and its task.
#[derive(Debug, Clone, Copy)]
pub struct Example<'a> {
    /// Examples `[n_examples, width]`.
    pub tokens: &'a [f64],
    /// True task vector `[dim]`.
    pub vector: &'a [f64],
    /// Input covariance `[dim, dim]`.
    pub input: &'a [f64],
    /// Which prompt and head.
    pub task: usize,
}

/// Loss of one sequence without the query's noise; adds `weight` times its gradient.
pub fn accumulate(
    layer: &RawLayer,
    example: Example<'_>,
    weight: f64,
    gradient: &mut RawLayer,
) -> f64 {
    let width = layer.width;
    let dim = width - 1;
    let row = example.task * width..(example.task + 1) * width;
    let (prompt, head) = (&layer.prompts[row.clone()], &layer.heads[row.clone()]);
    let read = times(&layer.value, head, width);
    let context = gram_times(example.tokens, prompt, &read, width);
    let keyed = transposed_times(&layer.key, &context, width);
    let answer = times(&layer.query, &keyed, width);
    let missed: Vec<f64> = (0..dim)
        .map(|index| example.vector[index] - answer[index])
        .collect();
    let weighted = times(example.input, &missed, dim);
    let loss = dot(&missed, &weighted);

    let mut d_answer: Vec<f64> = weighted.iter().map(|value| -2.0 * weight * value).collect();
    d_answer.push(0.0);
    add_outer(&mut gradient.query, &d_answer, &keyed);
    let d_keyed = transposed_times(&layer.query, &d_answer, width);
    add_outer(&mut gradient.key, &context, &d_keyed);
    let d_context = times(&layer.key, &d_keyed, width);
    let d_read = gram_times(example.tokens, prompt, &d_context, width);
    add_outer(&mut gradient.value, &d_read, head);
    let d_head = transposed_times(&layer.value, &d_read, width);
    let (along_read, along_context) = (dot(&read, prompt), dot(&d_context, prompt));
    for index in 0..width {
        gradient.heads[row.start + index] += d_head[index];
        gradient.prompts[row.start + index] +=
            along_read * d_context[index] + along_context * read[index];
    }
    loss
}

/// `C vector`, without forming C.
fn gram_times(tokens: &[f64], prompt: &[f64], vector: &[f64], width: usize) -> Vec<f64> {
    let along = dot(prompt, vector);
    let mut sum: Vec<f64> = prompt.iter().map(|value| along * value).collect();
    for token in tokens.chunks_exact(width) {
        let along = dot(token, vector);
        for (total, value) in sum.iter_mut().zip(token) {
            *total += along * value;
        }
    }
    sum
}

fn times(matrix: &[f64], vector: &[f64], width: usize) -> Vec<f64> {
    matrix
        .chunks_exact(width)
        .map(|row| dot(row, vector))
        .collect()
}

fn transposed_times(matrix: &[f64], vector: &[f64], width: usize) -> Vec<f64> {
    let mut sum = vec![0.0; width];
    for (row, factor) in matrix.chunks_exact(width).zip(vector) {
        for (total, value) in sum.iter_mut().zip(row) {
            *total += factor * value;
        }
    }
    sum
}

fn add_outer(matrix: &mut [f64], left: &[f64], right: &[f64]) {
    for (row, factor) in matrix.chunks_exact_mut(right.len()).zip(left) {
        for (total, value) in row.iter_mut().zip(right) {
            *total += factor * value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{fill_normal, stream};

    #[test]
    fn the_gradient_is_the_slope_of_the_loss() {
        let (width, n_tasks) = (4, 2);
        let mut generator = stream(1, 0);
        let mut layer = RawLayer::zeros(width, n_tasks);
        for group in layer.groups_mut() {
            fill_normal(&mut generator, group);
        }
        let mut tokens = vec![0.0; 5 * width];
        let mut vector = vec![0.0; width - 1];
        fill_normal(&mut generator, &mut tokens);
        fill_normal(&mut generator, &mut vector);
        let input = [2.0, 0.5, 0.0, 0.5, 1.0, 0.2, 0.0, 0.2, 0.5];
        let example = Example {
            tokens: &tokens,
            vector: &vector,
            input: &input,
            task: 1,
        };
        let mut gradient = RawLayer::zeros(width, n_tasks);
        accumulate(&layer, example, 1.0, &mut gradient);
        let mut unused = RawLayer::zeros(width, n_tasks);
        for group in 0..5 {
            for index in 0..layer.groups()[group].len() {
                // Central differences miss the slope by the cubic term, here below 1e-5 of it.
                let step = 1e-5;
                let mut loss = [0.0; 2];
                for (side, sign) in [(0, 1.0), (1, -1.0)] {
                    let mut moved = layer.clone();
                    moved.groups_mut()[group][index] += sign * step;
                    loss[side] = accumulate(&moved, example, 1.0, &mut unused);
                }
                let slope = (loss[0] - loss[1]) / (2.0 * step);
                let found = gradient.groups()[group][index];
                assert!((slope - found).abs() <= 1e-5 * (1.0 + slope.abs()) + 1e-11 * loss[0]);
            }
        }
    }
}
