//! Where variance lies: between targets, sources, their pairs, seeds, and the rest.
//!
//! ```text
//! Formula   y[t, s, r] = m + target_t + source_s + pair_ts + seed_tr + rest_tsr
//!           rest  = MS of (source x seed) inside targets; seed = (MS_seed - rest) / n_s
//!           pair  = MS of cell means after targets and sources, less rest / n_r
//!           source, target by Henderson's method 3 on the cell means
//! Shapes    cube [n_targets, n_sources, n_seeds], NaN missing -> five components
//! Range     estimates may be negative; intervals are cut at 0
//! Promises  order-free up to rounding; balanced tables give the classical analysis of variance
//! Zero rows not applicable
//! NaN       a cell counts if its target measured it with every seed of that target
//! Precision f64; n_sources^3 for the elimination
//! Cost      one Cholesky factor of [n_sources, n_sources]
//! ```
//!
//! Source: Searle, Casella and McCulloch (1992), Variance Components, chapter 5, for the method;
//! Weerahandi (1995) for generalized intervals: each MS is replaced by SS / chi2(df).

use faer::linalg::solvers::Solve;
use faer::{Mat, Side};
use ndarray::ArrayView3;
use rand_distr::{ChiSquared, Distribution};

use crate::error::{Error, Result};
use crate::random::stream;

/// Names of the components, in the order of every array.
pub const COMPONENTS: [&str; 5] = ["target", "source", "target_x_source", "seed", "residual"];

/// Sums of squares and what each expects: enough for estimates and for draws.
#[derive(Debug, Clone, PartialEq)]
pub struct Components {
    /// Sums of squares: target, source, pair (of cell means), seed, residual.
    pub squares: [f64; 5],
    /// Their degrees of freedom.
    pub freedom: [f64; 5],
    // Trace factors of target and source, mean sources a target, mean inverse of seeds.
    loads: [f64; 2],
    n_sources: f64,
    inverse_seeds: f64,
}

impl Components {
    /// The components for given mean squares.
    pub fn solve(&self, mean_squares: [f64; 5]) -> [f64; 5] {
        let [target, source, pair, seed, residual] = mean_squares;
        let seed_part = (seed - residual) / self.n_sources;
        let [target_df, source_df, ..] = self.freedom;
        // Cell means carry pair + residual / n_seeds each; a target's carry the seeds' mean too.
        let source_part = source_df * (source - pair) / self.loads[1];
        let target_part =
            target_df * (target - pair) / self.loads[0] - seed_part * self.inverse_seeds;
        let pair_part = pair - residual * self.inverse_seeds;
        [target_part, source_part, pair_part, seed_part, residual]
    }

    /// Estimates, unbiased and possibly negative.
    pub fn estimates(&self) -> [f64; 5] {
        self.solve(std::array::from_fn(|at| {
            self.squares[at] / self.freedom[at]
        }))
    }

    /// Generalized draw `number` of `seed`: components for SS / chi2(df).
    pub fn draw(&self, seed: u64, number: u64, row: &mut [f64]) {
        let mut generator = stream(seed, number);
        let drawn = std::array::from_fn(|at| {
            ChiSquared::new(self.freedom[at]).map_or(f64::NAN, |chi| {
                self.squares[at] / chi.sample(&mut generator)
            })
        });
        row.copy_from_slice(&self.solve(drawn));
    }
}

struct Cells {
    // Per target: its sources, their means, its number of seeds.
    targets: Vec<(Vec<usize>, Vec<f64>, f64)>,
    seed: (f64, f64),
    residual: (f64, f64),
}

