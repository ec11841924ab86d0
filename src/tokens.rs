//! Ragged token matrices: one packed buffer plus offsets, never padded.
//!
//! ```text
//! buffer   [n_total_tokens, dim]   t0 t0 t0 | t1 | t2 t2 ...
//! offsets  [n_tasks + 1]           0          3    4       ...
//! ```

use half::{bf16, f16};

use crate::element::Element;
use crate::error::{Error, Result};

/// Borrowed ragged tokens of any stored type: task `i` owns rows `offsets[i]..offsets[i + 1]`.
#[derive(Debug, Clone, Copy)]
pub struct Ragged<'a, E> {
    buffer: &'a [E],
    offsets: &'a [usize],
    dim: usize,
}

impl<'a, E: Element> Ragged<'a, E> {
    /// Checks that offsets start at 0, grow, leave no task empty and end at the buffer's last row.
    pub fn new(buffer: &'a [E], offsets: &'a [usize], dim: usize) -> Result<Self> {
        if dim == 0 {
            return Err(Error::Shape(
                "tokens have width 0, expected dim >= 1".into(),
            ));
        }
        if offsets.first() != Some(&0) {
            return Err(Error::Shape("offsets must start at 0".into()));
        }
        if let Some(task) = offsets.windows(2).position(|pair| pair[1] <= pair[0]) {
            return Err(Error::Shape(format!(
                "task number {task} is empty, expected at least one token"
            )));
        }
        let rows = offsets[offsets.len() - 1];
        if rows.checked_mul(dim) != Some(buffer.len()) {
            return Err(Error::Shape(format!(
                "buffer holds {} numbers, expected {rows} rows of {dim}",
                buffer.len()
            )));
        }
        Ok(Self {
            buffer,
            offsets,
            dim,
        })
    }

    /// Number of tasks.
    pub fn n_tasks(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Width of every token.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Row bounds of every task.
    pub fn offsets(&self) -> &'a [usize] {
        self.offsets
    }

    /// All rows, task after task.
    pub fn buffer(&self) -> &'a [E] {
        self.buffer
    }

    /// First value that is NaN or infinite, as (task, row within the task, column).
    pub fn first_nonfinite(&self) -> Option<(usize, usize, usize)> {
        let at = self
            .buffer
            .iter()
            .position(|value| !value.widen().is_finite())?;
        let (row, column) = (at / self.dim, at % self.dim);
        let task = self.offsets.partition_point(|&start| start <= row) - 1;
        Some((task, row - self.offsets[task], column))
    }

    fn widen_rows(&self, rows: std::ops::Range<usize>) -> Vec<f64> {
        let values = &self.buffer[rows.start * self.dim..rows.end * self.dim];
        values.iter().map(|value| value.widen()).collect()
    }

    /// The same tokens as `f64`, exactly.
    pub fn widen(&self) -> Tokens {
        Tokens {
            buffer: self.buffer.iter().map(|value| value.widen()).collect(),
            offsets: self.offsets.to_vec(),
            dim: self.dim,
        }
    }
}

