//! The loss of a predictor by drawing sequences, with standard errors.
//!
//! Formula      loss of task k: mean over its sequences of `(beta - f)' Sx (beta - f) + s2`; the
//!              query is integrated out, which removes its chi-square factor from the variance
//! Promises     tasks are strata (every task gets its share of sequences exactly); same bits for
//!              any number of threads: every piece of 1024 units has its own stream, and pieces
//!              are merged in order
//! Precision    float64; mean and squared deviations merged after Chan, Golub and LeVeque (1983)
//! Cost         sequences: `n (dim + 1)` normal numbers each; antithetic: half; sufficient
//!              and conditional: about `dim (dim + 5) / 2` numbers, whatever n is, and `2 dim^2`
//!              and `2 dim^3` multiplications

use rand::Rng;
use rayon::prelude::*;

use super::mixture::Mixture;
use super::predictor::Predictor;
use super::sequences::{Sampler, Scratch, drawn_loss};
use super::wishart::{conditional_loss, sufficient_loss};
use crate::error::{Error, Result};
use crate::random::bulk_stream;
use crate::threads::Monitor;

const UNITS_PER_PIECE: usize = 1024;

/// What is drawn and what is integrated out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Task vector, inputs and label noise drawn independently for every sequence.
    Sequences,
    /// Pairs of sequences with the same inputs and opposite task deviation and label noise.
    Antithetic,
    /// As sequences, but only what the loss depends on: the inputs' Gram matrix and the noise it
    /// carries. The same distribution of losses, at a cost that does not grow with n.
    Sufficient,
    /// Only the inputs' Gram matrix is drawn; task vector and noise are integrated out.
    Conditional,
}

impl Method {
    /// The method of that name.
    pub fn parse(name: &str) -> Result<Self> {
        match name {
            "sequences" => Ok(Method::Sequences),
            "antithetic" => Ok(Method::Antithetic),
            "sufficient" => Ok(Method::Sufficient),
            "conditional" => Ok(Method::Conditional),
            _ => Err(Error::UnknownName(format!(
                "unknown method '{name}', expected one of sequences, antithetic, \
                 sufficient, conditional"
            ))),
        }
    }

    /// Sequences that share one draw of the inputs.
    fn sequences_per_unit(self) -> usize {
        match self {
            Method::Antithetic => 2,
            Method::Sequences | Method::Sufficient | Method::Conditional => 1,
        }
    }
}

/// Count, mean and sum of squared deviations.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Moments {
    /// Independent units seen.
    pub count: usize,
    /// Their mean.
    pub mean: f64,
    squares: f64,
}

impl Moments {
    /// Moments of some values.
    pub fn of(values: &[f64]) -> Self {
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        let squares = values.iter().map(|value| (value - mean).powi(2)).sum();
        Self {
            count: values.len(),
            mean,
            squares,
        }
    }

    /// Moments of both sets together.
    pub fn merged(self, other: Self) -> Self {
        let count = self.count + other.count;
        if count == 0 {
            return self;
        }
        let (own, gap) = (self.count as f64, other.mean - self.mean);
        let share = other.count as f64 / count as f64;
        Self {
            count,
            mean: self.mean + gap * share,
            squares: self.squares + other.squares + gap * gap * own * share,
        }
    }

    /// Standard error of the mean; NaN below two units.
    pub fn standard_error(self) -> f64 {
        (self.squares / (self.count as f64 - 1.0) / self.count as f64).sqrt()
    }
}

/// Loss of every task (noise included) with its standard error and number of sequences.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulation {
    /// Moments of every task's losses.
    pub tasks: Vec<Moments>,
    /// Sequences drawn for every task.
    pub n_sequences: Vec<usize>,
}

/// Simulates `predictor` on about `n_sequences` sequences of `n_examples`.
pub fn simulate(
    mixture: &Mixture,
    predictor: &Predictor,
    n_examples: usize,
    n_sequences: usize,
    method: Method,
    seed: u64,
    monitor: &Monitor,
) -> Result<Simulation> {
    let units = strata(mixture, n_sequences, method)?;
    let mut pieces = Vec::new();
    for (task, &count) in units.iter().enumerate() {
        for start in (0..count).step_by(UNITS_PER_PIECE) {
            pieces.push((task, UNITS_PER_PIECE.min(count - start)));
        }
    }
    let samplers = (0..mixture.n_tasks())
        .map(|task| Sampler::new(mixture, predictor, task, n_examples))
        .collect::<Result<Vec<_>>>()?;
    let results = pieces
        .par_iter()
        .enumerate()
        .map(|(index, &(task, count))| {
            let generator = bulk_stream(seed, index as u64);
            let moments = piece(&samplers[task], count, method, generator)?;
            monitor.tick(count * method.sequences_per_unit())?;
            Ok(moments)
        })
        .collect::<Result<Vec<_>>>()?;
    let mut tasks = vec![Moments::default(); mixture.n_tasks()];
    for (&(task, _), moments) in pieces.iter().zip(results) {
        tasks[task] = tasks[task].merged(moments);
    }
    for (task, moments) in tasks.iter_mut().enumerate() {
        moments.mean += mixture.noise(task);
    }
    let per_unit = method.sequences_per_unit();
    Ok(Simulation {
        tasks,
        n_sequences: units.iter().map(|count| count * per_unit).collect(),
    })
}

fn piece(
    sampler: &Sampler,
    count: usize,
    method: Method,
    mut generator: impl Rng,
) -> Result<Moments> {
    let mut scratch = Scratch::new(sampler);
    let losses = (0..count)
        .map(|_| match method {
            Method::Sequences => Ok(drawn_loss(sampler, &[1.0], &mut generator, &mut scratch)),
            Method::Antithetic => Ok(drawn_loss(
                sampler,
                &[1.0, -1.0],
                &mut generator,
                &mut scratch,
            )),
            Method::Sufficient => sufficient_loss(sampler, &mut generator, &mut scratch),
            Method::Conditional => conditional_loss(sampler, &mut generator, &mut scratch),
        })
        .collect::<Result<Vec<f64>>>()?;
    Ok(Moments::of(&losses))
}

/// Units of every task: its share rounded up, at least two so that a variance exists.
fn strata(mixture: &Mixture, n_sequences: usize, method: Method) -> Result<Vec<usize>> {
    let wanted = 2 * method.sequences_per_unit() * mixture.occurring().count();
    if n_sequences < wanted {
        return Err(Error::Mixture(format!(
            "n_sequences is {n_sequences}, expected at least {wanted} (two units per task, or \
             there is no standard error)"
        )));
    }
    let units = n_sequences as f64 / method.sequences_per_unit() as f64;
    let mut counts = vec![0; mixture.n_tasks()];
    for (task, weight) in mixture.occurring() {
        counts[task] = ((weight * units).round() as usize).max(2);
    }
    Ok(counts)
}