/// Decomposes `cube [n_targets, n_sources, n_seeds]`; targets and sources without any complete
/// cell are left out.
pub fn components(cube: ArrayView3<'_, f64>) -> Result<Components> {
    let cells = cell_means(cube);
    let mut used: Vec<usize> = cells
        .targets
        .iter()
        .flat_map(|own| own.0.iter().copied())
        .collect();
    used.sort_unstable();
    used.dedup();
    let (n_targets, n_sources) = (cells.targets.len(), used.len());
    let n_cells: usize = cells.targets.iter().map(|own| own.0.len()).sum();
    if n_targets < 2 || n_sources < 2 || n_cells < n_targets + n_sources || cells.residual.1 < 1.0 {
        return Err(Error::Shape(format!(
            "{n_targets} targets, {n_sources} sources and {n_cells} cells with two seeds or more \
             are too few to tell the components apart; expected at least two of each and more \
             cells than targets and sources together"
        )));
    }
    let place = |source: usize| used.partition_point(|&other| other < source);
    let (own, pair_freedom, loads) = eliminate(&cells, n_sources, place)?;
    Ok(Components {
        squares: [own[0], own[1], own[2], cells.seed.0, cells.residual.0],
        freedom: [
            n_targets as f64 - 1.0,
            n_sources as f64 - 1.0,
            pair_freedom,
            cells.seed.1,
            cells.residual.1,
        ],
        loads,
        n_sources: n_cells as f64 / n_targets as f64,
        inverse_seeds: cells.targets.iter().map(|own| 1.0 / own.2).sum::<f64>() / n_targets as f64,
    })
}

fn cell_means(cube: ArrayView3<'_, f64>) -> Cells {
    let mut cells = Cells {
        targets: Vec::new(),
        seed: (0.0, 0.0),
        residual: (0.0, 0.0),
    };
    for table in cube.outer_iter() {
        let has_run = |seed: &usize| table.column(*seed).iter().any(|value| !value.is_nan());
        let seeds: Vec<usize> = (0..table.ncols()).filter(has_run).collect();
        let is_complete =
            |source: &usize| seeds.iter().all(|&seed| !table[[*source, seed]].is_nan());
        let sources: Vec<usize> = (0..table.nrows()).filter(is_complete).collect();
        let (n, r) = (sources.len() as f64, seeds.len() as f64);
        if sources.len() < 2 || seeds.len() < 2 {
            continue;
        }
        let row = |source: usize| seeds.iter().map(|&seed| table[[source, seed]]).sum::<f64>() / r;
        let means: Vec<f64> = sources.iter().map(|&source| row(source)).collect();
        let grand = means.iter().sum::<f64>() / n;
        for &seed in &seeds {
            let level = sources
                .iter()
                .map(|&source| table[[source, seed]])
                .sum::<f64>()
                / n;
            cells.seed.0 += n * (level - grand).powi(2);
            for (&source, mean) in sources.iter().zip(&means) {
                cells.residual.0 += (table[[source, seed]] - mean - level + grand).powi(2);
            }
        }
        cells.seed.1 += r - 1.0;
        cells.residual.1 += (n - 1.0) * (r - 1.0);
        cells.targets.push((sources, means, r));
    }
    cells
}

