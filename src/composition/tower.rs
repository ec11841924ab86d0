//! The tower of a task, up and down: ReLU layers from the fused representation to a logit.

use pulp::Arch;

use super::backward::Back;
use super::forward::Scratch;
use super::lanes::{add_scaled, dot, scale_into};
use super::layout::{Layer, Mode};
use super::ready::Ready;
use super::real::Real;
use crate::linalg::{Operand, multiply, multiply_add};

/// From `scratch.fused` to `scratch.logits`.
pub fn climb<T: Real>(head: &Ready<'_, T>, n: usize, scratch: &mut Scratch<T>) {
    let Some((last, hidden)) = head.layout.tower.split_last() else {
        return;
    };
    scratch.layers.resize(hidden.len(), Vec::new());
    for (number, layer) in hidden.iter().enumerate() {
        let (below, above) = scratch.layers.split_at_mut(number);
        let input = below.last().unwrap_or(&scratch.fused);
        above[0].resize(n * layer.outputs, T::default());
        let weights = &head.parameters[layer.weight.clone()];
        let weights = Operand::new(weights, layer.outputs, layer.inputs);
        let input = Operand::new(input, n, layer.inputs);
        multiply(&mut above[0], input, weights.transposed());
        let bias = &head.parameters[layer.bias.clone()];
        Arch::new().dispatch(|| shift_and_cut(&mut above[0], bias));
    }
    scratch.logits.resize(n, T::default());
    let top = scratch.layers.last().unwrap_or(&scratch.fused);
    let logits = &mut scratch.logits;
    Arch::new().dispatch(|| finish(head, last, top, logits));
}

#[inline(always)]
fn shift_and_cut<T: Real>(rows: &mut [T], bias: &[T]) {
    for row in rows.chunks_exact_mut(bias.len()) {
        for (value, &bias) in row.iter_mut().zip(bias) {
            let shifted = *value + bias;
            *value = if shifted > T::default() {
                shifted
            } else {
                T::default()
            };
        }
    }
}

#[inline(always)]
fn finish<T: Real>(head: &Ready<'_, T>, last: &Layer, top: &[T], logits: &mut [T]) {
    let weights = &head.parameters[last.weight.clone()];
    let bias = head.parameters[last.bias.start];
    for (logit, row) in logits.iter_mut().zip(top.chunks_exact(last.inputs)) {
        *logit = dot(row, weights) + bias;
    }
}

/// From the slopes of the logits down to those of the fused representation.
pub fn descend<T: Real>(
    head: &Ready<'_, T>,
    n: usize,
    scratch: &Scratch<T>,
    back: &mut Back<T>,
    gradient: &mut [T],
) {
    let Some((last, hidden)) = head.layout.tower.split_last() else {
        return;
    };
    let reads_gate = head.shape.mode != Mode::Share;
    back.layers.resize(hidden.len(), Vec::new());
    back.fused.resize(n * head.shape.width, T::default());
    for (slopes, layer) in back.layers.iter_mut().zip(hidden) {
        slopes.resize(n * layer.outputs, T::default());
    }
    let top = scratch.layers.last().unwrap_or(&scratch.fused);
    let below = back.layers.last_mut().unwrap_or(&mut back.fused);
    let weights = &head.parameters[last.weight.clone()];
    Arch::new().dispatch(|| {
        for ((&slope, row), below) in back
            .logits
            .iter()
            .zip(top.chunks_exact(last.inputs))
            .zip(below.chunks_exact_mut(last.inputs))
        {
            add_scaled(&mut gradient[last.weight.clone()], slope, row);
            gradient[last.bias.start] += slope;
            scale_into(below, slope, weights);
        }
    });
    for (number, layer) in hidden.iter().enumerate().rev() {
        let (below, above) = back.layers.split_at_mut(number);
        let slopes = &mut above[0];
        let bias = &mut gradient[layer.bias.clone()];
        Arch::new().dispatch(|| mask(slopes, &scratch.layers[number], bias));
        let slopes = Operand::new(slopes, n, layer.outputs);
        let read = number.checked_sub(1).map(|at| &scratch.layers[at]);
        let input = Operand::new(read.unwrap_or(&scratch.fused), n, layer.inputs);
        multiply_add(
            &mut gradient[layer.weight.clone()],
            slopes.transposed(),
            input,
        );
        if number > 0 || reads_gate {
            let weights = &head.parameters[layer.weight.clone()];
            let weights = Operand::new(weights, layer.outputs, layer.inputs);
            let into = below.last_mut().unwrap_or(&mut back.fused);
            multiply(into, slopes, weights);
        }
    }
}

/// Slopes before the activation; their sums over rows are the biases' gradient.
#[inline(always)]
fn mask<T: Real>(slopes: &mut [T], activations: &[T], sums: &mut [T]) {
    let width = sums.len();
    for (slopes, activations) in slopes
        .chunks_exact_mut(width)
        .zip(activations.chunks_exact(width))
    {
        for ((slope, &activation), sum) in slopes.iter_mut().zip(activations).zip(&mut *sums) {
            *slope = if activation > T::default() {
                *slope
            } else {
                T::default()
            };
            *sum += *slope;
        }
    }
}
