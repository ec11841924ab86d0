//! The best member of the family in each setting.

use faer::linalg::solvers::Solve;
use faer::{Col, Mat, Scale};

use super::alternation::{Place, settled};
use super::matrices::{to_vec, trace_of_product};
use super::mixture::Mixture;
use super::predictor::Predictor;
use super::setting::Setting;
use super::solve::{Demand, Solution, Solver, solve};
use crate::error::Result;
use crate::threads::Monitor;

/// The optimum of one setting.
#[derive(Debug, Clone)]
pub struct Optimum {
    /// The predictor that attains (or approaches) the optimal loss.
    pub predictor: Predictor,
    /// Average loss without the query's label noise.
    pub loss_without_noise: f64,
    /// Loss of every task, noise included.
    pub task_losses: Vec<f64>,
    /// Conditioning of the last system solved.
    pub condition_number: f64,
    /// Which system was solved.
    pub solver: Solver,
    /// Linear systems solved; more than one where two groups of unknowns alternate.
    pub n_solves: usize,
}

/// Solves `setting` exactly for a context of `n_examples`.
pub fn optimum(
    mixture: &Mixture,
    n_examples: usize,
    setting: Setting,
    solver: Solver,
    monitor: &Monitor,
) -> Result<Optimum> {
    let search = Search {
        mixture,
        n_examples,
        solver,
        monitor,
    };
    let (predictor, condition_number, n_solves) = match setting {
        Setting::Plain => search.plain()?,
        Setting::FinetunePrompt => {
            let (mut predictor, condition, n_solves) = search.plain()?;
            search.fill_biases(&mut predictor);
            (predictor, condition, n_solves)
        }
        Setting::FinetunePromptHead => {
            let (mut predictor, condition, n_solves) = search.plain()?;
            search.shift_to_means(&mut predictor);
            search.fit_scales(&mut predictor);
            (predictor, condition, n_solves)
        }
        Setting::JointPrompt => {
            let zero = Col::zeros(mixture.dim());
            search.joint(|_| zero.clone(), &vec![1.0; mixture.n_tasks()])?
        }
        Setting::JointPromptValueShift => search.value_shift()?,
        Setting::JointPromptHead => search.heads(&vec![1.0; mixture.n_tasks()])?,
        Setting::JointPromptHeadScaled => search.scaled_heads()?,
    };
    Ok(Optimum {
        loss_without_noise: predictor.mean_loss_without_noise(mixture, n_examples),
        task_losses: predictor.losses(mixture, n_examples),
        predictor,
        condition_number,
        solver,
        n_solves,
    })
}

type Found = (Predictor, f64, usize);

struct Search<'a> {
    mixture: &'a Mixture,
    n_examples: usize,
    solver: Solver,
    monitor: &'a Monitor,
}

