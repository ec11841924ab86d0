//! The nested bootstrap: targets drawn with replacement, and seeds within them.
//!
//! ```text
//! Formula   column mean = mean over drawn targets of the mean over drawn seeds, missing left out
//! Shapes    cube [n_targets, n_columns, n_seeds], NaN missing -> means [n_columns]
//! Range     inside the convex hull of the column's values
//! Promises  columns are paired (same draw for all); replicate i depends on seed, i and the cube
//! Zero rows not applicable
//! NaN       missing; a column without any drawn value is NaN
//! Precision sums in f64, in the order of drawing
//! Cost      n_targets n_seeds n_columns additions a replicate, none stored but the means
//! ```
//!
//! Source: Davison and Hinkley (1997), Bootstrap Methods and their Application, section 3.8, for
//! resampling nested levels; Efron and Tibshirani (1993), chapter 8.

use ndarray::{Array2, ArrayView1, ArrayView2, ArrayView3};
use rayon::prelude::*;

use super::{Plan, Reference};
use crate::error::{Error, Result};

/// Values laid out for adding up: `[n_targets][n_seeds][n_columns]`, missing ones as 0 with a
/// count of 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Cube {
    pub(super) values: Vec<f64>,
    pub(super) counts: Vec<f64>,
    pub(super) n_targets: usize,
    pub(super) n_columns: usize,
    pub(super) n_seeds: usize,
    pub(super) is_complete: bool,
}

impl Cube {
    /// Lays out `cube [n_targets, n_columns, n_seeds]`, NaN where missing.
    pub fn new(cube: ArrayView3<'_, f64>) -> Result<Self> {
        let (n_targets, n_columns, n_seeds) = cube.dim();
        if cube.iter().any(|value| value.is_infinite()) {
            return Err(Error::NonFinite("the table holds an infinite value".into()));
        }
        if n_targets == 0 || n_columns == 0 || n_seeds == 0 {
            return Err(Error::Shape(format!(
                "the table has shape {:?}, expected at least one target, column and seed",
                cube.dim()
            )));
        }
        let laid = cube.permuted_axes([0, 2, 1]);
        let counts: Vec<f64> = laid.iter().map(|v| f64::from(!v.is_nan())).collect();
        Ok(Self {
            values: laid
                .iter()
                .map(|v| if v.is_nan() { 0.0 } else { *v })
                .collect(),
            is_complete: counts.iter().all(|&count| count == 1.0),
            counts,
            n_targets,
            n_columns,
            n_seeds,
        })
    }

    /// Columns of the table.
    pub fn n_columns(&self) -> usize {
        self.n_columns
    }

    /// Targets of the table.
    pub fn n_targets(&self) -> usize {
        self.n_targets
    }

    /// Column means of replicate `number` of `plan`.
    pub fn resample(&self, plan: &Plan, number: u64, row: &mut [f64]) {
        let mut sums = Sums::new(self);
        plan.draw(number, self.n_seeds, |target, seeds| {
            sums.add(target, seeds)
        });
        sums.finish(row);
    }

    /// Column means of the table as it is, with every target but `left_out`.
    pub fn means(&self, left_out: Option<usize>) -> Vec<f64> {
        let mut sums = Sums::new(self);
        let seeds: Vec<usize> = (0..self.n_seeds).collect();
        for target in (0..self.n_targets).filter(|&at| Some(at) != left_out) {
            sums.add(target, &seeds);
        }
        let mut row = vec![0.0; self.n_columns];
        sums.finish(&mut row);
        row
    }

    /// Means of one target over its seeds, NaN where a column has none.
    pub fn target_means(&self, target: usize) -> Vec<f64> {
        let mut sums = Sums::new(self);
        sums.add(target, &(0..self.n_seeds).collect::<Vec<_>>());
        let mut row = vec![0.0; self.n_columns];
        sums.finish(&mut row);
        row
    }

