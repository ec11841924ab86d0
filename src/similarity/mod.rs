//! How close two tasks are, token by token. The registry: every kernel by name, what it promises,
//! and the one call that scores all sources for all targets.

mod auto;
mod bigram;
mod candidates;
mod centre;
mod chamfer;
mod compare;
mod diagonal;
mod euclidean_average;
mod euclidean_concat;
mod feature_mean;
mod flatten;
mod grid;
mod linear_cka;
pub mod low_rank;
mod max_pairwise;
mod mean_pairwise;
mod means;
mod optimal_assignment;
mod prepare;
mod reduce;
mod rule;
mod saturation;
mod single;
mod sketch;
mod soft_max;
pub mod task2vec;
mod topk_mean;
mod unigram;

use crate::error::{Error, Result};
use crate::threads::Monitor;
use crate::tokens::Tokens;

pub use auto::{Decision, decide, longest};
pub use candidates::largest_products;
pub use centre::{Centre, Frame, centred, mean_of_sums, token_sums};
pub use compare::{
    Comparison, Method, Origin, Precision, Question, Screened, Single, compare, is_single, part,
};
pub use diagonal::{Alignment, alignment};
pub use grid::{Direction, Sides};
pub use prepare::Normalize;
pub use rule::About;
pub use saturation::{Saturation, Spread, saturation, spread};
pub use sketch::{Vector, sketch};

use grid::Grid;
use single::StoredSides;

/// Every kernel there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "`about` documents each")]
pub enum Kernel {
    FeatureMean,
    MeanPairwise,
    MaxPairwise,
    TopkMean,
    SoftMax,
    OptimalAssignment,
    Chamfer,
    Flatten,
    Bigram,
    Unigram,
    LinearCka,
    EuclideanConcat,
    EuclideanAverage,
}

/// A kernel with everything it needs beyond tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Which score.
    pub kernel: Kernel,
    /// Which side looks for partners; ignored by symmetric kernels.
    pub direction: Direction,
    /// Partners per token, for `topk_mean`.
    pub k: usize,
    /// Smoothness, for `soft_max`.
    pub temperature: f64,
}

impl Kernel {
    /// In the order users see.
    pub const ALL: [Kernel; 13] = [
        Kernel::FeatureMean,
        Kernel::MeanPairwise,
        Kernel::MaxPairwise,
        Kernel::TopkMean,
        Kernel::SoftMax,
        Kernel::OptimalAssignment,
        Kernel::Chamfer,
        Kernel::Flatten,
        Kernel::Bigram,
        Kernel::Unigram,
        Kernel::LinearCka,
        Kernel::EuclideanConcat,
        Kernel::EuclideanAverage,
    ];

    /// What the kernel says about itself.
    pub fn about(self) -> &'static About {
        match self {
            Kernel::FeatureMean => &feature_mean::ABOUT,
            Kernel::MeanPairwise => &mean_pairwise::ABOUT,
            Kernel::MaxPairwise => &max_pairwise::ABOUT,
            Kernel::TopkMean => &topk_mean::ABOUT,
            Kernel::SoftMax => &soft_max::ABOUT,
            Kernel::OptimalAssignment => &optimal_assignment::ABOUT,
            Kernel::Chamfer => &chamfer::ABOUT,
            Kernel::Flatten => &flatten::ABOUT,
            Kernel::Bigram => &bigram::ABOUT,
            Kernel::Unigram => &unigram::ABOUT,
            Kernel::LinearCka => &linear_cka::ABOUT,
            Kernel::EuclideanConcat => &euclidean_concat::ABOUT,
            Kernel::EuclideanAverage => &euclidean_average::ABOUT,
        }
    }

    /// The kernel called `name`.
    pub fn named(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|kernel| kernel.about().name == name)
            .ok_or_else(|| Error::UnknownName(format!("kernel '{name}' is unknown")))
    }
}

/// Scores `[n_targets, n_sources]`, row by row; every one of them finite.
pub fn similarity(sides: &Sides<'_>, settings: &Settings, monitor: &Monitor) -> Result<Vec<f64>> {
    let about = settings.kernel.about();
    if about.needs_equal_length {
        check_equal_length(about.name, sides)?;
    }
    // A symmetric kernel has one direction, whatever is asked.
    let direction = if about.symmetric {
        Direction::SourceToTarget
    } else {
        settings.direction
    };
    let grid = Grid {
        sides,
        direction,
        monitor,
    };
    let scores = match settings.kernel {
        Kernel::FeatureMean | Kernel::MeanPairwise => {
            let sides = StoredSides {
                sources: sides.sources.stored(),
                targets: sides.targets.map(Tokens::stored),
                frame: sides.frame,
                normalize: sides.normalize,
                rounds: false,
            };
            return means::of_means(&sides, settings.kernel, monitor);
        }
        Kernel::MaxPairwise => grid.scores(&max_pairwise::MaxPairwise),
        Kernel::TopkMean => grid.scores(&topk_mean::TopkMean { k: settings.k }),
        Kernel::SoftMax => grid.scores(&soft_max::SoftMax {
            temperature: settings.temperature,
        }),
        Kernel::OptimalAssignment => grid.scores(&optimal_assignment::OptimalAssignment),
        Kernel::Chamfer => grid.scores(&chamfer::Chamfer),
        Kernel::Flatten => grid.scores(&flatten::Flatten),
        Kernel::Bigram => grid.scores(&bigram::Bigram),
        Kernel::Unigram => grid.scores(&unigram::Unigram),
        Kernel::LinearCka => grid.scores(&linear_cka::LinearCka),
        Kernel::EuclideanConcat => grid.scores(&euclidean_concat::EuclideanConcat),
        Kernel::EuclideanAverage => grid.scores(&euclidean_average::EuclideanAverage),
    }?;
    check_finite(&scores, sides.sources.n_tasks())?;
    Ok(scores)
}

fn check_equal_length(kernel: &str, sides: &Sides<'_>) -> Result<()> {
    let first = sides.sources.task(0).n_tokens();
    for tokens in std::iter::once(sides.sources).chain(sides.targets) {
        for task in 0..tokens.n_tasks() {
            let found = tokens.task(task).n_tokens();
            if found != first {
                return Err(Error::Shape(format!(
                    "{kernel} sets equal positions against each other, but one task has {first} \
                     tokens and another {found}"
                )));
            }
        }
    }
    Ok(())
}

fn check_finite(scores: &[f64], n_sources: usize) -> Result<()> {
    match scores.iter().position(|score| !score.is_finite()) {
        None => Ok(()),
        Some(cell) => Err(Error::NonFinite(format!(
            "the score of source number {} for target number {} left the range of float64; \
             use normalize='tokens' or smaller numbers",
            cell % n_sources,
            cell / n_sources
        ))),
    }
}

#[cfg(test)]
mod tests;
