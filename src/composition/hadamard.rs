//! A task's prompt as a shared prompt times a low-rank matrix, number by number.
//!
//! ```text
//! P_t = P* o (U_t V_t)      P* [L, d]   U [L, R]   V [R, d]      (arXiv 2303.02861, equation 2)
//! <P*o(U1 V1), P*o(U2 V2)> = sum_ab (U1_a o U2_b)' (P* o P*) (V1_a o V2_b)
//! ```
//!
//! Without P*, the inner product is `sum_ab (U1_a . U2_b) (V1_a . V2_b)`: no matrix is formed.

use crate::error::{Error, Result};
use crate::linalg::dot;

/// Factors of one task: `columns [n_tokens, n_ranks]`, `rows [n_ranks, dim]`.
#[derive(Debug, Clone, Copy)]
pub struct Factors<'a> {
    columns: &'a [f64],
    rows: &'a [f64],
    n_ranks: usize,
}

impl<'a> Factors<'a> {
    /// Factors of `n_ranks` columns and rows.
    pub fn new(columns: &'a [f64], rows: &'a [f64], n_ranks: usize) -> Result<Self> {
        let is_whole = n_ranks > 0
            && columns.len().is_multiple_of(n_ranks)
            && rows.len().is_multiple_of(n_ranks);
        if !is_whole || columns.is_empty() || rows.is_empty() {
            return Err(Error::Shape(format!(
                "factors of {} and {} numbers do not have {n_ranks} ranks",
                columns.len(),
                rows.len()
            )));
        }
        Ok(Self {
            columns,
            rows,
            n_ranks,
        })
    }

    fn n_tokens(&self) -> usize {
        self.columns.len() / self.n_ranks
    }

    fn dim(&self) -> usize {
        self.rows.len() / self.n_ranks
    }

    fn column(&self, rank: usize) -> Vec<f64> {
        let rest = self.columns.iter().skip(rank);
        rest.step_by(self.n_ranks).copied().collect()
    }

    fn row(&self, rank: usize) -> &'a [f64] {
        &self.rows[rank * self.dim()..][..self.dim()]
    }

    /// `shared o (U V)`, `shared [n_tokens, dim]`.
    pub fn prompt(&self, shared: &[f64]) -> Result<Vec<f64>> {
        let (n_tokens, dim) = (self.n_tokens(), self.dim());
        check(shared.len(), n_tokens, dim)?;
        let mut prompt = Vec::with_capacity(shared.len());
        let tokens = shared
            .chunks_exact(dim)
            .zip(self.columns.chunks_exact(self.n_ranks));
        for (shared, columns) in tokens {
            for (at, &value) in shared.iter().enumerate() {
                let ranks = columns.iter().enumerate();
                let factor: f64 = ranks.map(|(rank, &u)| u * self.rows[rank * dim + at]).sum();
                prompt.push(value * factor);
            }
        }
        Ok(prompt)
    }

    /// Inner product with another task's prompt; None stands for a shared prompt of ones.
    pub fn inner(&self, other: &Self, shared: Option<&[f64]>) -> Result<f64> {
        let (n_tokens, dim) = (self.n_tokens(), self.dim());
        if (other.n_tokens(), other.dim()) != (n_tokens, dim) {
            return Err(Error::Shape(format!(
                "factors of [{n_tokens}, {dim}] and [{}, {}] do not meet",
                other.n_tokens(),
                other.dim()
            )));
        }
        if let Some(shared) = shared {
            check(shared.len(), n_tokens, dim)?;
        }
        let mut total = 0.0;
        for a in 0..self.n_ranks {
            for b in 0..other.n_ranks {
                let columns = (self.column(a), other.column(b));
                let rows = (self.row(a), other.row(b));
                total += match shared {
                    None => dot(&columns.0, &columns.1) * dot(rows.0, rows.1),
                    Some(shared) => weighted(shared, (&columns.0, &columns.1), rows),
                };
            }
        }
        Ok(total)
    }
}

fn check(len: usize, n_tokens: usize, dim: usize) -> Result<()> {
    if len == n_tokens * dim {
        return Ok(());
    }
    Err(Error::Shape(format!(
        "the shared prompt holds {len} numbers, expected [{n_tokens}, {dim}] as its factors"
    )))
}

fn weighted(shared: &[f64], columns: (&[f64], &[f64]), rows: (&[f64], &[f64])) -> f64 {
    let tokens = columns.0.iter().zip(columns.1);
    let tokens = tokens.zip(shared.chunks_exact(rows.0.len()));
    let along = tokens.map(|((u, w), shared)| {
        let products = shared.iter().zip(rows.0.iter().zip(rows.1));
        u * w * products.map(|(p, (v, z))| p * p * v * z).sum::<f64>()
    });
    along.sum()
}

/// The same prompt with `|u| = sqrt(n_tokens)` and the first number of `u` that is not zero
/// positive, rank by rank; a rank whose column or row is zero becomes zero.
pub fn canonical(columns: &[f64], rows: &[f64], n_ranks: usize) -> Result<(Vec<f64>, Vec<f64>)> {
    let factors = Factors::new(columns, rows, n_ranks)?;
    let length = (factors.n_tokens() as f64).sqrt();
    let (mut left, mut right) = (vec![0.0; columns.len()], vec![0.0; rows.len()]);
    let dim = factors.dim();
    for rank in 0..n_ranks {
        let (column, row) = (factors.column(rank), factors.row(rank));
        let first = column.iter().find(|&&value| value != 0.0);
        let norm = dot(&column, &column).sqrt();
        let Some(first) = first.filter(|_| norm > 0.0 && row.iter().any(|&v| v != 0.0)) else {
            continue;
        };
        let scale = first.signum() * norm / length;
        for (token, value) in column.iter().enumerate() {
            left[token * n_ranks + rank] = value / scale;
        }
        for (out, value) in right[rank * dim..][..dim].iter_mut().zip(row) {
            *out = value * scale;
        }
    }
    Ok((left, right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worked_by_hand() {
        let (columns, rows, shared) = ([1.0, -2.0], [3.0, 1.0], [1.0, 2.0, 3.0, 4.0]);
        let factors = Factors::new(&columns, &rows, 1).unwrap();
        let prompt = factors.prompt(&shared).unwrap();
        assert_eq!(prompt, [3.0, 2.0, -18.0, -8.0]);
        assert_eq!(
            factors.inner(&factors, Some(&shared)).unwrap(),
            dot(&prompt, &prompt)
        );
        assert_eq!(factors.inner(&factors, None).unwrap(), 50.0);
        assert!(factors.prompt(&shared[..3]).is_err());
        assert!(Factors::new(&columns, &rows, 0).is_err());
        let (left, right) = canonical(&[0.0, -2.0], &rows, 1).unwrap();
        assert_eq!(left, [0.0, 2.0f64.sqrt()]);
        assert!((right[0] + 6.0 / 2.0f64.sqrt()).abs() < 1e-15);
    }
}