// Squares of target | source, source | target and pair, the pair's freedom, and the loads.
fn eliminate(
    cells: &Cells,
    n_sources: usize,
    place: impl Fn(usize) -> usize,
) -> Result<([f64; 3], f64, [f64; 2])> {
    let mut laplace = Mat::<f64>::zeros(n_sources, n_sources);
    let mut right = Mat::<f64>::zeros(n_sources, 1);
    let (mut counts, mut sums) = (vec![0.0; n_sources], vec![0.0; n_sources]);
    let (mut total, mut squares, mut by_target, mut n_cells, mut target_load) =
        (0.0, 0.0, 0.0, 0.0, 0.0);
    for (sources, means, _) in &cells.targets {
        let count = sources.len() as f64;
        let sum: f64 = means.iter().sum();
        for (&source, mean) in sources.iter().zip(means) {
            let at = place(source);
            laplace[(at, at)] += 1.0;
            right[(at, 0)] += mean - sum / count;
            for &other in sources {
                laplace[(at, place(other))] -= 1.0 / count;
            }
            counts[at] += 1.0;
            sums[at] += mean;
            squares += mean * mean;
        }
        total += sum;
        by_target += sum * sum / count;
        n_cells += count;
    }
    let source_load: f64 = (0..n_sources).map(|at| laplace[(at, at)]).sum();
    for (sources, ..) in &cells.targets {
        let shared: f64 = sources
            .iter()
            .map(|&source| 1.0 / counts[place(source)])
            .sum();
        target_load += sources.len() as f64 - shared;
    }
    if !is_connected(cells, n_sources, &place) {
        return Err(separate_blocks());
    }
    // The all-ones direction is free; pinning it makes a connected table definite.
    let pinned = Mat::from_fn(n_sources, n_sources, |a, b| {
        laplace[(a, b)] + 1.0 / n_sources as f64
    });
    let factor = pinned.llt(Side::Lower).map_err(|_| separate_blocks())?;
    let effects = factor.solve(&right);
    let source_given: f64 = (0..n_sources)
        .map(|at| effects[(at, 0)] * right[(at, 0)])
        .sum();
    let by_source: f64 = sums
        .iter()
        .zip(&counts)
        .map(|(sum, count)| sum * sum / count)
        .sum();
    let target_given = by_target + source_given - by_source;
    let rest = squares - by_target - source_given;
    let freedom = n_cells - cells.targets.len() as f64 - n_sources as f64 + 1.0;
    // Rounding of sums of squares must not turn an exact fit negative.
    let floor = 1e-13 * (squares - total * total / n_cells).abs();
    let clean = |value: f64| if value < floor { value.max(0.0) } else { value };
    Ok((
        [clean(target_given), clean(source_given), clean(rest)],
        freedom,
        [target_load, source_load],
    ))
}

/// Whether a chain of shared targets leads from any source to any other; rounding may hide from a
/// factorisation that none does.
fn is_connected(cells: &Cells, n_sources: usize, place: impl Fn(usize) -> usize) -> bool {
    let mut reached = vec![false; n_sources];
    if let Some(first) = cells
        .targets
        .iter()
        .find_map(|(sources, ..)| sources.first())
    {
        reached[place(*first)] = true;
    }
    let mut is_growing = true;
    while is_growing {
        is_growing = false;
        for (sources, ..) in &cells.targets {
            if sources.iter().any(|&source| reached[place(source)]) {
                for &source in sources {
                    is_growing |= !std::mem::replace(&mut reached[place(source)], true);
                }
            }
        }
    }
    reached.into_iter().all(|is_reached| is_reached)
}

fn separate_blocks() -> Error {
    Error::Shape(
        "the measured cells fall into separate blocks of targets and sources, so their \
             levels cannot be compared; measure a source of one block on a target of another"
            .into(),
    )
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;

    #[test]
    fn a_table_of_pure_effects_is_decomposed_exactly() {
        // Targets 0, 10; sources 0, 1, 5; nothing else.
        let cube =
            Array3::from_shape_fn((2, 3, 2), |(t, s, _)| t as f64 * 10.0 + [0.0, 1.0, 5.0][s]);
        let found = components(cube.view()).unwrap();
        let [target, source, pair, seed, residual] = found.estimates();
        // Variances of (0, 10) and of (0, 1, 5) with n - 1.
        assert!((target - 50.0).abs() < 1e-9 && (source - 7.0).abs() < 1e-9);
        assert!(pair.abs() < 1e-9 && seed.abs() < 1e-9 && residual.abs() < 1e-9);
        assert_eq!(found.freedom, [1.0, 2.0, 2.0, 2.0, 4.0]);
    }

    #[test]
    fn too_few_cells_are_refused() {
        assert!(components(Array3::zeros((1, 5, 5)).view()).is_err());
        assert!(components(Array3::zeros((5, 5, 1)).view()).is_err());
    }

    #[test]
    fn separate_blocks_cannot_be_compared() {
        let cube = Array3::from_shape_fn((4, 4, 2), |(t, s, r)| {
            if t / 2 == s / 2 {
                (t + s * r) as f64
            } else {
                f64::NAN
            }
        });
        let wide = ndarray::concatenate![ndarray::Axis(0), cube, cube];
        let error = components(wide.view()).unwrap_err();
        assert!(matches!(error, Error::Shape(text) if text.contains("separate blocks")));
    }
}
