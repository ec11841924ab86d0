//! A mixture of linear regression tasks, checked once so that nothing downstream has to fear it.

use faer::{Col, Mat, MatRef};

use super::matrices::{eigenvalues, outer};
use crate::error::{Error, Result};

// Sums of d float64 products round at about d * 1e-16 of the largest entry. Five orders of slack
// admit covariances that were rotated, averaged or printed with 11 digits, and nothing more.
const RELATIVE_TOLERANCE: f64 = 1e-10;

/// Tasks with probabilities, Gaussian task vectors, Gaussian inputs and label noise.
#[derive(Debug, Clone, PartialEq)]
pub struct Mixture {
    weights: Vec<f64>,
    means: Vec<Col<f64>>,
    covariances: Vec<Mat<f64>>,
    inputs: Vec<Mat<f64>>,
    noise: Vec<f64>,
}

impl Mixture {
    /// Checks sizes, finiteness, probabilities and definiteness. `inputs` and `noise` hold one
    /// entry (shared by all tasks) or one per task.
    pub fn new(
        weights: Vec<f64>,
        means: Vec<Col<f64>>,
        covariances: Vec<Mat<f64>>,
        inputs: Vec<Mat<f64>>,
        noise: Vec<f64>,
    ) -> Result<Self> {
        let mixture = Self {
            weights,
            means,
            covariances,
            inputs,
            noise,
        };
        mixture.check_sizes()?;
        mixture.check_weights()?;
        mixture.check_numbers()?;
        mixture.symmetrised()
    }

    /// Number of tasks.
    pub fn n_tasks(&self) -> usize {
        self.weights.len()
    }

    /// Width of an input.
    pub fn dim(&self) -> usize {
        self.means[0].nrows()
    }

    /// Probability `pi_k` of a task.
    pub fn weight(&self, task: usize) -> f64 {
        self.weights[task]
    }

    /// Mean `mu_k` of the task vector.
    pub fn mean(&self, task: usize) -> &Col<f64> {
        &self.means[task]
    }

