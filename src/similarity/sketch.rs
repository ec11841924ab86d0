//! Random projections of tasks: short vectors whose inner products estimate those of whole tasks,
//! for an index of vectors to propose candidates from.
//!
//! Formula     s(x) = R x / sqrt(m), R [m, d] of independent standard normal numbers
//! Shapes      a task's vector x [d] -> m features
//! Range       E s(x).s(y) = x.y, Var s(x).s(y) = (|x|^2 |y|^2 + (x.y)^2) / m
//! Promises    a column of R depends on seed and coordinate alone; order-free over tasks
//! Zero rows   as in the kernel; a zero task has a zero sketch
//! NaN         refused before
//! Precision   R in f32, products and sums in f64, features rounded to f32
//! Cost        m d multiplications a task, 4 m d bytes for R
//!
//! Source: Johnson and Lindenstrauss 1984; the variance is that of a product of normal numbers.

use rayon::prelude::*;

use super::centre::Frame;
use super::prepare::{Normalize, prepare};
use crate::error::{Error, Result};
use crate::linalg::mean_row;
use crate::random::{fill_normal, stream};
use crate::threads::Monitor;
use crate::tokens::Tokens;

/// Which vector of a task is projected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vector {
    /// The mean token: inner products are `mean_pairwise`.
    Mean,
    /// The mean token over its norm: inner products are `feature_mean`.
    MeanDirection,
    /// All tokens as one vector over its norm: inner products are `flatten`.
    WholeDirection,
}

impl Vector {
    /// The vector whose inner products are the kernel called `name`.
    pub fn of_kernel(name: &str) -> Result<Self> {
        match name {
            "mean_pairwise" => Ok(Self::Mean),
            "feature_mean" => Ok(Self::MeanDirection),
            "flatten" => Ok(Self::WholeDirection),
            _ => Err(Error::UnknownName(format!(
                "kernel '{name}' is no inner product of one vector a task; sketches estimate \
                 mean_pairwise, feature_mean and flatten"
            ))),
        }
    }

    fn take(self, values: &[f64], dim: usize) -> Vec<f64> {
        let mut vector = match self {
            Self::WholeDirection => values.to_vec(),
            _ => mean_row(values, dim),
        };
        if self != Self::Mean {
            let norm = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
            if norm > 0.0 {
                vector.iter_mut().for_each(|value| *value /= norm);
            }
        }
        vector
    }
}

/// Features `[n_tasks, n_features]` of all tasks, in the frame and normalisation of a kernel.
pub fn sketch(
    tokens: &Tokens,
    (frame, normalize): (&Frame, Normalize),
    vector: Vector,
    (n_features, seed): (usize, u64),
    monitor: &Monitor,
) -> Result<Vec<f32>> {
    frame.check(&tokens.offsets)?;
    let longest = (0..tokens.n_tasks()).map(|task| tokens.task(task).n_tokens());
    let width = match vector {
        Vector::WholeDirection => longest.max().unwrap_or(0) * tokens.dim,
        _ => tokens.dim,
    };
    let columns = columns(seed, width, n_features);
    let tasks = (0..tokens.n_tasks()).into_par_iter().map(|task| {
        monitor.tick(1)?;
        let prepared = prepare(tokens.task(task), frame, normalize);
        let taken = prepared.map_or(Vec::new(), |values| vector.take(&values, tokens.dim));
        Ok(projected(&taken, &columns, n_features))
    });
    Ok(tasks.collect::<Result<Vec<_>>>()?.concat())
}

/// `width` columns of `n_features` normal numbers, each a stream of its own.
pub fn columns(seed: u64, width: usize, n_features: usize) -> Vec<f32> {
    let column = |index: usize| {
        let mut values = vec![0.0; n_features];
        fill_normal(&mut stream(seed, index as u64), &mut values);
        values.into_iter().map(|value| value as f32)
    };
    let all: Vec<Vec<f32>> = (0..width)
        .into_par_iter()
        .map(|index| column(index).collect())
        .collect();
    all.concat()
}

/// Sums of `vector` times the columns, over sqrt(n_features).
fn projected(vector: &[f64], columns: &[f32], n_features: usize) -> Vec<f32> {
    let mut sums = vec![0.0f64; n_features];
    for (value, column) in vector.iter().zip(columns.chunks_exact(n_features)) {
        for (sum, &number) in sums.iter_mut().zip(column) {
            *sum += value * f64::from(number);
        }
    }
    let scale = 1.0 / (n_features as f64).sqrt();
    sums.iter().map(|sum| (sum * scale) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_depends_on_seed_and_coordinate_alone() {
        let (few, many) = (columns(7, 2, 8), columns(7, 5, 8));
        assert_eq!(few[..], many[..16]);
        assert_ne!(columns(8, 2, 8), few);
    }

    #[test]
    fn inner_products_are_unbiased_with_the_stated_variance() {
        let (x, y) = ([3.0, -1.0, 0.5], [1.0, 2.0, -4.0]);
        let (truth, n_features) = (-1.0, 4);
        let (xx, yy) = (10.25f64, 21.0f64);
        let estimates: Vec<f64> = (0..4000)
            .map(|seed| {
                let columns = columns(seed, 3, n_features);
                let (a, b) = (
                    projected(&x, &columns, n_features),
                    projected(&y, &columns, n_features),
                );
                a.iter().zip(&b).map(|(a, b)| f64::from(a * b)).sum()
            })
            .collect();
        let n = estimates.len() as f64;
        let mean = estimates.iter().sum::<f64>() / n;
        let variance = estimates.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / n;
        let expected = (xx * yy + truth * truth) / n_features as f64;
        // Five standard errors of the mean; the variance of a variance is about 8 of its squares.
        assert!((mean - truth).abs() < 5.0 * (expected / n).sqrt(), "{mean}");
        assert!(
            (variance / expected - 1.0).abs() < 5.0 * (8.0 / n).sqrt(),
            "{variance}"
        );
    }

    #[test]
    fn kernels_without_one_vector_are_refused() {
        assert!(Vector::of_kernel("max_pairwise").is_err());
        assert_eq!(
            Vector::of_kernel("flatten").unwrap(),
            Vector::WholeDirection
        );
    }
}
