//! Every source against every target. rayon stands at this one loop; each cell is computed alone,
//! so no schedule can change a bit.

use rayon::prelude::*;

use super::centre::Frame;
use super::prepare::{Normalize, prepare};
use super::rule::Rule;
use crate::error::{Error, Result};
use crate::threads::Monitor;
use crate::tokens::{TokenMatrix, Tokens};

/// Which side looks for partners on which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Each source token finds its best target token.
    SourceToTarget,
    /// Each target token finds its best source token.
    TargetToSource,
    /// The mean of both.
    Symmetric,
}

impl Direction {
    /// The direction called `name`.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "source_to_target" => Ok(Self::SourceToTarget),
            "target_to_source" => Ok(Self::TargetToSource),
            "symmetric" => Ok(Self::Symmetric),
            _ => Err(Error::UnknownName(format!("direction '{name}' is unknown"))),
        }
    }
}

/// Both sides of a grid in one frame; without targets the sources are their own.
#[derive(Debug, Clone, Copy)]
pub struct Sides<'a> {
    /// Tasks that may be transferred from.
    pub sources: &'a Tokens,
    /// Tasks that are transferred to, or None for the sources themselves.
    pub targets: Option<&'a Tokens>,
    /// Origin of the coordinates.
    pub frame: &'a Frame,
    /// What is done to the length of tokens.
    pub normalize: Normalize,
}

/// All cells of one comparison.
#[derive(Debug, Clone, Copy)]
pub struct Grid<'a> {
    /// Who is compared.
    pub sides: &'a Sides<'a>,
    /// Which way.
    pub direction: Direction,
    /// Who watches.
    pub monitor: &'a Monitor,
}

impl Grid<'_> {
    /// Scores `[n_targets, n_sources]`, row by row.
    pub fn scores<R: Rule>(&self, rule: &R) -> Result<Vec<f64>> {
        let sources = self.forms(rule, self.sides.sources)?;
        let targets = match self.sides.targets {
            Some(targets) => &self.forms(rule, targets)?,
            None if R::BOTH_AT_ONCE => return self.mirrored(rule, &sources),
            None => &sources,
        };
        let mut scores = vec![0.0; targets.len() * sources.len()];
        scores
            .par_iter_mut()
            .enumerate()
            .try_for_each(|(cell, score)| {
                let pair = (
                    &sources[cell % sources.len()],
                    &targets[cell / sources.len()],
                );
                if let (Some(source), Some(target)) = pair {
                    *score = match self.direction {
                        Direction::SourceToTarget => rule.score(source, target),
                        Direction::TargetToSource => rule.score(target, source),
                        Direction::Symmetric => {
                            let (forth, back) = rule.both(source, target);
                            0.5 * (forth + back)
                        }
                    };
                }
                self.monitor.tick(1)
            })?;
        Ok(scores)
    }

    // One product serves a pair in both roles: neither products nor maxima depend on the role.
    fn mirrored<R: Rule>(&self, rule: &R, forms: &[Option<R::Form>]) -> Result<Vec<f64>> {
        let n_tasks = forms.len();
        let pairs: Vec<(usize, usize)> = (0..n_tasks)
            .flat_map(|row| (0..=row).map(move |column| (row, column)))
            .collect();
        let both = pairs
            .par_iter()
            .map(|&(row, column)| {
                self.monitor.tick(if row == column { 1 } else { 2 })?;
                Ok(match (&forms[column], &forms[row]) {
                    (Some(source), Some(target)) => rule.both(source, target),
                    _ => (0.0, 0.0),
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let mut scores = vec![0.0; n_tasks * n_tasks];
        for (&(row, column), &(forth, back)) in pairs.iter().zip(&both) {
            let (here, there) = match self.direction {
                Direction::SourceToTarget => (forth, back),
                Direction::TargetToSource => (back, forth),
                Direction::Symmetric => (0.5 * (forth + back), 0.5 * (back + forth)),
            };
            // `here` comes last so that it stands on the diagonal, as in the plain grid.
            scores[column * n_tasks + row] = there;
            scores[row * n_tasks + column] = here;
        }
        Ok(scores)
    }

    fn forms<R: Rule>(&self, rule: &R, tokens: &Tokens) -> Result<Vec<Option<R::Form>>> {
        self.sides.frame.check(&tokens.offsets)?;
        (0..tokens.n_tasks())
            .into_par_iter()
            .map(|task| {
                prepare(tokens.task(task), self.sides.frame, self.sides.normalize)
                    .map(|values| Ok(rule.form(TokenMatrix::new(&values, tokens.dim)?)))
                    .transpose()
            })
            .collect()
    }
}