/// Ragged tokens in whichever type they are stored.
#[derive(Debug, Clone, Copy)]
pub enum Stored<'a> {
    /// float16
    F16(Ragged<'a, f16>),
    /// bfloat16
    Bf16(Ragged<'a, bf16>),
    /// float32
    F32(Ragged<'a, f32>),
    /// float64
    F64(Ragged<'a, f64>),
}

// The same call, whatever is stored.
macro_rules! whichever {
    ($stored:expr, $ragged:ident => $call:expr) => {
        match $stored {
            Stored::F16($ragged) => $call,
            Stored::Bf16($ragged) => $call,
            Stored::F32($ragged) => $call,
            Stored::F64($ragged) => $call,
        }
    };
}

impl<'a> Stored<'a> {
    /// Number of tasks.
    pub fn n_tasks(&self) -> usize {
        self.offsets().len() - 1
    }

    /// Number of rows of all tasks together.
    pub fn n_rows(&self) -> usize {
        self.offsets().last().copied().unwrap_or(0)
    }

    /// Row bounds of every task.
    pub fn offsets(&self) -> &'a [usize] {
        whichever!(self, ragged => ragged.offsets())
    }

    /// Width of every token.
    pub fn dim(&self) -> usize {
        whichever!(self, ragged => ragged.dim())
    }

    /// Rows `rows` as `f64`, exactly.
    pub fn widen_rows(&self, rows: std::ops::Range<usize>) -> Vec<f64> {
        whichever!(self, ragged => ragged.widen_rows(rows))
    }

    /// Number `at` of all numbers, as `f64`, exactly.
    pub fn value(&self, at: usize) -> f64 {
        whichever!(self, ragged => ragged.buffer[at].widen())
    }

    /// Task `index` by itself, as `f64`, exactly.
    pub fn alone(&self, index: usize) -> Tokens {
        let rows = self.offsets()[index]..self.offsets()[index + 1];
        Tokens {
            offsets: vec![0, rows.len()],
            dim: self.dim(),
            buffer: self.widen_rows(rows),
        }
    }

    /// The same tokens as `f64`, exactly.
    pub fn widen(&self) -> Tokens {
        whichever!(self, ragged => ragged.widen())
    }

    /// First value that is NaN or infinite, as (task, row within the task, column).
    pub fn first_nonfinite(&self) -> Option<(usize, usize, usize)> {
        whichever!(self, ragged => ragged.first_nonfinite())
    }
}

/// Owned ragged tokens in `f64`, the form every kernel computes on.
#[derive(Debug, Clone, PartialEq)]
pub struct Tokens {
    /// All rows, task after task.
    pub buffer: Vec<f64>,
    /// Row bounds of every task, `n_tasks + 1` of them.
    pub offsets: Vec<usize>,
    /// Width of every token.
    pub dim: usize,
}

impl Tokens {
    /// The same tokens as if they were stored so.
    pub fn stored(&self) -> Stored<'_> {
        Stored::F64(Ragged {
            buffer: &self.buffer,
            offsets: &self.offsets,
            dim: self.dim,
        })
    }

    /// Number of tasks.
    pub fn n_tasks(&self) -> usize {
        self.offsets.len() - 1
    }

    /// The token matrix of task `index`.
    pub fn task(&self, index: usize) -> TokenMatrix<'_> {
        let (start, end) = (self.offsets[index], self.offsets[index + 1]);
        TokenMatrix {
            values: &self.buffer[start * self.dim..end * self.dim],
            dim: self.dim,
        }
    }
}

/// One task's tokens, row-major `[n_tokens, dim]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenMatrix<'a> {
    values: &'a [f64],
    dim: usize,
}

impl<'a> TokenMatrix<'a> {
    /// Views `values` as rows of width `dim`; the length must be a multiple of a positive `dim`.
    pub fn new(values: &'a [f64], dim: usize) -> Result<Self> {
        if dim == 0 || !values.len().is_multiple_of(dim) {
            return Err(Error::Shape(format!(
                "{} numbers cannot form rows of width {dim}",
                values.len()
            )));
        }
        Ok(Self { values, dim })
    }

    /// Number of tokens.
    pub fn n_tokens(&self) -> usize {
        self.values.len() / self.dim
    }

    /// Width of a token.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// All numbers, row after row.
    pub fn values(&self) -> &'a [f64] {
        self.values
    }

    /// Token number `index`.
    pub fn row(&self, index: usize) -> &'a [f64] {
        &self.values[index * self.dim..(index + 1) * self.dim]
    }

    /// Tokens in order.
    pub fn rows(&self) -> std::slice::ChunksExact<'a, f64> {
        self.values.chunks_exact(self.dim)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_of_different_length_share_one_buffer() {
        let buffer = [1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0];
        let ragged = Ragged::new(&buffer, &[0, 1, 3], 2).unwrap();
        let tokens = ragged.widen();
        assert_eq!(tokens.task(0).values(), [1.0, 2.0]);
        assert_eq!(tokens.task(1).n_tokens(), 2);
        assert_eq!(tokens.task(1).row(1), [5.0, 6.0]);
    }

    #[test]
    fn empty_tasks_and_wrong_sizes_are_refused() {
        let buffer = [0.0f64; 4];
        assert!(matches!(
            Ragged::new(&buffer, &[0, 0, 2], 2),
            Err(Error::Shape(_))
        ));
        assert!(matches!(
            Ragged::new(&buffer, &[0, 3], 2),
            Err(Error::Shape(_))
        ));
        assert!(matches!(
            Ragged::new(&buffer, &[1, 2], 2),
            Err(Error::Shape(_))
        ));
        assert!(matches!(Ragged::new(&buffer, &[], 2), Err(Error::Shape(_))));
        assert!(matches!(
            Ragged::new(&buffer, &[0, 2], 0),
            Err(Error::Shape(_))
        ));
    }

    #[test]
    fn the_first_bad_value_is_named_by_task_row_and_column() {
        let buffer = [0.0f32, 1.0, 2.0, 3.0, 4.0, f32::NAN];
        let ragged = Ragged::new(&buffer, &[0, 1, 3], 2).unwrap();
        assert_eq!(ragged.first_nonfinite(), Some((1, 1, 1)));
    }
}
