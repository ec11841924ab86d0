//! One comparison from start to end: decide the frame, score every pair, look at the prompts.

use super::auto::{Decision, decide, longest};
use super::centre::{Centre, Frame};
use super::diagonal::{Alignment, alignment};
use super::grid::Sides;
use super::means::{of_means, sees_means_only};
use super::prepare::Normalize;
use super::single::{self, Reduction, StoredSides};
use super::{Settings, check_finite, similarity};
use crate::error::{Error, Result};
use crate::linalg::simd::Path;
use crate::threads::Monitor;
use crate::tokens::Stored;

/// Where the origin comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Origin {
    /// As asked.
    Fixed(Centre),
    /// Decided by the prompts.
    Auto,
}

/// In which numbers tokens are multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// `f32` where all tokens are stored in no more and the kernel has that form, else `f64`.
    Auto,
    /// `f32` products, `f64` means.
    Single,
    /// Tokens rounded to bfloat16, their products added in `f32`, `f64` means.
    Half,
    /// `f64` throughout.
    Double,
}

impl Precision {
    /// The precision called `name`.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "auto" => Ok(Self::Auto),
            "float32" => Ok(Self::Single),
            "bf16" => Ok(Self::Half),
            "float64" => Ok(Self::Double),
            _ => Err(Error::UnknownName(format!("precision '{name}' is unknown"))),
        }
    }
}

/// What is asked about two sides.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Which score.
    pub settings: Settings,
    /// What is done to the length of tokens.
    pub normalize: Normalize,
    /// Where the coordinates start.
    pub origin: Origin,
    /// In which numbers.
    pub precision: Precision,
    /// Whether to look at the prompts as well as to score them.
    pub inspects: bool,
}

/// Bound on the error of every score, and the instructions used.
pub type Single = (f64, &'static str);

/// Scores with what they stand on.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// `[n_targets, n_sources]`, row by row.
    pub scores: Vec<f64>,
    /// The decision, if one had to be made.
    pub decision: Option<Decision>,
    /// The sources as they were compared, for kernels that positions can capture.
    pub alignment: Option<Alignment>,
    /// Bound on the error of every score and the instructions used, where products were `f32`.
    pub single: Option<Single>,
}

/// Scores all sources for all targets (None: for the sources themselves).
pub fn compare(
    sources: Stored<'_>,
    targets: Option<Stored<'_>>,
    question: &Question,
    monitor: &Monitor,
) -> Result<Comparison> {
    let settings = &question.settings;
    let about = settings.kernel.about();
    let reduction = in_single(question, sources, targets)?;
    let inspects = question.inspects && (about.seeks_partners || about.needs_equal_length);
    let (decision, frame) = match &question.origin {
        Origin::Fixed(centre) => (None, Frame::fit(centre, &sources)?),
        Origin::Auto => {
            let longest = targets.map(|targets| longest(targets.offsets()));
            let decision = decide(&sources, longest, monitor)?;
            let frame = Frame::fit(&decision.centre, &sources)?;
            (Some(decision), frame)
        }
    };
    let sides = StoredSides {
        sources,
        targets,
        frame: &frame,
        normalize: question.normalize,
        rounds: question.precision == Precision::Half,
    };
    let (scores, single) = scored(&sides, settings, reduction, monitor)?;
    let alignment = inspects
        .then(|| alignment(&sources, &frame, monitor))
        .transpose()?;
    Ok(Comparison {
        scores,
        decision,
        alignment,
        single,
    })
}

/// Scores of some sources for some targets (None: for themselves, each pair multiplied once), in
/// the frame of a larger comparison.
pub fn part(
    sources: Stored<'_>,
    targets: Option<Stored<'_>>,
    frame: &Frame,
    question: &Question,
    monitor: &Monitor,
) -> Result<(Vec<f64>, Option<Single>)> {
    let reduction = in_single(question, sources, targets)?;
    let sides = StoredSides {
        sources,
        targets,
        frame,
        normalize: question.normalize,
        rounds: question.precision == Precision::Half,
    };
    scored(&sides, &question.settings, reduction, monitor)
}

/// Whether tokens are multiplied in single precision.
pub fn is_single(
    question: &Question,
    sources: Stored<'_>,
    targets: Option<Stored<'_>>,
) -> Result<bool> {
    Ok(in_single(question, sources, targets)?.is_some())
}

// Scores, with their bound and instructions where products are `f32`. Only kernels that see every
// token in `f64` widen them all.
fn scored(
    sides: &StoredSides<'_>,
    settings: &Settings,
    reduction: Option<Reduction>,
    monitor: &Monitor,
) -> Result<(Vec<f64>, Option<Single>)> {
    if let Some(reduction) = reduction {
        let path = match sides.rounds {
            true => Path::for_bf16()?,
            false => Path::chosen()?,
        };
        let (scores, bound) = single::scores(path, sides, settings, reduction, monitor)?;
        check_finite(&scores, sides.sources.n_tasks())?;
        return Ok((scores, Some((bound, path.name()))));
    }
    if sees_means_only(settings.kernel) {
        return Ok((of_means(sides, settings.kernel, monitor)?, None));
    }
    let targets = sides.targets.map(|targets| targets.widen());
    let wide = Sides {
        sources: &sides.sources.widen(),
        targets: targets.as_ref(),
        frame: sides.frame,
        normalize: sides.normalize,
    };
    Ok((similarity(&wide, settings, monitor)?, None))
}

// How single precision reduces, if it is asked for or costs nothing that the tokens have.
fn in_single(
    question: &Question,
    sources: Stored<'_>,
    targets: Option<Stored<'_>>,
) -> Result<Option<Reduction>> {
    let reduction = Reduction::of(&question.settings);
    let is_double = |stored: Stored<'_>| matches!(stored, Stored::F64(_));
    match question.precision {
        Precision::Double => Ok(None),
        Precision::Auto if is_double(sources) || targets.is_some_and(is_double) => Ok(None),
        Precision::Auto => Ok(reduction),
        Precision::Single | Precision::Half if reduction.is_none() => Err(Error::Value(format!(
            "precision='{}': {} has no single-precision form; max_pairwise, topk_mean and \
             soft_max have; use precision='auto'",
            if question.precision == Precision::Half {
                "bf16"
            } else {
                "float32"
            },
            question.settings.kernel.about().name
        ))),
        Precision::Single | Precision::Half => Ok(reduction),
    }
}
