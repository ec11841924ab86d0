//! How useful a source's features are for a target's labels, before anything is trained. The
//! registry: every score by name, what it reads and promises, and the call that scores many cells.
//!
//! One file a score; each stands on `features` and `classes` alone. Classes are numbered by first
//! appearance, so names and order of classes cannot change a bit. A score runs on one thread;
//! cells of a matrix run beside each other.

mod about;
mod classes;
mod energy;
mod features;
mod gbc;
mod h_score;
mod knn;
mod leep;
mod linear_probe;
mod logme;
mod nce;
mod parc;
mod sfda;
#[cfg(test)]
mod tests;
mod trans_rate;

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::threads::Monitor;

pub use about::{About, Needs};
pub use classes::Classes;
pub use features::Features;
pub use gbc::Covariance;

/// Every score there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "`about` documents each")]
pub enum Method {
    LogMe,
    HScore,
    Leep,
    Nce,
    TransRate,
    Gbc,
    Parc,
    Sfda,
    Energy,
    Knn,
    LinearProbe,
}

/// What scores read beyond features and labels; each takes what its `About` names.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Neighbours, for `knn`.
    pub k: usize,
    /// Distortion, for `trans_rate`.
    pub epsilon: f64,
    /// Temperature, for `energy`.
    pub temperature: f64,
    /// Shape of a class, for `gbc`.
    pub covariance: Covariance,
}

impl Method {
    /// In the order users see.
    pub const ALL: [Method; 11] = [
        Method::LogMe,
        Method::HScore,
        Method::Leep,
        Method::Nce,
        Method::TransRate,
        Method::Gbc,
        Method::Parc,
        Method::Sfda,
        Method::Energy,
        Method::Knn,
        Method::LinearProbe,
    ];

    /// The score of that name.
    pub fn from_name(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|method| method.about().name == name)
            .ok_or_else(|| Error::UnknownName(format!("method='{name}' is unknown")))
    }

    /// What the score computes, reads and promises.
    pub fn about(self) -> &'static About {
        match self {
            Method::LogMe => &logme::ABOUT,
            Method::HScore => &h_score::ABOUT,
            Method::Leep => &leep::ABOUT,
            Method::Nce => &nce::ABOUT,
            Method::TransRate => &trans_rate::ABOUT,
            Method::Gbc => &gbc::ABOUT,
            Method::Parc => &parc::ABOUT,
            Method::Sfda => &sfda::ABOUT,
            Method::Energy => &energy::ABOUT,
            Method::Knn => &knn::ABOUT,
            Method::LinearProbe => &linear_probe::ABOUT,
        }
    }

    /// The score of one source for one target, higher is better.
    pub fn score(self, inputs: &Features, classes: &Classes, options: &Options) -> Result<f64> {
        if inputs.n() != classes.n() {
            return Err(Error::Shape(format!(
                "{} has {} rows and labels {} entries, expected one label an example",
                self.about().needs.name(),
                inputs.n(),
                classes.n()
            )));
        }
        let found = match self {
            Method::LogMe => logme::score(inputs, classes),
            Method::HScore => h_score::score(inputs, classes),
            Method::Leep => leep::score(inputs, classes),
            Method::Nce => nce::score(inputs, classes),
            Method::TransRate => trans_rate::score(inputs, classes, options.epsilon),
            Method::Gbc => gbc::score(inputs, classes, options.covariance),
            Method::Parc => parc::score(inputs, classes),
            Method::Sfda => sfda::score(inputs, classes),
            Method::Energy => energy::score(inputs, options.temperature),
            Method::Knn => knn::score(inputs, classes, options.k),
            Method::LinearProbe => linear_probe::score(inputs, classes),
        }?;
        if found.is_nan() {
            return Err(Error::NonFinite(format!(
                "{} of these features left the range of float64; divide them by a constant",
                self.about().name
            )));
        }
        Ok(found)
    }
}

/// Scores of many cells, each its own inputs and labels, one tick a cell.
pub fn score_cells(
    method: Method,
    cells: &[(Features, Classes)],
    options: &Options,
    monitor: &Monitor,
) -> Result<Vec<f64>> {
    cells
        .par_iter()
        .map(|(inputs, classes)| {
            let found = method.score(inputs, classes, options)?;
            monitor.tick(1)?;
            Ok(found)
        })
        .collect()
}
