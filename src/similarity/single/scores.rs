//! Scores of one comparison in single precision, whichever side looks for partners.

use super::pairs::{AllPairs, Found};
use super::rows::Rows;
use super::{Reduction, error_bound};
use crate::error::Result;
use crate::linalg::simd::Path;
use crate::similarity::centre::Frame;
use crate::similarity::grid::{Direction, Sides};
use crate::similarity::prepare::Normalize;
use crate::similarity::{Kernel, Settings, similarity};
use crate::threads::Monitor;
use crate::tokens::{Stored, Tokens};

/// Both sides as they are stored; without targets the sources are their own.
#[derive(Debug, Clone, Copy)]
pub struct StoredSides<'a> {
    /// Tasks that may be transferred from.
    pub sources: Stored<'a>,
    /// Tasks that are transferred to, or None for the sources themselves.
    pub targets: Option<Stored<'a>>,
    /// Origin of the coordinates.
    pub frame: &'a Frame,
    /// What is done to the length of tokens.
    pub normalize: Normalize,
}

impl Reduction {
    /// What the kernel does with the scores of a token, if it has a single-precision form.
    pub fn of(settings: &Settings) -> Option<Self> {
        match settings.kernel {
            Kernel::MaxPairwise => Some(Self::Best),
            Kernel::TopkMean => Some(Self::Largest(settings.k)),
            Kernel::SoftMax => Some(Self::Soft(settings.temperature)),
            _ => None,
        }
    }
}

/// Scores `[n_targets, n_sources]` by `path`, and a bound on their error.
pub fn scores(
    path: Path,
    sides: &StoredSides<'_>,
    settings: &Settings,
    reduction: Reduction,
    monitor: &Monitor,
) -> Result<(Vec<f64>, f64)> {
    let StoredSides {
        frame, normalize, ..
    } = *sides;
    let rows = |stored: Stored<'_>| frame.check(stored.offsets());
    rows(sides.sources)?;
    sides.targets.map_or(Ok(()), rows)?;
    let sources = Rows::new(sides.sources, frame, normalize);
    let other = sides
        .targets
        .map(|targets| Rows::new(targets, frame, normalize));
    let targets = other.as_ref().unwrap_or(&sources);
    let is_cosine = normalize == Normalize::Tokens;
    let pairs = AllPairs {
        path,
        seekers: &sources,
        partners: targets,
        reduction,
        is_cosine,
        both: false,
        counts: true,
        monitor,
    };
    let mut scores = directed(&pairs, settings.direction)?;
    replace_extraordinary(&mut scores, &pairs, sides, settings)?;
    let bound = error_bound(&sources, targets, reduction, is_cosine);
    Ok((scores, bound))
}

fn directed(pairs: &AllPairs<'_>, direction: Direction) -> Result<Vec<f64>> {
    match direction {
        Direction::SourceToTarget => Ok(pairs.run()?.forth),
        Direction::TargetToSource => {
            let (seekers, partners) = (pairs.partners, pairs.seekers);
            let turned = AllPairs {
                seekers,
                partners,
                ..*pairs
            };
            let n_targets = seekers.n_tasks();
            let found = turned.run()?.forth;
            let cells = 0..found.len();
            let n_sources = partners.n_tasks();
            let place = |cell: usize| cell % n_sources * n_targets + cell / n_sources;
            Ok(cells.map(|cell| found[place(cell)]).collect())
        }
        Direction::Symmetric if pairs.reduction == Reduction::Best => {
            let both = AllPairs {
                both: true,
                ..*pairs
            };
            let Found { forth, back } = both.run()?;
            Ok(halves(forth, &back))
        }
        Direction::Symmetric => {
            let silent = AllPairs {
                counts: false,
                ..*pairs
            };
            let forth = directed(&silent, Direction::SourceToTarget)?;
            Ok(halves(forth, &directed(pairs, Direction::TargetToSource)?))
        }
    }
}

fn halves(mut forth: Vec<f64>, back: &[f64]) -> Vec<f64> {
    for (forth, back) in forth.iter_mut().zip(back) {
        *forth = 0.5 * (*forth + back);
    }
    forth
}

// Prompts whose products would leave the range of `f32` are compared in `f64`, pair by pair.
fn replace_extraordinary(
    scores: &mut [f64],
    pairs: &AllPairs<'_>,
    sides: &StoredSides<'_>,
    settings: &Settings,
) -> Result<()> {
    let (sources, targets) = (pairs.seekers, pairs.partners);
    if sources.extraordinary.is_empty() && targets.extraordinary.is_empty() {
        return Ok(());
    }
    let n_sources = sources.n_tasks();
    let stored = sides.targets.unwrap_or(sides.sources);
    for (cell, score) in scores.iter_mut().enumerate() {
        let (target, source) = (cell / n_sources, cell % n_sources);
        let is_wide = sources.extraordinary.binary_search(&source).is_ok()
            || targets.extraordinary.binary_search(&target).is_ok();
        if is_wide {
            let (source, target) = (alone(sides.sources, source), alone(stored, target));
            let sides = Sides {
                sources: &source,
                targets: Some(&target),
                frame: sides.frame,
                normalize: sides.normalize,
            };
            *score = similarity(&sides, settings, &Monitor::default())?[0];
            pairs.monitor.tick(0)?;
        }
    }
    Ok(())
}

fn alone(stored: Stored<'_>, task: usize) -> Tokens {
    let bounds = stored.offsets();
    let rows = bounds[task]..bounds[task + 1];
    Tokens {
        offsets: vec![0, rows.len()],
        dim: stored.dim(),
        buffer: stored.widen_rows(rows),
    }
}
