//! The best preconditioner W for given shifts and scales: one linear system.
//!
//! Every task asks for `Sx W (n T Sx) c^2 = n Sx A Sx c`, with
//! `T = (n+1) Sx A + Sx m m' + (tr(Sx A) + m' Sx m + s2) I`; W answers the weighted sum.
//! Where all tasks share Sx it drops out and `W (sum c^2 T) = sum c A` is a d by d system;
//! otherwise vec(W) solves `sum (T Sx) (x) Sx`, a symmetric positive definite d^2 by d^2 system.
//! No inverse is ever formed. Source: docs/icl.md, steps 3 and 5.

use faer::linalg::solvers::Solve;
use faer::{Col, Mat, Scale, Side};

use super::matrices::{condition_number, eigenvalues, outer, quadratic, trace_of_product};
use super::mixture::Mixture;
use crate::error::{Error, Result};

/// Which linear system is solved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Solver {
    /// d by d; needs inputs shared by all tasks.
    Compact,
    /// d^2 by d^2; always applies.
    Kronecker,
}

impl Solver {
    /// The name users see.
    pub fn name(self) -> &'static str {
        match self {
            Solver::Compact => "compact",
            Solver::Kronecker => "kronecker",
        }
    }

    /// The solver of that name; "auto" takes the compact one where it applies.
    pub fn parse(name: &str, mixture: &Mixture) -> Result<Self> {
        match (name, mixture.has_shared_inputs()) {
            ("auto" | "compact", true) => Ok(Solver::Compact),
            ("auto" | "kronecker", _) => Ok(Solver::Kronecker),
            ("compact", false) => Err(Error::Mixture(
                "solver 'compact' needs inputs shared by all tasks; use 'kronecker' or 'auto'"
                    .into(),
            )),
            _ => Err(Error::UnknownName(format!(
                "unknown solver '{name}', expected one of auto, compact, kronecker"
            ))),
        }
    }
}

/// What one task asks of W: learn `moment` (A), in spite of a mean `offset` (m) nobody removed.
#[derive(Debug, Clone)]
pub struct Demand {
    /// Second moment A of what W should learn.
    pub moment: Mat<f64>,
    /// Mean m that fluctuates with the examples although its average is accounted for.
    pub offset: Col<f64>,
    /// Scale c of the task's head.
    pub scale: f64,
}

/// The solution, and how well posed it was.
#[derive(Debug, Clone)]
pub struct Solution {
    /// Preconditioner W.
    pub preconditioner: Mat<f64>,
    /// Ratio of extreme singular values of the matrix that was solved.
    pub condition_number: f64,
}

/// Solves for W; `demands` holds one entry per task.
pub fn solve(
    mixture: &Mixture,
    n_examples: usize,
    demands: &[Demand],
    solver: Solver,
) -> Result<Solution> {
    let dim = mixture.dim();
    if n_examples == 0 {
        // Without examples W multiplies nothing. The identity lets prompts write any bias.
        return Ok(Solution {
            preconditioner: Mat::identity(dim, dim),
            condition_number: 1.0,
        });
    }
    let is_silent = mixture.occurring().all(|(task, _)| {
        let (moment, offset) = (&demands[task].moment, &demands[task].offset);
        demands[task].scale == 0.0
            || (mixture.noise(task) == 0.0 && moment.norm_max() == 0.0 && offset.norm_max() == 0.0)
    });
    if is_silent {
        // Nothing to learn and nothing to resist: 0 / 0, and W = 0 is the limit from any noise.
        return Ok(Solution {
            preconditioner: Mat::zeros(dim, dim),
            condition_number: f64::INFINITY,
        });
    }
    match solver {
        Solver::Compact => solve_compact(mixture, n_examples, demands),
        Solver::Kronecker => solve_kronecker(mixture, n_examples, demands),
    }
}

fn system(mixture: &Mixture, n_examples: usize, task: usize, demand: &Demand) -> Mat<f64> {
    let (input, offset) = (mixture.input(task), demand.offset.as_ref());
    let level = trace_of_product(input, demand.moment.as_ref())
        + quadratic(offset, input, offset)
        + mixture.noise(task);
    let mut matrix =
        Scale(n_examples as f64 + 1.0) * (input * &demand.moment) + input * outer(offset);
    for index in 0..mixture.dim() {
        matrix[(index, index)] += level;
    }
    matrix
}

fn solve_compact(mixture: &Mixture, n_examples: usize, demands: &[Demand]) -> Result<Solution> {
    let dim = mixture.dim();
    let (mut left, mut right) = (Mat::<f64>::zeros(dim, dim), Mat::<f64>::zeros(dim, dim));
    for (task, weight) in mixture.occurring() {
        let demand = &demands[task];
        let matrix = system(mixture, n_examples, task, demand);
        left += Scale(weight * demand.scale * demand.scale) * matrix;
        right += Scale(weight * demand.scale) * &demand.moment;
    }
    let transposed = left.transpose().partial_piv_lu().solve(right.transpose());
    Ok(Solution {
        preconditioner: transposed.transpose().to_owned(),
        condition_number: condition_number(left.as_ref())?,
    })
}

fn solve_kronecker(mixture: &Mixture, n_examples: usize, demands: &[Demand]) -> Result<Solution> {
    let dim = mixture.dim();
    let mut left = Mat::<f64>::zeros(dim * dim, dim * dim);
    let mut right = Mat::<f64>::zeros(dim, dim);
    for (task, weight) in mixture.occurring() {
        let (demand, input) = (&demands[task], mixture.input(task));
        let gram = system(mixture, n_examples, task, demand) * input;
        let factor = weight * demand.scale * demand.scale;
        for block_column in 0..dim {
            for block_row in 0..dim {
                let entry = factor * gram[(block_row, block_column)];
                for column in 0..dim {
                    for row in 0..dim {
                        left[(block_row * dim + row, block_column * dim + column)] +=
                            entry * input[(row, column)];
                    }
                }
            }
        }
        right += Scale(weight * demand.scale) * (input * &demand.moment * input);
    }
    let stacked = Col::from_fn(dim * dim, |index| right[(index % dim, index / dim)]);
    let factor = left.llt(Side::Lower).map_err(|_| {
        Error::Mixture(
            "the system for W is singular to rounding: some task vectors or inputs have \
             covariances many orders apart; rescale the inputs"
                .into(),
        )
    })?;
    let solution = factor.solve(&stacked);
    let values = eigenvalues(left.as_ref())?;
    Ok(Solution {
        preconditioner: Mat::from_fn(dim, dim, |row, column| solution[column * dim + row]),
        condition_number: values[values.len() - 1] / values[0],
    })
}
