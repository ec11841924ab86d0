//! All pairs of tasks: module after module, a block of tasks at a time.

use ndarray::{Array2, Array3, Axis};
use rayon::prelude::*;

use super::{Factors, Packed, Score, inner};
use crate::error::{Error, Result};
use crate::threads::Monitor;

/// Per task, per module, its factors; None where the task does not adapt the module.
pub type Updates<'a> = [Vec<Option<Factors<'a>>>];

/// Tasks laid out at once. Two blocks of 64 updates of a 4096 x 4096 weight of rank 16 take
/// 128 MB, and each task is used 64 times before it is laid out again.
const BLOCK: usize = 64;

/// Scores of the whole updates `[n_targets, n_sources]`; no `sources` means the targets.
pub fn matrix(
    targets: &Updates<'_>,
    sources: Option<&Updates<'_>>,
    score: Score,
    monitor: &Monitor,
) -> Result<Array2<f64>> {
    let grid = Grid::new(targets, sources)?;
    let mut sums = grid.zeros();
    for module in 0..grid.n_modules {
        sums.add(&grid.module(module, score, monitor)?);
    }
    sums.finished(score)
}

/// Scores module by module `[n_modules, n_targets, n_sources]`.
pub fn modules(
    targets: &Updates<'_>,
    sources: Option<&Updates<'_>>,
    score: Score,
    monitor: &Monitor,
) -> Result<Array3<f64>> {
    let grid = Grid::new(targets, sources)?;
    let (n_targets, n_sources) = grid.zeros().inner.dim();
    let mut scores = Array3::zeros((grid.n_modules, n_targets, n_sources));
    for (module, mut slot) in scores.axis_iter_mut(Axis(0)).enumerate() {
        slot.assign(&grid.module(module, score, monitor)?.finished(score)?);
    }
    Ok(scores)
}

/// Inner products of pairs, and of every task with itself.
struct Products {
    inner: Array2<f64>,
    target_squares: Vec<f64>,
    source_squares: Vec<f64>,
}

impl Products {
    fn add(&mut self, other: &Self) {
        self.inner += &other.inner;
        add(&mut self.target_squares, &other.target_squares);
        add(&mut self.source_squares, &other.source_squares);
    }

    fn finished(mut self, score: Score) -> Result<Array2<f64>> {
        if score == Score::Cosine {
            for ((target, source), value) in self.inner.indexed_iter_mut() {
                let squares = self.target_squares[target] * self.source_squares[source];
                // Rounding may leave a square of almost nothing below zero.
                *value = if squares > 0.0 {
                    *value / squares.sqrt()
                } else {
                    0.0
                };
            }
        }
        match self
            .inner
            .indexed_iter()
            .find(|(_, value)| !value.is_finite())
        {
            None => Ok(self.inner),
            Some(((target, source), _)) => Err(Error::NonFinite(format!(
                "target number {target}, source number {source}: the inner product of the updates \
                 exceeds what float64 can hold; rescale the factors"
            ))),
        }
    }
}

fn add(sums: &mut [f64], values: &[f64]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += value;
    }
}

struct Grid<'a> {
    targets: &'a Updates<'a>,
    sources: &'a Updates<'a>,
    is_square: bool,
    n_modules: usize,
}