    /// Estimate, low and high of each contrast `(plus, minus)` over `drawn [n, n_columns]`;
    /// a negative `minus` is the column alone. Targets without a value of both are left out.
    pub fn contrast_intervals(
        &self,
        drawn: ArrayView2<'_, f64>,
        contrasts: &[(usize, isize)],
        interval: impl Fn(&mut [f64], &Reference) -> Result<(f64, f64)> + Sync,
    ) -> Result<Array2<f64>> {
        let n = self.n_columns;
        let is_known = |at: isize| at < 0 || at.unsigned_abs() < n;
        if drawn.ncols() != n || contrasts.iter().any(|&(a, b)| a >= n || !is_known(b)) {
            return Err(Error::Shape(format!(
                "{} columns were drawn of {n}, or a contrast names a column beyond them",
                drawn.ncols()
            )));
        }
        let difference = |row: ArrayView1<'_, f64>, (plus, minus): (usize, isize)| {
            row[plus] - usize::try_from(minus).map_or(0.0, |at| row[at])
        };
        let whole = self.means(None);
        let units: Vec<_> = (0..self.n_targets)
            .map(|at| self.target_means(at))
            .collect();
        let without: Vec<_> = (0..self.n_targets).map(|at| self.means(Some(at))).collect();
        let rows = contrasts.par_iter().map(|&contrast| {
            let each = |rows: &[Vec<f64>]| -> Vec<f64> {
                let values = rows
                    .iter()
                    .map(|row| difference(row.as_slice().into(), contrast));
                values.filter(|value| !value.is_nan()).collect()
            };
            let mut values = drawn.column(contrast.0).to_vec();
            if let Ok(minus) = usize::try_from(contrast.1) {
                for (value, other) in values.iter_mut().zip(drawn.column(minus)) {
                    *value -= other;
                }
            }
            values.retain(|value| !value.is_nan());
            let reference = Reference {
                estimate: difference(whole.as_slice().into(), contrast),
                units: each(&units),
                jackknife: each(&without),
            };
            interval(&mut values, &reference).map(|(low, high)| [reference.estimate, low, high])
        });
        let rows = rows.collect::<Result<Vec<[f64; 3]>>>()?;
        Ok(Array2::from_shape_fn((rows.len(), 3), |(row, at)| {
            rows[row][at]
        }))
    }

    pub(super) fn row(&self, target: usize, seed: usize) -> std::ops::Range<usize> {
        let start = (target * self.n_seeds + seed) * self.n_columns;
        start..start + self.n_columns
    }
}

struct Sums<'a> {
    cube: &'a Cube,
    total: Vec<f64>,
    weight: Vec<f64>,
    own: Vec<f64>,
    present: Vec<f64>,
}

impl<'a> Sums<'a> {
    fn new(cube: &'a Cube) -> Self {
        let zeros = vec![0.0; cube.n_columns];
        Self {
            cube,
            total: zeros.clone(),
            weight: zeros.clone(),
            own: zeros.clone(),
            present: zeros,
        }
    }

    fn add(&mut self, target: usize, seeds: &[usize]) {
        self.own.fill(0.0);
        for &seed in seeds {
            let range = self.cube.row(target, seed);
            add_to(&mut self.own, &self.cube.values[range]);
        }
        if self.cube.is_complete {
            let share = 1.0 / seeds.len() as f64;
            for (total, own) in self.total.iter_mut().zip(&self.own) {
                *total += own * share;
            }
            self.weight.iter_mut().for_each(|weight| *weight += 1.0);
            return;
        }
        self.present.fill(0.0);
        for &seed in seeds {
            let range = self.cube.row(target, seed);
            add_to(&mut self.present, &self.cube.counts[range]);
        }
        let sums = self.total.iter_mut().zip(&mut self.weight);
        for ((total, weight), (own, present)) in sums.zip(self.own.iter().zip(&self.present)) {
            if *present > 0.0 {
                *total += own / present;
                *weight += 1.0;
            }
        }
    }

    fn finish(&self, row: &mut [f64]) {
        for (slot, (total, weight)) in row.iter_mut().zip(self.total.iter().zip(&self.weight)) {
            *slot = total / weight;
        }
    }
}

fn add_to(sums: &mut [f64], values: &[f64]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += value;
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, array};

    use super::super::Unit;
    use super::*;

    fn cube() -> Array3<f64> {
        Array3::from_shape_fn((4, 2, 3), |(t, c, s)| (t * 10 + c * 3 + s) as f64)
    }

    #[test]
    fn a_replicate_is_the_mean_over_its_indices() {
        let (data, mut row) = (cube(), [0.0; 2]);
        for unit in Unit::ALL {
            let plan = Plan::new(unit, &[0, 0, 1, 1], 3).unwrap();
            Cube::new(data.view()).unwrap().resample(&plan, 7, &mut row);
            let drawn = plan.indices(7, 3);
            for (column, found) in row.iter().enumerate() {
                let own = drawn.iter().map(|(target, seeds)| {
                    seeds
                        .iter()
                        .map(|&s| data[[*target, column, s]])
                        .sum::<f64>()
                        / 3.0
                });
                assert!((found - own.sum::<f64>() / 4.0).abs() < 1e-12);
            }
            // Strata keep their size: two draws of targets 0 and 1, two of 2 and 3.
            assert_eq!(drawn.iter().filter(|(target, _)| *target < 2).count(), 2);
        }
    }

    #[test]
    fn missing_cells_leave_the_mean_of_the_others() {
        let data = array![[[1.0, f64::NAN]], [[f64::NAN, f64::NAN]], [[2.0, 4.0]]];
        assert_eq!(Cube::new(data.view()).unwrap().means(None), [2.0]);
        let bad = array![[[f64::INFINITY]]];
        assert!(Cube::new(bad.view()).is_err());
        assert!(Plan::new(Unit::Targets, &[0, 5], 0).is_err());
    }
}
