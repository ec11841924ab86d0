//! The distances of Task2Vec between Fisher diagonals, as similarities.
//!
//! Formula     with h the diagonals, v = 1 / h and u(h, g) = h / (h + g + 1e-8):
//!             cosine(a, b) = cos(u(a, b), u(b, a))
//!             asymmetric(a, b) = alpha d(a, t) - d(a, b), d = 1 - cosine, t the trivial task
//!             kl(a, b) = -sum max(K(v_a, v_b), K(v_b, v_a)), K(v, w) = (v/w - 1 - ln(v/w)) / 2
//!             jsd(a, b) = -mean (K(v_a, m) + K(v_b, m)) / 2, m = (v_a + v_b) / 2
//! Shapes      one token `[dim]` a side, no number negative; kl and jsd: all positive
//! Range       cosine 0 to 1; asymmetric -1 to alpha; kl at most 0; jsd at most 0
//! Promises    cosine, kl, jsd symmetric bit for bit; asymmetric has source a and target b; kl and
//!             jsd are scale-free (both sides together)
//! Zero rows   cosine 0, even with itself; kl and jsd refuse zeros
//! NaN         refused at the door
//! Precision   f64, coordinates in order
//! Cost        a few operations per coordinate; kl one logarithm, jsd two
//!
//! The asymmetric score is 0 where the credit for the source's complexity, alpha d(a, t), pays
//! exactly for its distance to the target: above 0 the source is closer than that, below 0 it is
//! farther. The trivial task scores -d(t, b) for every target b and 0 for itself.
//!
//! Achille et al. 2019, section 4.2; `kl`, `jsd` and 1e-8 as in the authors' code.

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::threads::Monitor;
use crate::tokens::Tokens;

// The authors' guard against 0 / 0. It makes the cosine blind to diagonals far below it.
const GUARD: f64 = 1e-8;

/// Which number is made of two diagonals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Score<'a> {
    /// Normalised cosine.
    Cosine,
    /// Distance less credit: the trivial task, alpha.
    Asymmetric(&'a [f64], f64),
    /// Negative larger divergence of the two, summed.
    Kl,
    /// Negative Jensen-Shannon divergence, averaged.
    Jsd,
}

/// Names, in the order of the variants.
pub const NAMES: [&str; 4] = [
    "task2vec_cosine",
    "task2vec_asymmetric",
    "task2vec_kl",
    "task2vec_jsd",
];

impl<'a> Score<'a> {
    /// The score of that name; the trivial task and alpha belong to the asymmetric one alone.
    pub fn from_name(name: &str, trivial: Option<&'a [f64]>, alpha: f64) -> Result<Self> {
        match (name, trivial) {
            ("task2vec_cosine", _) => Ok(Self::Cosine),
            ("task2vec_asymmetric", Some(trivial)) => Ok(Self::Asymmetric(trivial, alpha)),
            ("task2vec_asymmetric", None) => Err(Error::Value(
                "task2vec_asymmetric needs the Fisher diagonal of a trivial task".into(),
            )),
            ("task2vec_kl", _) => Ok(Self::Kl),
            ("task2vec_jsd", _) => Ok(Self::Jsd),
            _ => Err(Error::UnknownName(format!(
                "kernel '{name}' does not compare Fisher diagonals; known are: {}",
                NAMES.join(", ")
            ))),
        }
    }

    fn of(&self, source: &[f64], target: &[f64]) -> f64 {
        match self {
            Score::Cosine => cosine(source, target),
            Score::Asymmetric(trivial, alpha) => {
                alpha * (1.0 - cosine(source, trivial)) - (1.0 - cosine(source, target))
            }
            // v_a / v_b = h_b / h_a.
            Score::Kl => -sum(source, target, |h, g| {
                larger(divergence(g / h), divergence(h / g))
            }),
            Score::Jsd => {
                let both = |h: f64, g: f64| {
                    let (v, w) = (share(g, h, 0.0), share(h, g, 0.0));
                    0.5 * (divergence(2.0 * v) + divergence(2.0 * w))
                };
                -sum(source, target, both) / source.len() as f64
            }
        }
    }
}

