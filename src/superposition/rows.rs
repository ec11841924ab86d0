//! Rows of hidden states, and the few sums over them that every geometry test needs.

use crate::error::{Error, Result};

/// A view of rows `[n_rows, dim]`, row-major.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    values: &'a [f64],
    dim: usize,
}

impl<'a> Rows<'a> {
    /// Fails unless `values` is a whole, positive number of rows.
    pub fn new(values: &'a [f64], dim: usize) -> Result<Self> {
        if dim == 0 || values.is_empty() || !values.len().is_multiple_of(dim) {
            return Err(Error::Shape(format!(
                "states: {} numbers are no rows of width {dim}, expected [n_prompts, dim] with at \
                 least one prompt",
                values.len()
            )));
        }
        Ok(Self { values, dim })
    }

    /// Rows.
    pub fn len(self) -> usize {
        self.values.len() / self.dim
    }

    /// A view is never empty.
    pub fn is_empty(self) -> bool {
        false
    }

    /// Width.
    pub fn dim(self) -> usize {
        self.dim
    }

    /// One row.
    pub fn row(self, index: usize) -> &'a [f64] {
        &self.values[index * self.dim..(index + 1) * self.dim]
    }

    /// All rows, in order.
    pub fn iter(self) -> impl Iterator<Item = &'a [f64]> {
        self.values.chunks_exact(self.dim)
    }

    /// Mean of the rows with the given numbers.
    pub fn mean_of(self, indices: impl Iterator<Item = usize>) -> Vec<f64> {
        let mut sum = vec![0.0; self.dim];
        let mut count = 0.0;
        for index in indices {
            add(&mut sum, self.row(index), 1.0);
            count += 1.0;
        }
        sum.iter_mut().for_each(|value| *value /= count);
        sum
    }

    /// Mean of all rows.
    pub fn mean(self) -> Vec<f64> {
        self.mean_of(0..self.len())
    }
}

/// Inner product.
pub fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(l, r)| l * r).sum()
}

/// `into += scale * from`.
pub fn add(into: &mut [f64], from: &[f64], scale: f64) {
    into.iter_mut()
        .zip(from)
        .for_each(|(sum, value)| *sum += scale * value);
}

/// `left - right`.
pub fn difference(left: &[f64], right: &[f64]) -> Vec<f64> {
    left.iter().zip(right).map(|(l, r)| l - r).collect()
}

/// Sine of the angle between two vectors through the rejection, which keeps small angles exact;
/// NaN if one of them is zero.
pub fn sine(vector: &[f64], direction: &[f64]) -> f64 {
    let length = dot(direction, direction);
    let mut rejection = vector.to_vec();
    add(&mut rejection, direction, -dot(vector, direction) / length);
    let part = (dot(&rejection, &rejection) / dot(vector, vector)).sqrt();
    if part > 1.0 { 1.0 } else { part }
}
