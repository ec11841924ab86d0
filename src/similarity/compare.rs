//! One comparison from start to end: decide the frame, score every pair, look at the prompts.

use super::auto::{Decision, decide, longest};
use super::centre::{Centre, Frame};
use super::diagonal::{Alignment, alignment};
use super::grid::Sides;
use super::means::{of_means, sees_means_only};
use super::prepare::Normalize;
use super::single::screen::Screen;
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

/// How the best partner of a token is found, where products are `f32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Screened where that is expected to be faster; the scores are those of `Exact`.
    Auto,
    /// Every product in `f32`.
    Exact,
    /// A screen in bfloat16, then every product that could be the largest; the scores of `Exact`.
    Screened,
    /// A screen in bfloat16, then the product that leads it.
    Approximate,
}

impl Method {
    /// The method called `name`.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "auto" => Ok(Self::Auto),
            "exact" => Ok(Self::Exact),
            "screened" => Ok(Self::Screened),
            "approximate" => Ok(Self::Approximate),
            _ => Err(Error::UnknownName(format!("method '{name}' is unknown"))),
        }
    }

    // Nothing where every product is made anyway.
    fn screen(self, rounds: bool, reduction: Reduction) -> Result<Option<Screen>> {
        let is_asked = matches!(self, Self::Screened | Self::Approximate);
        if rounds || reduction != Reduction::Best {
            return match is_asked {
                true => Err(Error::Value(UNSCREENED.into())),
                false => Ok(None),
            };
        }
        let certified = self != Self::Approximate;
        Ok(match self {
            Self::Exact => None,
            _ => Some(Screen::new(Path::for_screens()?, is_asked, certified)),
        })
    }
}

const UNSCREENED: &str = "method='screened' and 'approximate' find the best partner among float32 \
     products: use kernel='max_pairwise' with precision='float32' (or 'auto' and no float64 tokens), \
     or method='auto'";

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
    /// How partners are found.
    pub method: Method,
    /// Whether to look at the prompts as well as to score them.
    pub inspects: bool,
}

/// What a screen did: whether it was certified, its instructions, pairs of tokens it looked at, and
/// those of them multiplied in `f32`.
pub type Screened = (bool, &'static str, u64, u64);

/// Bound on the error of every score, the instructions used, and the screen, if there was one.
pub type Single = (f64, &'static str, Option<Screened>);

/// Scores with what they stand on.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// `[n_targets, n_sources]`, row by row.
    pub scores: Vec<f64>,
    /// The decision, if one had to be made.
    pub decision: Option<Decision>,
    /// The sources as they were compared, for kernels that positions can capture.
    pub alignment: Option<Alignment>,
    /// What is known of products where they were `f32`.
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
    let (scores, single) = scored(&sides, question, reduction, monitor)?;
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
    scored(&sides, question, reduction, monitor)
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
    question: &Question,
    reduction: Option<Reduction>,
    monitor: &Monitor,
) -> Result<(Vec<f64>, Option<Single>)> {
    let settings = &question.settings;
    if let Some(reduction) = reduction {
        let screen = question.method.screen(sides.rounds, reduction)?;
        let path = match sides.rounds {
            true => Path::for_bf16()?,
            false => Path::chosen()?,
        };
        let (scores, bound) =
            single::scores(path, screen.as_ref(), sides, settings, reduction, monitor)?;
        check_finite(&scores, sides.sources.n_tasks())?;
        let screened = screen.and_then(|screen| {
            let (n_pairs, n_exact) = screen.seen()?;
            Some((screen.is_certified, screen.path.name(), n_pairs, n_exact))
        });
        return Ok((scores, Some((bound, path.name(), screened))));
    }
    if matches!(question.method, Method::Screened | Method::Approximate) {
        return Err(Error::Value(UNSCREENED.into()));
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