impl<'a> Grid<'a> {
    fn new(targets: &'a Updates<'a>, sources: Option<&'a Updates<'a>>) -> Result<Self> {
        let is_square = sources.is_none();
        let sources = sources.unwrap_or(targets);
        let n_modules = targets.first().map_or(0, Vec::len);
        if targets
            .iter()
            .chain(sources)
            .any(|task| task.len() != n_modules)
        {
            return Err(Error::Shape(
                "tasks list different numbers of modules".into(),
            ));
        }
        for module in 0..n_modules {
            let mut tasks = targets.iter().chain(sources);
            let sizes = tasks
                .clone()
                .find_map(|task| task[module])
                .map(|found| found.sizes);
            let wanted = sizes.map(|[_, n_in, n_out]| [n_in, n_out]);
            let differs = |task: &Vec<Option<Factors<'_>>>| {
                task[module].is_some_and(|found| Some([found.sizes[1], found.sizes[2]]) != wanted)
            };
            if tasks.any(differs) {
                return Err(Error::Shape(format!(
                    "module number {module} has different sizes in different tasks"
                )));
            }
        }
        Ok(Self {
            targets,
            sources,
            is_square,
            n_modules,
        })
    }

    fn zeros(&self) -> Products {
        Products {
            inner: Array2::zeros((self.targets.len(), self.sources.len())),
            target_squares: vec![0.0; self.targets.len()],
            source_squares: vec![0.0; self.sources.len()],
        }
    }

    fn module(&self, module: usize, score: Score, monitor: &Monitor) -> Result<Products> {
        let mut products = self.zeros();
        for first_target in (0..self.targets.len()).step_by(BLOCK) {
            let targets = packed(self.targets, first_target, module)?;
            if score == Score::Cosine && !self.is_square {
                add_squares(&mut products.target_squares[first_target..], &targets);
            }
            for first_source in (0..self.sources.len()).step_by(BLOCK) {
                if self.is_square && first_source > first_target {
                    break;
                }
                let sources = packed(self.sources, first_source, module)?;
                if score == Score::Cosine && !self.is_square && first_target == 0 {
                    add_squares(&mut products.source_squares[first_source..], &sources);
                }
                let firsts = [first_target, first_source];
                self.block(&mut products.inner, firsts, &targets, &sources, monitor)?;
            }
        }
        if self.is_square {
            products.target_squares = products.inner.diag().to_vec();
            products.source_squares = products.target_squares.clone();
        }
        Ok(products)
    }

    /// Cells of the whole matrix that `n_scores` scores of one row fill: a mirrored score two.
    fn cells(&self, n_scores: usize, ends_on_diagonal: bool) -> usize {
        match (self.is_square, ends_on_diagonal) {
            (false, _) => n_scores,
            (true, true) => 2 * n_scores - 1,
            (true, false) => 2 * n_scores,
        }
    }

    fn block(
        &self,
        scores: &mut Array2<f64>,
        [first_target, first_source]: [usize; 2],
        targets: &[Option<Packed>],
        sources: &[Option<Packed>],
        monitor: &Monitor,
    ) -> Result<()> {
        let is_diagonal = self.is_square && first_target == first_source;
        let rows: Vec<Vec<f64>> = targets
            .par_iter()
            .enumerate()
            .map(|(row, target)| {
                let end = if is_diagonal { row + 1 } else { sources.len() };
                let scores = sources[..end].iter().map(|source| pair(source, target));
                let scores: Vec<f64> = scores.collect();
                monitor.tick(self.cells(scores.len(), is_diagonal))?;
                Ok(scores)
            })
            .collect::<Result<_>>()?;
        for (row, values) in rows.iter().enumerate() {
            for (column, &value) in values.iter().enumerate() {
                let (target, source) = (first_target + row, first_source + column);
                scores[[target, source]] = value;
                if self.is_square {
                    scores[[source, target]] = value;
                }
            }
        }
        Ok(())
    }
}

fn pair(source: &Option<Packed>, target: &Option<Packed>) -> f64 {
    match (source, target) {
        (Some(source), Some(target)) => inner(source, target),
        _ => 0.0,
    }
}

fn packed(updates: &Updates<'_>, first: usize, module: usize) -> Result<Vec<Option<Packed>>> {
    let block = &updates[first..updates.len().min(first + BLOCK)];
    let packed = block
        .par_iter()
        .map(|task| task[module].as_ref().map(Packed::new).transpose());
    packed.collect()
}

fn add_squares(squares: &mut [f64], tasks: &[Option<Packed>]) {
    let values: Vec<f64> = tasks.par_iter().map(|task| pair(task, task)).collect();
    add(squares, &values);
}