    /// Covariance `S_k` of the task vector.
    pub fn covariance(&self, task: usize) -> MatRef<'_, f64> {
        self.covariances[task].as_ref()
    }

    /// Covariance `Sx_k` of the inputs.
    pub fn input(&self, task: usize) -> MatRef<'_, f64> {
        self.inputs[task.min(self.inputs.len() - 1)].as_ref()
    }

    /// Label noise variance `s2_k`.
    pub fn noise(&self, task: usize) -> f64 {
        self.noise[task.min(self.noise.len() - 1)]
    }

    /// Input covariances stored: one, or one per task.
    pub fn n_inputs(&self) -> usize {
        self.inputs.len()
    }

    /// Noise variances stored: one, or one per task.
    pub fn n_noise(&self) -> usize {
        self.noise.len()
    }

    /// Whether all tasks draw their inputs from one distribution.
    pub fn has_shared_inputs(&self) -> bool {
        self.inputs.windows(2).all(|pair| pair[0] == pair[1])
    }

    /// Tasks that occur, with their probabilities.
    pub fn occurring(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        self.weights
            .iter()
            .copied()
            .enumerate()
            .filter(|&(_, weight)| weight > 0.0)
    }

    /// Mixture mean `sum_k pi_k mu_k`.
    pub fn overall_mean(&self) -> Col<f64> {
        let mut mean = Col::zeros(self.dim());
        for (task, weight) in self.occurring() {
            mean += faer::Scale(weight) * &self.means[task];
        }
        mean
    }

    /// Second moment `S_k + mu_k mu_k'` of one task's vector.
    pub fn second_moment(&self, task: usize) -> Mat<f64> {
        &self.covariances[task] + outer(self.means[task].as_ref())
    }

    fn check_sizes(&self) -> Result<()> {
        let n_tasks = self.weights.len();
        let dim = self.means.first().map_or(0, Col::nrows);
        if n_tasks == 0 || dim == 0 {
            return Err(Error::Shape(
                "a mixture needs at least one task and one input dimension".into(),
            ));
        }
        let counts = [
            ("means", self.means.len()),
            ("covariances", self.covariances.len()),
        ];
        for (name, count) in counts {
            if count != n_tasks {
                return Err(Error::Shape(format!(
                    "{name} has {count} entries, expected one for each of {n_tasks} weights"
                )));
            }
        }
        let counts = [
            ("input_covariance", self.inputs.len()),
            ("noise_variance", self.noise.len()),
        ];
        for (name, count) in counts {
            if count != n_tasks && count != 1 {
                return Err(Error::Shape(format!(
                    "{name} has {count} entries, expected 1 (shared) or {n_tasks} (one per task)"
                )));
            }
        }
        let widths = self.means.iter().map(|mean| ("means", mean.nrows(), dim));
        let squares = |name, list: &[Mat<f64>]| {
            list.iter()
                .map(|matrix| (name, matrix.nrows(), matrix.ncols()))
                .collect::<Vec<_>>()
        };
        for (name, rows, columns) in widths
            .chain(squares("covariances", &self.covariances))
            .chain(squares("input_covariance", &self.inputs))
        {
            if rows != dim || columns != dim {
                return Err(Error::Shape(format!(
                    "{name}: got {rows} by {columns}, expected width {dim} as in the first mean"
                )));
            }
        }
        Ok(())
    }

    fn check_weights(&self) -> Result<()> {
        if let Some(task) = self.weights.iter().position(|weight| !weight.is_finite()) {
            return Err(Error::NonFinite(format!("weights[{task}] is not finite")));
        }
        if let Some(task) = self.weights.iter().position(|&weight| weight < 0.0) {
            return Err(Error::Mixture(format!(
                "weights[{task}] is {}, expected a probability of at least 0",
                self.weights[task]
            )));
        }
        let total: f64 = self.weights.iter().sum();
        if (total - 1.0).abs() > RELATIVE_TOLERANCE {
            return Err(Error::Mixture(format!(
                "weights sum to {total}, expected 1; divide them by their sum"
            )));
        }
        Ok(())
    }

    fn check_numbers(&self) -> Result<()> {
        for (task, mean) in self.means.iter().enumerate() {
            if !mean.is_all_finite() {
                return Err(Error::NonFinite(format!("means[{task}] is not finite")));
            }
        }
        for (task, &noise) in self.noise.iter().enumerate() {
            if !noise.is_finite() {
                return Err(Error::NonFinite(format!(
                    "noise_variance[{task}] is not finite"
                )));
            }
            if noise < 0.0 {
                return Err(Error::Mixture(format!(
                    "noise_variance[{task}] is {noise}, expected a variance of at least 0"
                )));
            }
        }
        for (task, matrix) in self.covariances.iter().enumerate() {
            check_covariance(matrix.as_ref(), &format!("covariances[{task}]"), false)?;
        }
        for (task, matrix) in self.inputs.iter().enumerate() {
            check_covariance(matrix.as_ref(), &format!("input_covariance[{task}]"), true)?;
        }
        Ok(())
    }

    // Only the covariances are symmetrised; W never is, because it is not symmetric in general.
    fn symmetrised(mut self) -> Result<Self> {
        for matrix in self.covariances.iter_mut().chain(&mut self.inputs) {
            *matrix = faer::Scale(0.5) * (&*matrix + matrix.transpose());
        }
        Ok(self)
    }
}

fn check_covariance(matrix: MatRef<'_, f64>, name: &str, is_definite: bool) -> Result<()> {
    if !matrix.is_all_finite() {
        return Err(Error::NonFinite(format!("{name} is not finite")));
    }
    let size = matrix.norm_max();
    if (matrix - matrix.transpose()).norm_max() > RELATIVE_TOLERANCE * size {
        return Err(Error::Mixture(format!(
            "{name} is not symmetric; a covariance must equal its transpose"
        )));
    }
    let values = eigenvalues(matrix)?;
    let (smallest, largest) = (values[0], values[values.len() - 1]);
    if is_definite && smallest <= RELATIVE_TOLERANCE * largest.max(0.0) {
        return Err(Error::Mixture(format!(
            "{name} has smallest eigenvalue {smallest:.3e}, expected a positive definite matrix; \
             drop input directions that never vary"
        )));
    }
    if smallest < -RELATIVE_TOLERANCE * size {
        return Err(Error::Mixture(format!(
            "{name} has eigenvalue {smallest:.3e}, expected none below 0 (positive semi-definite)"
        )));
    }
    Ok(())
}
