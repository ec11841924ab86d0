//! Exact inner products of task vectors of one base model, tensor by tensor.

use rayon::prelude::*;

use super::{Scratch, change, layout, read};
use crate::embeddings::checkpoint::Checkpoint;
use crate::error::Result;
use crate::threads::Monitor;

/// Inner products `[n_tensors, n_models, n_models]` with the names of the tensors.
#[derive(Debug, Clone, PartialEq)]
pub struct Products {
    /// Row by row, tensor by tensor.
    pub values: Vec<f64>,
    /// Names of the tensors, in order.
    pub tensors: Vec<String>,
}

/// All inner products of the differences of `tuned` from `base`; every model is read once.
pub fn products(base: &Checkpoint, tuned: &[Checkpoint], monitor: &Monitor) -> Result<Products> {
    let models: Vec<&Checkpoint> = std::iter::once(base).chain(tuned).collect();
    let (tensors, stretches) = layout(&models)?;
    let n = tuned.len();
    let mut values = vec![0.0; tensors.len() * n * n];
    for group in stretches.chunks(4 * rayon::current_num_threads()) {
        let start = || (Scratch::default(), vec![Vec::new(); n]);
        let parts: Vec<Vec<f64>> = group
            .par_iter()
            .map_init(start, |(scratch, changes), &stretch| {
                monitor.tick(stretch.len)?;
                let name = &tensors[stretch.tensor].0;
                let mut sums = vec![0.0; n * n];
                for piece in stretch.pieces() {
                    read(base, name, piece, &mut scratch.old, &mut scratch.bytes)?;
                    for (model, values) in tuned.iter().zip(changes.iter_mut()) {
                        change(model, name, piece, scratch, values)?;
                    }
                    add_gram(changes, &mut sums);
                }
                Ok(sums)
            })
            .collect::<Result<_>>()?;
        for (stretch, part) in group.iter().zip(parts) {
            let sums = &mut values[stretch.tensor * n * n..];
            for (sum, value) in sums.iter_mut().zip(part) {
                *sum += value;
            }
        }
    }
    Ok(Products {
        values,
        tensors: tensors.into_iter().map(|(name, _)| name).collect(),
    })
}

fn add_gram(rows: &[Vec<f64>], sums: &mut [f64]) {
    let n = rows.len();
    for left in 0..n {
        for right in 0..=left {
            let product = dot(&rows[left], &rows[right]);
            sums[left * n + right] += product;
            if left != right {
                sums[right * n + left] += product;
            }
        }
    }
}

/// Eight sums side by side, so that additions need not wait for each other; the order is fixed.
fn dot(left: &[f64], right: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (left, left_rest) = left.as_chunks::<8>();
    let (right, right_rest) = right.as_chunks::<8>();
    for (a, b) in left.iter().zip(right) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest = left_rest.iter().zip(right_rest);
    sums.iter().sum::<f64>() + rest.map(|(a, b)| a * b).sum::<f64>()
}
