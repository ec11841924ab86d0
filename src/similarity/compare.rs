//! One comparison from start to end: decide the frame, score every pair, look at the prompts.

use super::auto::{Decision, decide};
use super::centre::{Centre, Frame};
use super::diagonal::{Alignment, alignment};
use super::grid::Sides;
use super::prepare::Normalize;
use super::{Settings, similarity};
use crate::error::Result;
use crate::threads::Monitor;
use crate::tokens::Tokens;

/// Where the origin comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Origin {
    /// As asked.
    Fixed(Centre),
    /// Decided by the prompts.
    Auto,
}

/// Scores with what they stand on.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// `[n_targets, n_sources]`, row by row.
    pub scores: Vec<f64>,
    /// The decision, if one had to be made.
    pub decision: Option<Decision>,
    /// The sources as they were compared, for kernels that positions can capture.
    pub alignment: Option<Alignment>,
}

/// Scores all sources for all targets (None: for the sources themselves).
pub fn compare(
    sources: &Tokens,
    targets: Option<&Tokens>,
    settings: &Settings,
    normalize: Normalize,
    origin: &Origin,
    monitor: &Monitor,
) -> Result<Comparison> {
    let (decision, frame) = match origin {
        Origin::Fixed(centre) => (None, Frame::fit(centre, sources)?),
        Origin::Auto => {
            let decision = decide(sources, targets, monitor)?;
            let frame = Frame::fit(&decision.centre, sources)?;
            (Some(decision), frame)
        }
    };
    let sides = Sides {
        sources,
        targets,
        frame: &frame,
        normalize,
    };
    let scores = similarity(&sides, settings, monitor)?;
    let about = settings.kernel.about();
    let inspected = about.seeks_partners || about.needs_equal_length;
    let alignment = inspected
        .then(|| alignment(sources, &frame, monitor))
        .transpose()?;
    Ok(Comparison {
        scores,
        decision,
        alignment,
    })
}