fn sum(source: &[f64], target: &[f64], term: impl Fn(f64, f64) -> f64) -> f64 {
    let pairs = source.iter().zip(target);
    pairs.fold(0.0, |sum, (&h, &g)| sum + term(h, g))
}

/// Divergence of two centred normals with this ratio of variances.
fn divergence(ratio: f64) -> f64 {
    let value = 0.5 * (ratio - 1.0 - ratio.ln());
    // Rounding must not make a divergence negative; NaN stays NaN.
    if value < 0.0 { 0.0 } else { value }
}

/// The larger of two, NaN if one is (`f64::max` would hide it).
fn larger(first: f64, second: f64) -> f64 {
    if first > second || first.is_nan() {
        first
    } else {
        second
    }
}

/// `part / (part + rest + guard)`, also where that sum leaves the range of numbers.
fn share(part: f64, rest: f64, guard: f64) -> f64 {
    let total = part + rest + guard;
    if total.is_finite() {
        part / total
    } else {
        0.5 * part / (0.5 * part + 0.5 * rest)
    }
}

fn cosine(source: &[f64], target: &[f64]) -> f64 {
    let (mut inner, mut of_source, mut of_target) = (0.0, 0.0, 0.0);
    for (&h, &g) in source.iter().zip(target) {
        let (u, w) = (share(h, g, GUARD), share(g, h, GUARD));
        inner += u * w;
        of_source += u * u;
        of_target += w * w;
    }
    let norms = of_source.sqrt() * of_target.sqrt();
    if norms == 0.0 {
        0.0
    } else {
        (inner / norms).min(1.0)
    }
}

/// Scores `[n_targets, n_sources]`, row by row; without targets the sources are their own.
pub fn matrix(
    sources: &Tokens,
    targets: Option<&Tokens>,
    score: Score<'_>,
    monitor: &Monitor,
) -> Result<Vec<f64>> {
    let needs_positive = matches!(score, Score::Kl | Score::Jsd);
    let targets = targets.unwrap_or(sources);
    for (role, tokens) in [("source", sources), ("target", targets)] {
        check(role, tokens, sources.dim, needs_positive)?;
    }
    if let Score::Asymmetric(trivial, alpha) = score {
        if trivial.len() != sources.dim || !alpha.is_finite() {
            return Err(Error::Shape(format!(
                "the trivial task has {} numbers, the tasks have {}; alpha is {alpha}",
                trivial.len(),
                sources.dim
            )));
        }
        if let Some(at) = trivial.iter().position(|h| !(*h >= 0.0 && h.is_finite())) {
            return Err(refused("the trivial task", at, trivial[at], false));
        }
    }
    let n_sources = sources.n_tasks();
    (0..n_sources * targets.n_tasks())
        .into_par_iter()
        .map(|cell| {
            let (source, target) = (
                row(sources, cell % n_sources),
                row(targets, cell / n_sources),
            );
            monitor.tick(1)?;
            let found = score.of(source, target);
            if found.is_finite() {
                return Ok(found);
            }
            Err(Error::NonFinite(format!(
                "the score of source number {} for target number {} left the range of float64; \
                 rescale the Fisher diagonals",
                cell % n_sources,
                cell / n_sources
            )))
        })
        .collect()
}

fn row(tokens: &Tokens, task: usize) -> &[f64] {
    &tokens.buffer[task * tokens.dim..(task + 1) * tokens.dim]
}

fn check(role: &str, tokens: &Tokens, dim: usize, needs_positive: bool) -> Result<()> {
    if tokens.dim != dim {
        return Err(Error::Shape(format!(
            "sources have dim {dim}, targets have dim {}, expected equal widths",
            tokens.dim
        )));
    }
    for (task, bounds) in tokens.offsets.windows(2).enumerate() {
        if bounds[1] - bounds[0] != 1 {
            return Err(Error::Shape(format!(
                "{role} number {task} has {} tokens; a Fisher diagonal is one token",
                bounds[1] - bounds[0]
            )));
        }
    }
    for task in 0..tokens.n_tasks() {
        let bad = |h: &f64| *h < 0.0 || (needs_positive && *h == 0.0);
        if let Some(at) = row(tokens, task).iter().position(bad) {
            let label = format!("{role} number {task}");
            return Err(refused(&label, at, row(tokens, task)[at], needs_positive));
        }
    }
    Ok(())
}

