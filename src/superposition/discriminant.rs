//! Formula      V = directions of the centroids' spread in whitened space, by its SVD
//! Shapes       pure [n_tasks] sets [n_k, dim] -> projection [dim, n_tasks - 1]
//! Range        within-task covariance of the coordinates is the shrunk one: about the identity
//! Promises     translation changes nothing; signs are fixed by the first task
//! Zero rows    see `metric`
//! NaN          refused before
//! Precision    f64
//! Cost         that of `metric`, plus n_tasks^2 dim
//!
//! Source: Fisher's discriminant with Ledoit-Wolf shrinkage. With dim >> n an unshrunk fit
//! separates any labels, so accuracy is meaningful on held-out prompts only.

use faer::{Mat, MatRef};

use crate::error::{Error, Result};
use crate::linalg::clear_registers;
use crate::superposition::metric::Whitening;
use crate::superposition::rows::Rows;

/// A fitted plane.
#[derive(Clone, Debug)]
pub struct Discriminant {
    /// Mean of the centroids `[dim]`.
    pub centre: Vec<f64>,
    /// Axes `[dim, n_axes]`, row-major.
    pub projection: Vec<f64>,
    /// Coordinates of every centroid `[n_tasks, n_axes]`.
    pub centroids: Vec<f64>,
    /// Shrinkage of the covariance.
    pub shrinkage: f64,
    /// Axes.
    pub n_axes: usize,
}

/// Fits the plane to pure prompts.
pub fn fit(pure: &[Rows<'_>]) -> Result<Discriminant> {
    if pure.len() < 2 || pure.iter().any(|set| set.dim() != pure[0].dim()) {
        return Err(Error::Shape(format!(
            "discriminant: {} sets of states, expected at least two of one width",
            pure.len()
        )));
    }
    let dim = pure[0].dim();
    let n_axes = (pure.len() - 1).min(dim);
    let whitening = Whitening::new(pure)?;
    let means: Vec<Vec<f64>> = pure.iter().map(|set| set.mean()).collect();
    let centre: Vec<f64> = (0..dim)
        .map(|d| means.iter().map(|m| m[d]).sum::<f64>() / pure.len() as f64)
        .collect();
    let arms: Vec<f64> = means
        .iter()
        .flat_map(|mean| mean.iter().zip(&centre).map(|(m, c)| m - c))
        .collect();
    let white = whitening.apply(Rows::new(&arms, dim)?);
    let white = MatRef::from_row_major_slice(&white, pure.len(), dim);
    let svd = white.thin_svd().map_err(|_| {
        Error::NonFinite("discriminant: no singular vectors; check the states".into())
    })?;
    let mut axes = Mat::from_fn(dim, n_axes, |row, column| svd.V()[(row, column)]);
    let placed = white * &axes;
    for axis in 0..n_axes {
        // An SVD leaves signs open; the first task that leaves zero goes to the positive side.
        let first = (0..pure.len())
            .map(|task| placed[(task, axis)])
            .find(|value| value.abs() > 1e-9);
        if first.is_some_and(|value| value < 0.0) {
            (0..dim).for_each(|row| axes[(row, axis)] = -axes[(row, axis)]);
        }
    }
    let placed = white * &axes;
    whitening.unapply(&mut axes);
    clear_registers();
    Ok(Discriminant {
        centre,
        projection: (0..dim * n_axes)
            .map(|cell| axes[(cell / n_axes, cell % n_axes)])
            .collect(),
        centroids: (0..pure.len() * n_axes)
            .map(|cell| placed[(cell / n_axes, cell % n_axes)])
            .collect(),
        shrinkage: whitening.shrinkage,
        n_axes,
    })
}

impl Discriminant {
    /// Coordinates `[n_prompts, n_axes]` and the nearest centroid of every prompt.
    pub fn place(&self, states: Rows<'_>) -> (Vec<f64>, Vec<i64>) {
        let mut coordinates = Vec::with_capacity(states.len() * self.n_axes);
        let mut nearest = Vec::with_capacity(states.len());
        for row in states.iter() {
            let mut placed = vec![0.0; self.n_axes];
            let axes = self.projection.chunks_exact(self.n_axes);
            for ((value, centre), axis) in row.iter().zip(&self.centre).zip(axes) {
                placed
                    .iter_mut()
                    .zip(axis)
                    .for_each(|(sum, a)| *sum += (value - centre) * a);
            }
            let distance = |centroid: &[f64]| -> f64 {
                centroid
                    .iter()
                    .zip(&placed)
                    .map(|(c, p)| (c - p) * (c - p))
                    .sum()
            };
            let best = self
                .centroids
                .chunks_exact(self.n_axes)
                .map(distance)
                .enumerate();
            let best = best.min_by(|left, right| left.1.total_cmp(&right.1));
            nearest.push(best.map_or(-1, |(task, _)| task as i64));
            coordinates.extend(placed);
        }
        (coordinates, nearest)
    }
}
