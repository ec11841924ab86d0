//! All pairs of tasks: module after module, a block of tasks at a time.

use ndarray::{Array2, Array3, Axis};
use rayon::prelude::*;

use super::stack::{Room, Stack};
use super::{Factors, Score};
use crate::error::{Error, Result};
use crate::linalg::simd::Path;
use crate::threads::Monitor;

/// Per task, per module, its factors; None where the task does not adapt the module.
pub type Updates<'a> = [Vec<Option<Factors<'a>>>];

/// Bytes of one side of a module laid out at once: 128 updates of a 1024 x 1024 weight of rank 16,
/// each of which meets 128 others before it is laid out again, which takes a hundredth of the time.
const BLOCK_BYTES: usize = 32 << 20;

/// What is asked about updates.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Which number is made of the inner products.
    pub score: Score,
    /// Instructions for products in single precision; None for double.
    pub single: Option<Path>,
}

impl Asked {
    /// That score, in double precision.
    pub fn of(score: Score) -> Self {
        let single = None;
        Self { score, single }
    }
}

/// Scores of the whole updates `[n_targets, n_sources]`; no `sources` means the targets.
pub fn matrix(
    targets: &Updates<'_>,
    sources: Option<&Updates<'_>>,
    asked: Asked,
    monitor: &Monitor,
) -> Result<Array2<f64>> {
    let grid = Grid::new(targets, sources)?;
    let mut sums = grid.zeros();
    for module in 0..grid.n_modules {
        sums.add(&grid.module(module, asked, monitor)?);
    }
    sums.finished(asked.score)
}

/// Scores module by module `[n_modules, n_targets, n_sources]`.
pub fn modules(
    targets: &Updates<'_>,
    sources: Option<&Updates<'_>>,
    asked: Asked,
    monitor: &Monitor,
) -> Result<Array3<f64>> {
    let grid = Grid::new(targets, sources)?;
    let (n_targets, n_sources) = grid.zeros().inner.dim();
    let mut scores = Array3::zeros((grid.n_modules, n_targets, n_sources));
    for (module, mut slot) in scores.axis_iter_mut(Axis(0)).enumerate() {
        slot.assign(&grid.module(module, asked, monitor)?.finished(asked.score)?);
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

    fn module(&self, module: usize, asked: Asked, monitor: &Monitor) -> Result<Products> {
        let (score, single) = (asked.score, asked.single);
        let mut products = self.zeros();
        let largest = self.largest(module);
        let bytes = 8 * largest[0] * (largest[1] + largest[2]);
        let together = Stack::n_tasks(largest, single);
        let step = (BLOCK_BYTES / bytes.max(1))
            .next_multiple_of(together)
            .max(together);
        let stacked = |updates: &Updates<'_>, first: usize| {
            let block = &updates[first..updates.len().min(first + step)];
            let packed = block
                .par_chunks(together)
                .enumerate()
                .map(|(number, tasks)| {
                    let tasks: Vec<Option<Factors<'_>>> =
                        tasks.iter().map(|task| task[module]).collect();
                    Stack::pack(first + number * together, &tasks, single)
                });
            packed.collect::<Result<Vec<_>>>()
        };
        for first_target in (0..self.targets.len()).step_by(step) {
            let targets = stacked(self.targets, first_target)?;
            if score == Score::Cosine && !self.is_square {
                add_squares(&mut products.target_squares, &targets);
            }
            for first_source in (0..self.sources.len()).step_by(step) {
                if self.is_square && first_source > first_target {
                    break;
                }
                let fresh = (!self.is_square || first_source != first_target)
                    .then(|| stacked(self.sources, first_source))
                    .transpose()?;
                let sources = fresh.as_ref().unwrap_or(&targets);
                if score == Score::Cosine && !self.is_square && first_target == 0 {
                    add_squares(&mut products.source_squares, sources);
                }
                self.block(&mut products.inner, &targets, sources, monitor)?;
            }
        }
        if self.is_square {
            products.target_squares = products.inner.diag().to_vec();
            products.source_squares = products.target_squares.clone();
        }
        Ok(products)
    }

    fn largest(&self, module: usize) -> [usize; 3] {
        let tasks = self.targets.iter().chain(self.sources);
        let sizes = tasks.filter_map(|task| task[module].map(|factors| factors.sizes));
        sizes.fold([0; 3], |[rank, n_in, n_out], sizes| {
            [rank.max(sizes[0]), n_in.max(sizes[1]), n_out.max(sizes[2])]
        })
    }

    fn block(
        &self,
        scores: &mut Array2<f64>,
        targets: &[Stack],
        sources: &[Stack],
        monitor: &Monitor,
    ) -> Result<()> {
        // Of a pair of tasks met twice, the one with the later target counts.
        let is_left_out = |target: usize, source: usize| self.is_square && source > target;
        let pairs: Vec<(&Stack, &Stack)> = targets
            .iter()
            .flat_map(|target| sources.iter().map(move |source| (target, source)))
            .filter(|(target, source)| !is_left_out(target.first, source.first))
            .collect();
        let found: Vec<Vec<f64>> = pairs
            .par_iter()
            .map_init(Room::default, |room, (targets, sources)| {
                let wanted = |row: usize, column: usize| {
                    !is_left_out(targets.first + row, sources.first + column)
                };
                let found = targets.products(sources, room, wanted);
                let n_mirrored = match (self.is_square, targets.first == sources.first) {
                    (true, false) => found.len(),
                    _ => 0,
                };
                monitor.tick(found.len() + n_mirrored)?;
                Ok(found)
            })
            .collect::<Result<_>>()?;
        for ((targets, sources), values) in pairs.iter().zip(found) {
            for (at, value) in values.into_iter().enumerate() {
                let target = targets.first + at / sources.len();
                let source = sources.first + at % sources.len();
                if !is_left_out(target, source) {
                    scores[[target, source]] = value;
                    if self.is_square {
                        scores[[source, target]] = value;
                    }
                }
            }
        }
        Ok(())
    }
}

fn add_squares(squares: &mut [f64], stacks: &[Stack]) {
    let found: Vec<Vec<f64>> = stacks
        .par_iter()
        .map_init(Room::default, |room, stack| {
            stack.products(stack, room, |row, column| row == column)
        })
        .collect();
    for (stack, values) in stacks.iter().zip(found) {
        for (task, value) in values.into_iter().step_by(stack.len() + 1).enumerate() {
            squares[stack.first + task] += value;
        }
    }
}
