//! Scores of one comparison in single precision, whichever side looks for partners.

use super::pairs::{AllPairs, Found};
use super::rows::Rows;
use super::screen::{self, Screen};
use super::{Reduction, error_bound};
use crate::error::Result;
use crate::linalg::simd::Path;
use crate::similarity::centre::Frame;
use crate::similarity::grid::{Direction, Sides};
use crate::similarity::prepare::Normalize;
use crate::similarity::{Kernel, Settings, similarity};
use crate::threads::Monitor;
use crate::tokens::Stored;

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
    /// Whether tokens are rounded to bfloat16 first.
    pub rounds: bool,
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

/// Scores `[n_targets, n_sources]` by `path`, after the look of a screen if there is one, and a bound
/// on their error. Where the leader of an uncertified screen is taken for the best, two bounds of the
/// screen and of the chain may lie between them.
pub fn scores(
    path: Path,
    screen: Option<&Screen>,
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
    let sources = Rows::new(sides.sources, frame, normalize, sides.rounds);
    let stored = sides.targets.unwrap_or(sides.sources);
    let is_cosine = normalize == Normalize::Tokens;
    let pairs = AllPairs {
        path,
        seekers: sources,
        partners: Rows::new(stored, frame, normalize, sides.rounds),
        reduction,
        is_cosine,
        both: false,
        mirrored: false,
        counts: true,
        monitor,
    };
    let mut found = match sides.targets {
        None if reduction == Reduction::Best => mirrored(&pairs, screen, settings.direction)?,
        _ => directed(&pairs, screen, settings.direction)?,
    };
    replace_extraordinary(&mut found, sides, settings, monitor)?;
    let rounded = sides.rounds.then_some(found.moved);
    let bound = error_bound(sources.dim(), found.largest, rounded, reduction, is_cosine);
    let missed = match screen {
        Some(screen) if !screen.is_certified && screen.seen().is_some() => {
            let screened = Some(found.moved);
            2.0 * (bound
                + error_bound(sources.dim(), found.largest, screened, reduction, is_cosine))
        }
        _ => 0.0,
    };
    Ok((found.forth, bound + missed))
}

fn run(pairs: &AllPairs<'_>, screen: Option<&Screen>) -> Result<Found> {
    let screened = screen
        .map(|screen| screen::run(pairs, screen))
        .transpose()?;
    screened.flatten().map_or_else(|| pairs.run(), Ok)
}

// Each pair of one side is multiplied once: products and maxima do not depend on who looks.
fn mirrored(pairs: &AllPairs<'_>, screen: Option<&Screen>, direction: Direction) -> Result<Found> {
    let pairs = AllPairs {
        both: true,
        mirrored: true,
        ..*pairs
    };
    let mut found = run(&pairs, screen)?;
    let n_tasks = pairs.seekers.n_tasks();
    let turned = |cell: usize| cell % n_tasks * n_tasks + cell / n_tasks;
    let back = (0..found.forth.len()).map(|cell| found.forth[turned(cell)]);
    match direction {
        Direction::SourceToTarget => {}
        Direction::TargetToSource => found.forth = back.collect(),
        Direction::Symmetric => {
            let back: Vec<f64> = back.collect();
            halve(&mut found.forth, &back);
        }
    }
    Ok(found)
}

fn directed(pairs: &AllPairs<'_>, screen: Option<&Screen>, direction: Direction) -> Result<Found> {
    match direction {
        Direction::SourceToTarget => run(pairs, screen),
        Direction::TargetToSource => {
            let turned = AllPairs {
                seekers: pairs.partners,
                partners: pairs.seekers,
                ..*pairs
            };
            let (n_targets, n_sources) = (pairs.partners.n_tasks(), pairs.seekers.n_tasks());
            let found = run(&turned, screen)?;
            let place = |cell: usize| cell % n_sources * n_targets + cell / n_sources;
            let cells = 0..found.forth.len();
            Ok(Found {
                forth: cells.map(|cell| found.forth[place(cell)]).collect(),
                back: Vec::new(),
                largest: (found.largest.1, found.largest.0),
                moved: (found.moved.1, found.moved.0),
                extraordinary: (found.extraordinary.1, found.extraordinary.0),
            })
        }
        Direction::Symmetric if pairs.reduction == Reduction::Best => {
            let both = AllPairs {
                both: true,
                ..*pairs
            };
            let mut found = run(&both, screen)?;
            halve(&mut found.forth, &found.back);
            Ok(found)
        }
        Direction::Symmetric => {
            let silent = AllPairs {
                counts: false,
                ..*pairs
            };
            let mut found = silent.run()?;
            let back = directed(pairs, None, Direction::TargetToSource)?;
            halve(&mut found.forth, &back.forth);
            Ok(found)
        }
    }
}

fn halve(forth: &mut [f64], back: &[f64]) {
    for (forth, back) in forth.iter_mut().zip(back) {
        *forth = 0.5 * (*forth + back);
    }
}

// Prompts whose products would leave the range of `f32` are compared in `f64`, pair by pair.
fn replace_extraordinary(
    found: &mut Found,
    sides: &StoredSides<'_>,
    settings: &Settings,
    monitor: &Monitor,
) -> Result<()> {
    let (sources, targets) = &found.extraordinary;
    if sources.is_empty() && targets.is_empty() {
        return Ok(());
    }
    let n_sources = sides.sources.n_tasks();
    let stored = sides.targets.unwrap_or(sides.sources);
    for (cell, score) in found.forth.iter_mut().enumerate() {
        let (target, source) = (cell / n_sources, cell % n_sources);
        let is_wide =
            sources.binary_search(&source).is_ok() || targets.binary_search(&target).is_ok();
        if is_wide {
            let (source, target) = (sides.sources.alone(source), stored.alone(target));
            let sides = Sides {
                sources: &source,
                targets: Some(&target),
                frame: sides.frame,
                normalize: sides.normalize,
            };
            *score = similarity(&sides, settings, &Monitor::default())?[0];
            monitor.tick(0)?;
        }
    }
    Ok(())
}
