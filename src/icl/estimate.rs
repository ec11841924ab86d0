//! A mixture estimated from sequences of real data, with bootstrap replicates.
//!
//! Every sequence gives a least-squares vector `beta_hat`. Per task: mean of the beta_hat, and
//! `S = Cov(beta_hat) - s2 mean((X'X)^-1)` with negative eigenvalues set to zero, since beta_hat
//! scatters by its own error too. Noise: residual squares over residual degrees of freedom. Inputs:
//! pooled second moment. Replicates draw m - 1 of a task's m sequences, with replacement, and
//! multiply their scatter by m / (m - 1): mean and scatter of the replicates then have the variance
//! and the expectation they should (Rao and Wu 1988).

use faer::linalg::solvers::Solve;
use faer::{Col, Mat, Scale, Side};
use rand::Rng;
use rayon::prelude::*;

use super::matrices::{from_rows, outer, root};
use super::mixture::Mixture;
use crate::error::{Error, Result};
use crate::random::stream;
use crate::threads::Monitor;

/// Sequences of any length: sequence i owns rows `offsets[i]..offsets[i + 1]`.
#[derive(Debug, Clone, Copy)]
pub struct Data<'a> {
    /// `[n_rows, dim]`
    pub inputs: &'a [f64],
    /// `[n_rows]`
    pub labels: &'a [f64],
    /// `[n_sequences + 1]`
    pub offsets: &'a [usize],
    /// `[n_sequences]`
    pub tasks: &'a [usize],
    /// Width of an input.
    pub dim: usize,
}

impl<'a> Data<'a> {
    /// Checks that rows, labels, offsets and tasks fit together and that numbers are finite.
    pub fn new(
        inputs: &'a [f64],
        labels: &'a [f64],
        offsets: &'a [usize],
        tasks: &'a [usize],
        dim: usize,
    ) -> Result<Self> {
        let n_rows = labels.len();
        let is_growing = offsets.windows(2).all(|pair| pair[0] <= pair[1]);
        if dim == 0
            || inputs.len() != n_rows * dim
            || offsets.first() != Some(&0)
            || offsets.last() != Some(&n_rows)
            || offsets.len() != tasks.len() + 1
            || !is_growing
        {
            return Err(Error::Shape(format!(
                "{} input numbers, {n_rows} labels, {} offsets and {} tasks do not describe \
                 sequences of examples of width {dim}",
                inputs.len(),
                offsets.len(),
                tasks.len()
            )));
        }
        if let Some(row) = labels.iter().position(|label| !label.is_finite()) {
            return Err(Error::NonFinite(format!("label {row} is not finite")));
        }
        if let Some(at) = inputs.iter().position(|value| !value.is_finite()) {
            return Err(Error::NonFinite(format!(
                "input {} of example {} is not finite",
                at % dim,
                at / dim
            )));
        }
        Ok(Self {
            inputs,
            labels,
            offsets,
            tasks,
            dim,
        })
    }
}

/// Whether inputs and noise are one for all tasks.
#[derive(Debug, Clone, Copy)]
pub struct Sharing {
    /// One input covariance for all tasks.
    pub inputs: bool,
    /// One noise variance for all tasks.
    pub noise: bool,
}

impl Sharing {
    /// From (inputs, noise).
    pub fn new((inputs, noise): (bool, bool)) -> Self {
        Self { inputs, noise }
    }
}

/// The sufficient numbers of one sequence.
struct Fit {
    task: usize,
    vector: Col<f64>,
    precision_inverse: Mat<f64>,
    gram: Mat<f64>,
    residual_squares: f64,
    n_examples: usize,
}

/// Point estimate first, then `n_replicates` bootstrap replicates.
pub fn estimate(
    data: Data<'_>,
    n_tasks: usize,
    sharing: Sharing,
    n_replicates: usize,
    seed: u64,
    monitor: &Monitor,
) -> Result<Vec<Mixture>> {
    let fits = data
        .offsets
        .windows(2)
        .enumerate()
        .map(|(sequence, bounds)| fit(data, sequence, bounds[0], bounds[1]))
        .collect::<Result<Vec<_>>>()?;
    let mut groups = vec![Vec::new(); n_tasks];
    for (sequence, fit) in fits.iter().enumerate() {
        match groups.get_mut(fit.task) {
            Some(group) => group.push(sequence),
            None => {
                return Err(Error::Mixture(format!(
                    "sequence {sequence} belongs to task number {}, expected one of {n_tasks}",
                    fit.task
                )));
            }
        }
    }
    if let Some(task) = groups.iter().position(|group| group.len() < 2) {
        return Err(Error::Mixture(format!(
            "task number {task} has {} sequences, expected at least 2 to see how its vectors \
             vary",
            groups[task].len()
        )));
    }
    (0..=n_replicates)
        .into_par_iter()
        .map(|replicate| {
            monitor.tick(1)?;
            if replicate == 0 {
                return assemble(&fits, &groups, &groups, sharing);
            }
            assemble(&fits, &groups, &resample(&groups, seed, replicate), sharing)
        })
        .collect()
}

