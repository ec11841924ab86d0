//! Formula      Sigma = (1 - rho) S + rho tr(S)/dim I, S pooled within tasks; x -> L^-1 x, LL' = Sigma
//! Shapes       sets of rows [n_k, dim] -> rho, L; rows [n, dim] -> rows [n, dim]
//! Range        rho in [0, 1]
//! Promises     translation of a task changes nothing; distances after whitening are Mahalanobis
//! Zero rows    no variance within any task is refused
//! NaN          refused before
//! Precision    f64; rho from the smaller of the two Gram matrices
//! Cost         min(n, dim) n dim + dim^3 / 3, then dim^2 a row
//!
//! Source: Ledoit and Wolf (2004), "A well-conditioned estimator for large-dimensional covariance
//! matrices". Massive activations otherwise decide every distance between hidden states.

use faer::linalg::solvers::Llt;
use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::{Mat, MatRef, Par, Side};

use crate::error::{Error, Result};
use crate::linalg::clear_registers;
use crate::superposition::rows::{Rows, difference, dot};

/// Shrunk within-task covariance, factored.
#[derive(Clone, Debug)]
pub struct Whitening {
    lower: Mat<f64>,
    /// Part of the covariance that was replaced by a sphere.
    pub shrinkage: f64,
}

impl Whitening {
    /// From the prompts of every task, each set around its own mean.
    pub fn new(sets: &[Rows<'_>]) -> Result<Self> {
        let centred: Vec<f64> = sets
            .iter()
            .flat_map(|set| {
                let mean = set.mean();
                set.iter().flat_map(move |row| difference(row, &mean))
            })
            .collect();
        let dim = sets.first().map_or(1, |set| set.dim());
        let n_rows = centred.len() / dim;
        let rows = MatRef::from_row_major_slice(&centred, n_rows, dim);
        let (shrinkage, sphere) = ledoit_wolf(rows, &centred)?;
        let mut covariance = rows.transpose() * rows;
        for column in 0..dim {
            for row in 0..dim {
                covariance[(row, column)] *= (1.0 - shrinkage) / n_rows as f64;
            }
            covariance[(column, column)] += shrinkage * sphere;
        }
        let factor = Llt::new(covariance.as_ref(), Side::Lower).map_err(|_| singular());
        clear_registers();
        let factor = factor?;
        Ok(Self {
            lower: factor.L().to_owned(),
            shrinkage,
        })
    }

    /// Rows in whitened coordinates.
    pub fn apply(&self, rows: Rows<'_>) -> Vec<f64> {
        let mut columns = Mat::from_fn(rows.dim(), rows.len(), |place, row| rows.row(row)[place]);
        solve_lower_triangular_in_place(self.lower.as_ref(), columns.as_mut(), Par::Seq);
        clear_registers();
        (0..rows.len())
            .flat_map(|row| columns.col(row).iter().copied().collect::<Vec<_>>())
            .collect()
    }

    /// L'^-1 applied to the columns of `directions`: axes of the original space.
    pub fn unapply(&self, directions: &mut Mat<f64>) {
        faer::linalg::triangular_solve::solve_upper_triangular_in_place(
            self.lower.as_ref().transpose(),
            directions.as_mut(),
            Par::Seq,
        );
    }
}

fn singular() -> Error {
    Error::Shape(
        "whitening: the states do not vary within any task (or one prompt each was given), so \
         there is no covariance; use metric='euclidean'"
            .into(),
    )
}

/// Shrinkage intensity and mean variance of centred rows.
fn ledoit_wolf(rows: MatRef<'_, f64>, flat: &[f64]) -> Result<(f64, f64)> {
    let (n_rows, dim) = (rows.nrows() as f64, rows.ncols() as f64);
    let gram = if rows.nrows() < rows.ncols() {
        rows * rows.transpose()
    } else {
        rows.transpose() * rows
    };
    let square: f64 = gram.squared_norm_l2() / (n_rows * n_rows);
    let lengths = || flat.chunks_exact(rows.ncols()).map(|row| dot(row, row));
    let sphere = lengths().sum::<f64>() / (n_rows * dim);
    if sphere <= 0.0 {
        return Err(singular());
    }
    let fourth = lengths().map(|length| length * length).sum::<f64>() / n_rows;
    let distance = square / dim - sphere * sphere;
    let noise = (fourth - square) / (dim * n_rows);
    let shrinkage = if distance > 0.0 {
        (noise / distance).clamp(0.0, 1.0)
    } else {
        1.0
    };
    Ok((shrinkage, sphere))
}
