//! One member of the family the layer can express, and its exact population loss.
//!
//! Formula      `f_k(x) = x' [ c_k W X'(y - X v_k) + b_k ]`, loss `E (y_query - f_k(x))^2`
//! Loss         with `m = mu - v`, `R = I - n c W Sx`, `r = mu - b - n c W Sx m`
//!              `s2 + tr(Sx R S R') + r' Sx r + n c^2 tr(W V W' Sx)`,
//!              `V = Sx S Sx + Sx m m' Sx + (tr(Sx S) + m' Sx m + s2) Sx`
//! Why so       every term is at least zero, so nothing cancels however small the loss is; the
//!              textbook form subtracts two numbers of the size of the signal
//! Source       Wishart moments `E[S A S] = n(n+1) Sx A Sx + n tr(A Sx) Sx` (docs/icl.md, step 2)

use faer::{Col, Mat, Scale};

use super::matrices::{outer, quadratic, trace_of_product};
use super::mixture::Mixture;

/// Preconditioner W, and for every task a scale c, a shift v and a bias b.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictor {
    /// Preconditioner `[dim, dim]`; the product of query and key matrix.
    pub preconditioner: Mat<f64>,
    /// Scale `c_k` of every task's head.
    pub scales: Vec<f64>,
    /// Point `v_k` the gradient step starts from.
    pub shifts: Vec<Col<f64>>,
    /// Bias `b_k` the prompt writes.
    pub biases: Vec<Col<f64>>,
}

impl Predictor {
    /// Scale one, no shift and no bias for every task.
    pub fn plain(preconditioner: Mat<f64>, n_tasks: usize) -> Self {
        let dim = preconditioner.nrows();
        Self {
            preconditioner,
            scales: vec![1.0; n_tasks],
            shifts: vec![Col::zeros(dim); n_tasks],
            biases: vec![Col::zeros(dim); n_tasks],
        }
    }

    /// Exact loss on `task`, noise included, when the prompt and head of `source` are used.
    pub fn loss(&self, mixture: &Mixture, n_examples: usize, task: usize, source: usize) -> f64 {
        self.loss_without_noise(mixture, n_examples, task, source) + mixture.noise(task)
    }

    /// Exact loss on `task` less the label noise of the query, which nothing can predict.
    pub fn loss_without_noise(
        &self,
        mixture: &Mixture,
        n_examples: usize,
        task: usize,
        source: usize,
    ) -> f64 {
        let (n, input) = (n_examples as f64, mixture.input(task));
        let gain = Scale(self.scales[source]) * (&self.preconditioner * input);
        let offset = mixture.mean(task) - &self.shifts[source];
        let missed = mixture.mean(task) - &self.biases[source] - Scale(n) * (&gain * &offset);
        let kept = Mat::<f64>::identity(gain.nrows(), gain.ncols()) - Scale(n) * &gain;
        let forgotten = &kept * mixture.covariance(task) * kept.transpose();
        let moment = mixture.covariance(task) + outer(offset.as_ref());
        let level = trace_of_product(input, moment.as_ref()) + mixture.noise(task);
        // V = Sx moment Sx + level Sx, with Sx already inside `gain`.
        let scaled = Scale(self.scales[source]) * &self.preconditioner;
        let noise = &gain * moment * gain.transpose() + Scale(level) * (&gain * scaled.transpose());
        trace_of_product(input, forgotten.as_ref())
            + quadratic(missed.as_ref(), input, missed.as_ref())
            + n * trace_of_product(input, noise.as_ref())
    }

    /// Loss of every task under its own prompt and head, noise included.
    pub fn losses(&self, mixture: &Mixture, n_examples: usize) -> Vec<f64> {
        (0..mixture.n_tasks())
            .map(|task| self.loss(mixture, n_examples, task, task))
            .collect()
    }

    /// Average of `loss_without_noise` over the mixture.
    pub fn mean_loss_without_noise(&self, mixture: &Mixture, n_examples: usize) -> f64 {
        mixture
            .occurring()
            .map(|(task, weight)| weight * self.loss_without_noise(mixture, n_examples, task, task))
            .sum()
    }

    /// Loss on task i (row) with the prompt and head of task j (column), noise included.
    pub fn transfer_losses(&self, mixture: &Mixture, n_examples: usize) -> Mat<f64> {
        let n_tasks = mixture.n_tasks();
        Mat::from_fn(n_tasks, n_tasks, |task, source| {
            self.loss(mixture, n_examples, task, source)
        })
    }
}