fn resample(groups: &[Vec<usize>], seed: u64, replicate: usize) -> Vec<Vec<usize>> {
    let mut generator = stream(seed, replicate as u64);
    groups
        .iter()
        .map(|group| {
            // A scatter needs two.
            (0..(group.len() - 1).max(2))
                .map(|_| group[(generator.next_u64() % group.len() as u64) as usize])
                .collect()
        })
        .collect()
}

fn fit(data: Data<'_>, sequence: usize, start: usize, end: usize) -> Result<Fit> {
    let (dim, n_examples) = (data.dim, end - start);
    if n_examples <= dim {
        return Err(Error::Shape(format!(
            "sequence {sequence} has {n_examples} examples, expected more than dim = {dim}"
        )));
    }
    let inputs = from_rows(&data.inputs[start * dim..end * dim], n_examples, dim);
    let labels = Col::from_fn(n_examples, |row| data.labels[start + row]);
    let gram = inputs.transpose() * &inputs;
    let factor = gram.llt(Side::Lower).map_err(|_| {
        Error::Mixture(format!(
            "sequence {sequence} has linearly dependent inputs, so its vector is not determined; \
             use fewer inputs or longer sequences"
        ))
    })?;
    let vector = factor.solve(inputs.transpose() * &labels);
    let residual_squares = (labels - &inputs * &vector).squared_norm_l2();
    Ok(Fit {
        task: data.tasks[sequence],
        vector,
        precision_inverse: factor.solve(Mat::<f64>::identity(dim, dim)),
        gram,
        residual_squares,
        n_examples,
    })
}

/// The mixture of `drawn`, which is `groups` or a replicate of it.
fn assemble(
    fits: &[Fit],
    groups: &[Vec<usize>],
    drawn: &[Vec<usize>],
    sharing: Sharing,
) -> Result<Mixture> {
    let dim = fits[0].vector.nrows();
    let everything: Vec<usize> = drawn.iter().flatten().copied().collect();
    let noise: Vec<f64> = drawn
        .iter()
        .map(|group| noise_of(fits, if sharing.noise { &everything } else { group }))
        .collect();
    let inputs = if sharing.inputs {
        vec![inputs_of(fits, &everything)]
    } else {
        drawn.iter().map(|group| inputs_of(fits, group)).collect()
    };
    let is_replicate = !std::ptr::eq(groups, drawn);
    let n_sequences = groups.iter().map(Vec::len).sum::<usize>() as f64;
    let (mut weights, mut means, mut covariances) = (Vec::new(), Vec::new(), Vec::new());
    for ((group, drawn), noise) in groups.iter().zip(drawn).zip(&noise) {
        let (size, count) = (group.len() as f64, drawn.len() as f64);
        let correction = if is_replicate {
            size / (size - 1.0)
        } else {
            1.0
        };
        let mut mean = Col::<f64>::zeros(dim);
        let mut error = Mat::<f64>::zeros(dim, dim);
        for &sequence in drawn {
            mean += Scale(1.0 / count) * &fits[sequence].vector;
            error += Scale(noise / count) * &fits[sequence].precision_inverse;
        }
        let mut covariance = -error;
        for &sequence in drawn {
            let deviation = &fits[sequence].vector - &mean;
            covariance += Scale(correction / (count - 1.0)) * outer(deviation.as_ref());
        }
        let positive = root(covariance.as_ref())?;
        covariances.push(&positive * positive.transpose());
        weights.push(size / n_sequences);
        means.push(mean);
    }
    let noise = if sharing.noise { vec![noise[0]] } else { noise };
    Mixture::new(weights, means, covariances, inputs, noise)
}

fn noise_of(fits: &[Fit], group: &[usize]) -> f64 {
    let (mut squares, mut freedom) = (0.0, 0.0);
    for &sequence in group {
        let fit = &fits[sequence];
        squares += fit.residual_squares;
        freedom += (fit.n_examples - fit.vector.nrows()) as f64;
    }
    squares / freedom
}

fn inputs_of(fits: &[Fit], group: &[usize]) -> Mat<f64> {
    let dim = fits[0].vector.nrows();
    let (mut gram, mut rows) = (Mat::<f64>::zeros(dim, dim), 0.0);
    for &sequence in group {
        gram += &fits[sequence].gram;
        rows += fits[sequence].n_examples as f64;
    }
    Scale(1.0 / rows) * gram
}
