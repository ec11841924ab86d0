//! How often every replicate drew every probe, and the weighted sums that follow from it.
//!
//! Counts are kept as 16-bit numbers `[n_probes][n_replicates]`; products of pairs exist a block of
//! pairs and a chunk of probes at a time, and meet the counts in a product of matrices.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};
use rayon::prelude::*;

use super::paired::{COLUMNS, Centred, Sampling, ends, ratio};
use crate::error::{Error, Result};

// A block of weights, of products and of sums fit the 2 MB second-level cache together at 1000
// replicates.
const PROBES: usize = 256;

/// How often each replicate drew each probe, and what follows from it for single boxes.
pub(super) struct Drawn<'a> {
    data: &'a Centred,
    /// `[n_probes][n_replicates]`
    counts: Vec<u16>,
    n_replicates: usize,
    /// Means `[n_replicates, n_boxes * dim]`.
    means: Mat<f64>,
    /// Squares `[n_replicates, n_boxes]`.
    pub(super) squares: Mat<f64>,
}

impl<'a> Drawn<'a> {
    pub(super) fn new(data: &'a Centred, sampling: Sampling<'_>) -> Result<Self> {
        sampling.plan.check(data.n_probes)?;
        let n_replicates = usize::try_from(sampling.n_replicates)
            .map_err(|_| Error::Value("too many replicates".into()))?;
        let rows: Vec<Vec<u16>> = (0..sampling.n_replicates)
            .into_par_iter()
            .map(|number| {
                let mut row = vec![0u16; data.n_probes];
                sampling.plan.draw(number, 1, |probe, _| {
                    row[probe] = row[probe].saturating_add(1);
                });
                row
            })
            .collect();
        let mut counts = vec![0; n_replicates * data.n_probes];
        for (probe, slots) in counts.chunks_exact_mut(n_replicates).enumerate() {
            slots
                .iter_mut()
                .zip(&rows)
                .for_each(|(slot, row)| *slot = row[probe]);
        }
        let empty = Mat::zeros(0, 0);
        let mut own = Self {
            data,
            counts,
            n_replicates,
            means: empty.clone(),
            squares: empty,
        };
        let (n, dim) = (data.n_probes as f64, data.dim);
        let sums = own.blocks(data.n_boxes * dim, |column, start, out| {
            let values = data.column(column / dim, column % dim);
            out.copy_from_slice(&values[start..start + out.len()]);
        });
        own.means = Mat::from_fn(n_replicates, data.n_boxes * dim, |r, c| sums[(r, c)] / n);
        let sums = own.blocks(data.n_boxes, |at, start, out| {
            data.products((at, at), start, out)
        });
        own.squares = Mat::from_fn(n_replicates, data.n_boxes, |r, at| {
            sums[(r, at)] - n * own.mean_product(r, at, at)
        });
        Ok(own)
    }

    /// `<m_a, m_b>` of a replicate.
    pub(super) fn mean_product(&self, replicate: usize, a: usize, b: usize) -> f64 {
        let dim = self.data.dim;
        let mean = |box_: usize, at: usize| self.means[(replicate, box_ * dim + at)];
        (0..dim).map(|at| mean(a, at) * mean(b, at)).sum()
    }

    /// Weighted sums over probes of many columns, blocks of columns side by side.
    fn blocks(&self, n_columns: usize, fill: impl Fn(usize, usize, &mut [f64]) + Sync) -> Mat<f64> {
        let starts: Vec<usize> = (0..n_columns).step_by(COLUMNS).collect();
        let parts: Vec<Mat<f64>> = starts
            .par_iter()
            .map(|&first| {
                let width = COLUMNS.min(n_columns - first);
                self.sums(width, |column, start, out| fill(first + column, start, out))
            })
            .collect();
        Mat::from_fn(self.n_replicates, n_columns, |row, column| {
            parts[column / COLUMNS][(row, column % COLUMNS)]
        })
    }

    /// Weighted sums over probes `[n_replicates, width]`; `fill(column, start, out)` gives the
    /// values of a column for the probes from `start` on.
    pub(super) fn sums(&self, width: usize, fill: impl Fn(usize, usize, &mut [f64])) -> Mat<f64> {
        let mut sums = Mat::zeros(self.n_replicates, width);
        let mut values = vec![0.0; PROBES * width];
        let mut weights = vec![0.0; PROBES * self.n_replicates];
        for start in (0..self.data.n_probes).step_by(PROBES) {
            let n = PROBES.min(self.data.n_probes - start);
            for (column, out) in values[..n * width].chunks_exact_mut(n).enumerate() {
                fill(column, start, out);
            }
            let own = start * self.n_replicates..(start + n) * self.n_replicates;
            let cells = weights.iter_mut().zip(&self.counts[own]);
            cells.for_each(|(weight, &count)| *weight = f64::from(count));
            let size = n * self.n_replicates;
            let left = MatRef::from_column_major_slice(&weights[..size], self.n_replicates, n);
            let right = MatRef::from_column_major_slice(&values[..n * width], n, width);
            matmul(sums.as_mut(), Accum::Add, left, right, 1.0, Par::Seq);
        }
        sums
    }

    pub(super) fn intervals(
        &self,
        block: &[(usize, usize)],
        estimates: &[f64],
        sampling: Sampling<'_>,
    ) -> Result<Vec<(f64, f64)>> {
        let n = self.data.n_probes as f64;
        let sums = self.sums(block.len(), |at, start, out| {
            self.data.products(block[at], start, out);
        });
        let each = block.iter().zip(estimates).enumerate();
        each.map(|(at, (&(a, b), &estimate))| {
            let mut values: Vec<f64> = (0..self.n_replicates)
                .map(|r| {
                    let inner = sums[(r, at)] - n * self.mean_product(r, a, b);
                    ratio(inner, self.squares[(r, a)], self.squares[(r, b)])
                })
                .collect();
            ends(&mut values, estimate, n, sampling)
        })
        .collect()
    }
}
