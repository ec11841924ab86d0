//! Formula     mean_c max_{alpha, beta} ln p(y_c | F, alpha, beta) / n, y_c the 0/1 column of class c,
//!             y = F w + noise, w ~ N(0, I / alpha), noise ~ N(0, I / beta)
//! Shapes      features [n, dim], labels [n] -> one number
//! Range       any; larger is better, and values of one data set compare sources, nothing else
//! Promises    free of scale and rotation; not of translation (there is no intercept)
//! Zero rows   are examples like any other
//! NaN         refused before
//! Precision   f64; residuals taken from vectors, not from differences of squares
//! Cost        one thin SVD, then about 300 k multiplications a class, k = min(n, dim)
//!
//! Source: You, Liu, Wang, Long 2021 (arXiv 2102.11005), equations 1 to 3. The paper alternates
//! alpha and beta towards a stationary point and shares them between classes in some code, which
//! then depends on the order of classes. Here beta is solved for (beta = n / S), and the one
//! number left, lambda = alpha / beta, is searched over its whole range:
//! `L = n/2 ln(n / S) - n/2 (1 + ln 2 pi) - 1/2 sum_i ln(1 + s_i^2 / lambda)`,
//! `S = |y - U U'y|^2 + sum_i (u_i'y)^2 lambda / (lambda + s_i^2)`.

use super::about::{About, Needs};
use super::classes::Classes;
use super::features::{Features, Spectrum};
use crate::error::Result;

pub const ABOUT: About = About {
    name: "logme",
    formula: "mean over classes of max_{alpha, beta} ln p(y | F, alpha, beta) / n",
    summary: "Evidence that the labels are a linear function of the features plus noise.",
    needs: Needs::Features,
    range: (f64::NEG_INFINITY, f64::INFINITY),
    scale_free: true,
    rotation_free: true,
    translation_free: false,
    options: &[],
    source: "You et al. 2021, arXiv 2102.11005",
};

// Where the labels fit without error the evidence has no bound; the search then ends at the
// smallest ratio, which keeps the score finite and far above any noisy fit.
const SMALLEST_RATIO: f64 = 1e-12;
const LARGEST_RATIO: f64 = 1e12;
// 222 points: neighbours differ by a quarter of a nat, finer than any bump of the evidence can be,
// since every term of it changes over a width of about four.
const STEP: f64 = 0.25;
// Golden sections from two steps down to the square root of the rounding of one.
const N_SECTIONS: usize = 42;

/// Mean evidence of the classes, per example.
pub fn score(features: &Features, classes: &Classes) -> Result<f64> {
    let spectrum = features.scaled().spectrum()?;
    let grid = Grid::new(&spectrum);
    let sum: f64 = (0..classes.len())
        .map(|class| grid.best(&Target::new(&spectrum, classes, class)))
        .sum();
    Ok(sum / (classes.len() * classes.n()) as f64)
}

/// What of a class's 0/1 column the evidence depends on.
struct Target {
    n: f64,
    /// Squares of its coordinates along the left singular vectors.
    squares: Vec<f64>,
    /// Square of what lies outside of them.
    rest: f64,
}

impl Target {
    fn new(spectrum: &Spectrum, classes: &Classes, class: usize) -> Self {
        let n = classes.n();
        let members = || (0..n).filter(|&row| classes.codes()[row] == class);
        let coordinates: Vec<f64> = (0..spectrum.rank())
            .map(|column| members().map(|row| spectrum.left[(row, column)]).sum())
            .collect();
        let rest = (0..n)
            .map(|row| {
                let fitted: f64 = coordinates
                    .iter()
                    .enumerate()
                    .map(|(column, value)| spectrum.left[(row, column)] * value)
                    .sum();
                let missed = f64::from(u8::from(classes.codes()[row] == class)) - fitted;
                missed * missed
            })
            .sum();
        // What rounding leaves of a perfect fit, n numbers wrong by eps each, is no residual.
        let size = classes.counts()[class] as f64;
        let rounding = (n as f64 * f64::EPSILON).powi(2) * size;
        Self {
            n: n as f64,
            squares: coordinates.iter().map(|value| value * value).collect(),
            rest: if rest > rounding { rest } else { 0.0 },
        }
    }
}

/// The evidence at fixed ratios; what does not depend on the class is computed once.
struct Grid {
    /// Squares of the singular values over the largest.
    shares: Vec<f64>,
    /// Logarithm of the ratio, half the determinant, and `ratio / (ratio + share)`.
    points: Vec<(f64, f64, Vec<f64>)>,
}

impl Grid {
    fn new(spectrum: &Spectrum) -> Self {
        let largest = spectrum.sizes.first().copied().unwrap_or(1.0);
        let shares: Vec<f64> = spectrum.sizes[..spectrum.rank()]
            .iter()
            .map(|size| (size / largest).powi(2))
            .collect();
        let (low, high) = (SMALLEST_RATIO.ln(), LARGEST_RATIO.ln());
        let count = ((high - low) / STEP).ceil() as usize;
        let points = (0..=count)
            .map(|place| {
                let log = low + (high - low) * place as f64 / count as f64;
                (log, half_determinant(&shares, log), weights(&shares, log))
            })
            .collect();
        Self { shares, points }
    }

    fn best(&self, target: &Target) -> f64 {
        let mut place = 0;
        let mut best = f64::NEG_INFINITY;
        for (index, (_, half, weights)) in self.points.iter().enumerate() {
            let value = evidence(target, *half, weights);
            if value > best {
                (place, best) = (index, value);
            }
        }
        let low = self.points[place.saturating_sub(1)].0;
        let high = self.points[(place + 1).min(self.points.len() - 1)].0;
        best.max(self.golden(target, low, high))
    }

    fn at(&self, target: &Target, log: f64) -> f64 {
        let half = half_determinant(&self.shares, log);
        evidence(target, half, &weights(&self.shares, log))
    }

    fn golden(&self, target: &Target, mut low: f64, mut high: f64) -> f64 {
        let golden = (5f64.sqrt() - 1.0) / 2.0;
        let inner =
            |low: f64, high: f64| (high - golden * (high - low), low + golden * (high - low));
        let (mut left, mut right) = inner(low, high);
        let (mut at_left, mut at_right) = (self.at(target, left), self.at(target, right));
        for _ in 0..N_SECTIONS {
            if at_left >= at_right {
                high = right;
                (right, at_right) = (left, at_left);
                left = inner(low, high).0;
                at_left = self.at(target, left);
            } else {
                low = left;
                (left, at_left) = (right, at_right);
                right = inner(low, high).1;
                at_right = self.at(target, right);
            }
        }
        at_left.max(at_right)
    }
}

fn half_determinant(shares: &[f64], log: f64) -> f64 {
    let ratio = log.exp();
    shares
        .iter()
        .map(|share| (share / ratio).ln_1p())
        .sum::<f64>()
        / 2.0
}

fn weights(shares: &[f64], log: f64) -> Vec<f64> {
    let ratio = log.exp();
    shares.iter().map(|share| ratio / (ratio + share)).collect()
}

fn evidence(target: &Target, half_determinant: f64, weights: &[f64]) -> f64 {
    let kept: f64 = target
        .squares
        .iter()
        .zip(weights)
        .map(|(square, weight)| square * weight)
        .sum();
    let n = target.n;
    let missed = target.rest + kept;
    let constant = 1.0 + std::f64::consts::TAU.ln();
    n / 2.0 * ((n / missed).ln() - constant) - half_determinant
}
