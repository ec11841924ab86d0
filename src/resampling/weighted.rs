//! Many replicates at once: how often each cell was drawn, times the cells.
//!
//! Where a column has all seeds of a target or none, its mean over a draw is
//! `sum of (times drawn) value / (seeds x times its targets were drawn)`: two products of matrices,
//! done in register tiles by `linalg`, whose sums run over cells in order whatever the block. So a
//! replicate is the same in every shard and on any number of threads. Other tables are added up
//! draw by draw.

use std::ops::Range;

use ndarray::Array2;
use pulp::{Arch, Simd, WithSimd};

use super::lanes::{Lane, LaneDraws};
use super::{Cube, Plan, replicate_blocks, replicates};
use crate::error::Result;
use crate::linalg::{Inner, PANEL, TokenPanels, for_each_row};
use crate::random::LANES;
use crate::threads::Monitor;

// `LANES` replicates are counted at a time: their counters (21 KiB for 21 targets of 8 seeds) stay
// in the first cache, where 128 of them would not.
const _: () = assert!(LANES.is_multiple_of(PANEL));

impl Cube {
    /// Column means of replicates `range` of `plan` `[n_replicates, n_columns]`.
    pub fn resample_all(
        &self,
        plan: &Plan,
        range: Range<u64>,
        monitor: &Monitor,
    ) -> Result<Array2<f64>> {
        plan.check(self.n_targets)?;
        if !self.is_whole() {
            return replicates(range, self.n_columns, monitor, |number, row| {
                self.resample(plan, number, row);
            });
        }
        let n_cells = self.n_targets * self.n_seeds;
        let values = TokenPanels::pack_rows(&transposed(&self.values, self.n_columns), n_cells);
        let first_seeds: Vec<f64> = (0..self.n_targets)
            .flat_map(|target| &self.counts[self.row(target, 0)])
            .copied()
            .collect();
        let known = transposed(&first_seeds, self.n_columns);
        let known = TokenPanels::pack_rows(&known, self.n_targets);
        let (width, tables) = (self.n_columns, Tables { values, known });
        replicate_blocks(range, width, monitor, |first, rows| {
            let mut draws = plan.lanes();
            for (some, first) in rows.chunks_mut(LANES * width).zip((first..).step_by(LANES)) {
                self.fill(plan, first, some, &tables, &mut draws);
            }
        })
    }

    // Whether every target has all or none of the seeds of a column.
    fn is_whole(&self) -> bool {
        (0..self.n_targets).all(|target| {
            let first = &self.counts[self.row(target, 0)];
            (1..self.n_seeds).all(|seed| first == &self.counts[self.row(target, seed)])
        })
    }

    fn fill(
        &self,
        plan: &Plan,
        first: u64,
        rows: &mut [f64],
        tables: &Tables,
        draws: &mut LaneDraws,
    ) {
        let (n_cells, n_rows) = (self.n_targets * self.n_seeds, rows.len() / self.n_columns);
        let mut cells = vec![0.0; LANES * n_cells];
        // Of a complete table every target counts once, however often each was drawn.
        let counted = if self.is_complete { 0 } else { self.n_targets };
        let mut targets = vec![0.0; LANES * counted];
        Arch::new().dispatch(Counting {
            plan,
            first,
            n_seeds: self.n_seeds,
            draws,
            cells: &mut cells,
            targets: &mut targets,
        });
        let width = self.n_columns;
        let cells = TokenPanels::from_panels(cells, n_rows, n_cells);
        for_each_row(&cells, &tables.values, Inner, |row, sums| {
            rows[row * width..(row + 1) * width].copy_from_slice(sums);
        });
        let n_seeds = self.n_seeds as f64;
        if self.is_complete {
            let count = self.n_targets as f64 * n_seeds;
            rows.iter_mut().for_each(|sum| *sum /= count);
            return;
        }
        let targets = TokenPanels::from_panels(targets, n_rows, self.n_targets);
        for_each_row(&targets, &tables.known, Inner, |row, weights| {
            let sums = &mut rows[row * width..(row + 1) * width];
            for (sum, weight) in sums.iter_mut().zip(weights) {
                *sum /= weight * n_seeds;
            }
        });
    }
}

// The cells as the product reads them.
struct Tables {
    values: TokenPanels,
    known: TokenPanels,
}

// Counts the draws of `LANES` replicates, in panels as the product reads them: see
// `Panels::from_panels`. A type of its own, as in `random::lanes`.
struct Counting<'a> {
    plan: &'a Plan,
    first: u64,
    n_seeds: usize,
    draws: &'a mut LaneDraws,
    cells: &'a mut [f64],
    // Empty where targets need not be counted.
    targets: &'a mut [f64],
}

impl WithSimd for Counting<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let n_seeds = self.n_seeds;
        let (n_cells, n_targets) = (self.cells.len() / LANES, self.targets.len() / LANES);
        let (first, draws) = (self.first, self.draws);
        self.plan
            .draw_lanes(simd, first, n_seeds, draws, |drawn, seeds| {
                if n_targets > 0 {
                    count(self.targets, &starts(drawn, 1, n_targets));
                }
                let starts = starts(drawn, n_seeds, n_cells);
                for seeds in seeds {
                    count(self.cells, &beyond(&starts, seeds));
                }
            });
    }
}

// Where the counters of each lane's target start, in panels of `n_cells`.
#[inline(always)]
fn starts(targets: &Lane, n_seeds: usize, n_cells: usize) -> [usize; LANES] {
    let mut starts = [0; LANES];
    for lane in 0..LANES {
        let cell = lane / PANEL * n_cells + targets[lane] as usize * n_seeds;
        starts[lane] = cell * PANEL + lane % PANEL;
    }
    starts
}

#[inline(always)]
fn beyond(starts: &[usize; LANES], seeds: &Lane) -> [usize; LANES] {
    let mut places = [0; LANES];
    for lane in 0..LANES {
        places[lane] = starts[lane] + seeds[lane] as usize * PANEL;
    }
    places
}

#[inline(always)]
fn count(counters: &mut [f64], places: &[usize; LANES]) {
    for &place in places {
        counters[place] += 1.0;
    }
}

// Rows [n, width] as columns [width, n].
fn transposed(rows: &[f64], width: usize) -> Vec<f64> {
    (0..width)
        .flat_map(|at| rows.iter().skip(at).step_by(width))
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::super::Unit;
    use super::*;

    #[test]
    fn products_of_counts_are_means_over_draws() {
        let cube = Array3::from_shape_fn((5, 11, 3), |(t, c, s)| {
            if t == c {
                f64::NAN
            } else {
                ((t * 31 + c * 17 + s * 7) % 13) as f64
            }
        });
        let cube = Cube::new(cube.view()).unwrap();
        assert!(cube.is_whole());
        for unit in Unit::ALL {
            let plan = Plan::new(unit, &[0, 0, 0, 1, 1], 9).unwrap();
            let all = cube
                .resample_all(&plan, 3..200, &Monitor::default())
                .unwrap();
            let mut row = vec![0.0; 11];
            for number in [3, 77, 199] {
                cube.resample(&plan, number, &mut row);
                for (one, other) in row.iter().zip(all.row(number as usize - 3)) {
                    let is_same = (one - other).abs() < 1e-12;
                    assert!(is_same || (one.is_nan() && other.is_nan()));
                }
            }
        }
    }
}