fn refused(label: &str, at: usize, value: f64, needs_positive: bool) -> Error {
    let wanted = if needs_positive {
        "positive numbers, since a variance is 1 / h; drop coordinates that never get a gradient"
    } else {
        "a Fisher diagonal, which is never negative"
    };
    Error::Value(format!(
        "{label}: coordinate {at} is {value}, expected {wanted}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(rows: &[[f64; 2]]) -> Tokens {
        Tokens {
            buffer: rows.concat(),
            offsets: (0..=rows.len()).collect(),
            dim: 2,
        }
    }

    fn scores(rows: &[[f64; 2]], score: Score<'_>) -> Result<Vec<f64>> {
        matrix(&tokens(rows), None, score, &Monitor::default())
    }

    #[test]
    fn hand_worked_values_hold() {
        let found = scores(&[[1.0, 0.0], [0.0, 1.0]], Score::Cosine).unwrap();
        assert_eq!(found, [1.0, 0.0, 0.0, 1.0]);
        // d(a, t) = d(b, t): u(a, t) = (1/2, 0), u(t, a) = (1/2, 1), cosine 1 / sqrt 5.
        let found = scores(
            &[[1.0, 0.0], [0.0, 1.0]],
            Score::Asymmetric(&[1.0, 1.0], 0.5),
        );
        let credit = 0.5 * (1.0 - 0.2f64.sqrt());
        for (value, expected) in
            found
                .unwrap()
                .iter()
                .zip([credit, credit - 1.0, credit - 1.0, credit])
        {
            assert!((value - expected).abs() < 1e-8);
        }
        // h = 1 and 2: ratios 2 and 1/2; K(2) = (1 - ln 2) / 2 is the larger.
        let found = scores(&[[1.0, 1.0], [2.0, 1.0]], Score::Kl).unwrap();
        assert!((found[1] + 0.5 * (1.0 - 2f64.ln())).abs() < 1e-15);
        // Ratios 4/3 and 2/3: (K(4/3) + K(2/3)) / 2 = -ln(8/9) / 4, halved by the mean.
        let found = scores(&[[1.0, 1.0], [2.0, 1.0]], Score::Jsd).unwrap();
        assert!((found[1] - (8.0f64 / 9.0).ln() / 8.0).abs() < 1e-15);
        assert_eq!((found[0], found[1]), (0.0, found[2]));
    }

    #[test]
    fn diagonals_near_the_largest_number_are_compared_as_smaller_ones() {
        let small = [[1.0, 1.6], [1.7, 0.2]];
        let large = small.map(|row| row.map(|h| h * 1e308));
        let middle = small.map(|row| row.map(|h| h * 1e150));
        for score in [Score::Cosine, Score::Kl, Score::Jsd] {
            let (found, expected) = (scores(&large, score), scores(&middle, score));
            for (found, expected) in found.unwrap().iter().zip(expected.unwrap()) {
                assert!(
                    (found - expected).abs() < 1e-15,
                    "{score:?} {found} {expected}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_fisher_diagonal_is_refused() {
        assert!(scores(&[[1.0, -1.0]], Score::Cosine).is_err());
        assert!(scores(&[[1.0, 0.0]], Score::Kl).is_err());
        let wide = Tokens {
            buffer: vec![1.0; 4],
            offsets: vec![0, 2],
            dim: 2,
        };
        assert!(matrix(&wide, None, Score::Cosine, &Monitor::default()).is_err());
        assert!(scores(&[[1.0, 1.0]], Score::Asymmetric(&[1.0], 0.1)).is_err());
        assert!(Score::from_name("flatten", None, 0.1).is_err());
        assert!(Score::from_name("task2vec_asymmetric", None, 0.1).is_err());
    }
}