impl Search<'_> {
    fn solve(&self, demands: &[Demand]) -> Result<Solution> {
        self.monitor.tick(1)?;
        solve(self.mixture, self.n_examples, demands, self.solver)
    }

    fn plain(&self) -> Result<Found> {
        let demands: Vec<Demand> = (0..self.mixture.n_tasks())
            .map(|task| Demand {
                moment: self.mixture.second_moment(task),
                offset: Col::zeros(self.mixture.dim()),
                scale: 1.0,
            })
            .collect();
        let solution = self.solve(&demands)?;
        let predictor = Predictor::plain(solution.preconditioner, self.mixture.n_tasks());
        Ok((predictor, solution.condition_number, 1))
    }

    /// Best W with free biases, for given shifts and scales.
    fn joint(&self, shift: impl Fn(usize) -> Col<f64>, scales: &[f64]) -> Result<Found> {
        let demands: Vec<Demand> = (0..self.mixture.n_tasks())
            .map(|task| Demand {
                moment: self.mixture.covariance(task).to_owned(),
                offset: self.mixture.mean(task) - shift(task),
                scale: scales[task],
            })
            .collect();
        let solution = self.solve(&demands)?;
        let mut predictor = Predictor::plain(solution.preconditioner, self.mixture.n_tasks());
        predictor.scales = scales.to_vec();
        predictor.shifts = (0..self.mixture.n_tasks()).map(shift).collect();
        self.fill_biases(&mut predictor);
        Ok((predictor, solution.condition_number, 1))
    }

    fn heads(&self, scales: &[f64]) -> Result<Found> {
        self.joint(|task| self.mixture.mean(task).clone(), scales)
    }

    /// `b_k = mu_k - n c_k W Sx_k (mu_k - v_k)`: the prompt removes whatever mean error is left.
    fn fill_biases(&self, predictor: &mut Predictor) {
        let n = self.n_examples as f64;
        for task in 0..self.mixture.n_tasks() {
            let mean = self.mixture.mean(task);
            let offset = mean - &predictor.shifts[task];
            let step = &predictor.preconditioner * (self.mixture.input(task) * offset);
            predictor.biases[task] = mean - Scale(n * predictor.scales[task]) * step;
        }
    }

    fn shift_to_means(&self, predictor: &mut Predictor) {
        for task in 0..self.mixture.n_tasks() {
            predictor.shifts[task] = self.mixture.mean(task).clone();
            predictor.biases[task] = self.mixture.mean(task).clone();
        }
    }

    /// `c_k = tr(W Sx S Sx) / tr(W T Sx W' Sx)` with labels centred; any c does where W says
    /// nothing, and then it stays 1.
    fn fit_scales(&self, predictor: &mut Predictor) {
        let n = self.n_examples as f64;
        for task in 0..self.mixture.n_tasks() {
            let (input, covariance) = (self.mixture.input(task), self.mixture.covariance(task));
            let gain = &predictor.preconditioner * input;
            let level = trace_of_product(input, covariance) + self.mixture.noise(task);
            let spread = Scale(n + 1.0) * (&gain * covariance * gain.transpose())
                + Scale(level) * (&gain * predictor.preconditioner.transpose());
            let power = trace_of_product(input, spread.as_ref());
            let agreement = trace_of_product(input, (&gain * covariance).as_ref());
            predictor.scales[task] = if power > 0.0 { agreement / power } else { 1.0 };
        }
    }

    fn scaled_heads(&self) -> Result<Found> {
        let next = |predictor: &Predictor| {
            let mut fitted = predictor.clone();
            self.fit_scales(&mut fitted);
            normalised(self.mixture, fitted.scales)
        };
        let ones = vec![1.0; self.mixture.n_tasks()];
        self.settle(ones, next, |scales| self.heads(scales))
    }

    fn value_shift(&self) -> Result<Found> {
        let ones = vec![1.0; self.mixture.n_tasks()];
        let solve = |shift: &[f64]| {
            let shift = Col::from_fn(shift.len(), |row| shift[row]);
            self.joint(|_| shift.clone(), &ones)
        };
        let mean = to_vec(self.mixture.overall_mean().as_ref());
        if self.mixture.has_shared_inputs() || self.n_examples == 0 {
            // With shared inputs every task weighs the shift alike, and the mean is optimal.
            return solve(&mean);
        }
        let next =
            |predictor: &Predictor| to_vec(self.best_shift(&predictor.preconditioner).as_ref());
        self.settle(mean, next, solve)
    }

    fn settle(
        &self,
        start: Vec<f64>,
        next: impl Fn(&Predictor) -> Vec<f64>,
        solve: impl Fn(&[f64]) -> Result<Found>,
    ) -> Result<Found> {
        let solve = |unknowns: &[f64]| {
            let (predictor, condition, _) = solve(unknowns)?;
            let loss = predictor.mean_loss_without_noise(self.mixture, self.n_examples);
            Ok(Place {
                next: next(&predictor),
                loss,
                content: (predictor, condition),
            })
        };
        let (settled, n_solves) = settled(start, solve)?;
        Ok((settled.0, settled.1, n_solves))
    }

    /// For given W the loss is `sum pi (mu_k - v)' Q_k (mu_k - v)` up to a constant, with
    /// `Q = Sx W' Sx W Sx + tr(Sx W Sx W') Sx`.
    fn best_shift(&self, preconditioner: &Mat<f64>) -> Col<f64> {
        let dim = self.mixture.dim();
        let (mut left, mut right) = (Mat::<f64>::zeros(dim, dim), Col::<f64>::zeros(dim));
        for (task, weight) in self.mixture.occurring() {
            let input = self.mixture.input(task);
            let gain = preconditioner * input;
            let level = trace_of_product(input, (&gain * preconditioner.transpose()).as_ref());
            let pull = gain.transpose() * input * &gain + Scale(level) * input;
            right += Scale(weight) * (&pull * self.mixture.mean(task));
            left += Scale(weight) * pull;
        }
        if left.norm_max() == 0.0 {
            return self.mixture.overall_mean();
        }
        left.partial_piv_lu().solve(&right)
    }
}

/// `(W, c)` and `(W / a, a c)` predict alike; the average scale is fixed at one.
fn normalised(mixture: &Mixture, scales: Vec<f64>) -> Vec<f64> {
    let mean: f64 = mixture
        .occurring()
        .map(|(task, weight)| weight * scales[task])
        .sum();
    if mean == 0.0 {
        return scales;
    }
    scales.iter().map(|scale| scale / mean).collect()
}
