//! Accelerated gradient descent on the exact population loss of the reduced model.
//!
//! Unknowns: `n W`, and per task (where the setting has them) a bias b and a shift v; the head's
//! scale stays one. Nesterov momentum (1983) with a restart whenever the loss rises, after
//! O'Donoghue and Candes (2015), and a step that doubles slowly and halves when it overshoots.

use faer::{Col, Mat, Scale};

use super::matrices::{outer, quadratic, trace_of_product};
use super::mixture::Mixture;
use super::predictor::Predictor;
use super::setting::Setting;
use crate::error::{Error, Result};
use crate::threads::Monitor;

// The first step bounds the curvature from above, often by two orders of magnitude; six leave room.
const LONGEST_STEP: f64 = 1e6;

/// What descent reached.
#[derive(Debug, Clone)]
pub struct Descent {
    /// Where it stopped.
    pub predictor: Predictor,
    /// Loss without noise before every step and after the last.
    pub history: Vec<f64>,
}

/// Descends from W = 0 without shift or bias. Settings with frozen attention start from `start`.
pub fn descend(
    mixture: &Mixture,
    n_examples: usize,
    setting: Setting,
    start: Predictor,
    n_steps: usize,
    monitor: &Monitor,
) -> Result<Descent> {
    if matches!(
        setting,
        Setting::JointPromptHeadScaled | Setting::FinetunePromptHead
    ) {
        return Err(Error::Mixture(format!(
            "setting '{}' has free head scales, expected one with heads of scale one; use \
             method 'adam'",
            setting.name()
        )));
    }
    if n_examples == 0 {
        return Err(Error::Mixture(
            "n_examples is 0, expected at least 1: without examples there is no W to learn".into(),
        ));
    }
    let problem = Problem {
        mixture,
        n: n_examples as f64,
        setting,
    };
    let mut now = Point::from_predictor(&start, problem.n);
    let mut ahead = now.clone();
    let mut step = 1.0 / problem.first_curvature();
    let longest = step * LONGEST_STEP;
    let mut momentum = 1.0_f64;
    let mut history = vec![problem.loss(&now)];
    for _ in 0..n_steps {
        monitor.tick(1)?;
        let (value, slope) = problem.slope(&ahead);
        let size = slope.squared_norm();
        // The decrease a step promises is below the rounding of the loss: nothing is left to gain.
        if step * size <= f64::EPSILON * f64::EPSILON * value && momentum == 1.0 {
            break;
        }
        let mut next = ahead.moved(-step, &slope);
        // The sufficient decrease of a step of 1 / Lipschitz; rounding decides below 1e-16.
        while problem.loss(&next) > value - 0.5 * step * size && step * size > 1e-16 * value {
            step *= 0.5;
            next = ahead.moved(-step, &slope);
        }
        let loss = problem.loss(&next);
        if loss > history[history.len() - 1] || !loss.is_finite() {
            if momentum == 1.0 {
                break;
            }
            momentum = 1.0;
            ahead = now.clone();
            continue;
        }
        let following = 0.5 * (1.0 + (1.0 + 4.0 * momentum * momentum).sqrt());
        ahead = next.extrapolated(&now, (momentum - 1.0) / following);
        momentum = following;
        now = next;
        history.push(loss);
        // Flat directions would let the step grow without bound.
        step = (step * 1.05).min(longest);
    }
    Ok(Descent {
        predictor: now.into_predictor(problem.n),
        history,
    })
}

/// `n W`, shifts and biases; shared shifts are stored once per task and moved together.
#[derive(Debug, Clone)]
struct Point {
    gain: Mat<f64>,
    shifts: Vec<Col<f64>>,
    biases: Vec<Col<f64>>,
}

impl Point {
    fn from_predictor(predictor: &Predictor, n: f64) -> Self {
        Self {
            gain: Scale(n) * &predictor.preconditioner,
            shifts: predictor.shifts.clone(),
            biases: predictor.biases.clone(),
        }
    }

    fn into_predictor(self, n: f64) -> Predictor {
        Predictor {
            preconditioner: Scale(1.0 / n) * self.gain,
            scales: vec![1.0; self.shifts.len()],
            shifts: self.shifts,
            biases: self.biases,
        }
    }

    fn moved(&self, factor: f64, other: &Self) -> Self {
        let both = |own: &[Col<f64>], more: &[Col<f64>]| {
            own.iter()
                .zip(more)
                .map(|(a, b)| a + Scale(factor) * b)
                .collect()
        };
        Self {
            gain: &self.gain + Scale(factor) * &other.gain,
            shifts: both(&self.shifts, &other.shifts),
            biases: both(&self.biases, &other.biases),
        }
    }

    fn extrapolated(&self, before: &Self, factor: f64) -> Self {
        let back = before.moved(-1.0, self);
        self.moved(-factor, &back)
    }

    fn squared_norm(&self) -> f64 {
        let columns = self.shifts.iter().chain(&self.biases);
        self.gain.squared_norm_l2() + columns.map(Col::squared_norm_l2).sum::<f64>()
    }
}

struct Problem<'a> {
    mixture: &'a Mixture,
    n: f64,
    setting: Setting,
}

impl Problem<'_> {
    fn loss(&self, point: &Point) -> f64 {
        let predictor = point.clone().into_predictor(self.n);
        predictor.mean_loss_without_noise(self.mixture, self.n as usize)
    }

    /// An upper bound of the curvature in `n W` at zero shift sets the first step.
    fn first_curvature(&self) -> f64 {
        self.mixture
            .occurring()
            .map(|(task, weight)| {
                let input = self.mixture.input(task);
                let moment = self.mixture.second_moment(task);
                let level = trace_of_product(input, moment.as_ref()) + self.mixture.noise(task);
                let size = input.norm_l2();
                2.0 * weight * size * (1.0 + size * (2.0 * size * moment.norm_l2() + level))
            })
            .sum::<f64>()
            .max(f64::MIN_POSITIVE)
    }

    fn slope(&self, point: &Point) -> (f64, Point) {
        let mixture = self.mixture;
        let (dim, n_tasks) = (mixture.dim(), mixture.n_tasks());
        let mut slope = Point {
            gain: Mat::zeros(dim, dim),
            shifts: vec![Col::zeros(dim); n_tasks],
            biases: vec![Col::zeros(dim); n_tasks],
        };
        for (task, weight) in mixture.occurring() {
            self.add_task(point, task, weight, &mut slope);
        }
        if self.setting.is_finetuned() {
            slope.gain.fill(0.0);
        }
        if !self.setting.has_prompts() {
            slope.biases.iter_mut().for_each(|bias| bias.fill(0.0));
        }
        match self.setting {
            Setting::JointPromptHead => {}
            Setting::JointPromptValueShift => {
                let mut sum = Col::zeros(dim);
                for shift in &slope.shifts {
                    sum += shift;
                }
                slope.shifts.fill(sum);
            }
            _ => slope.shifts.fill(Col::zeros(dim)),
        }
        (self.loss(point), slope)
    }

    /// Derivatives of `tr(Sx R S R') + r'Sx r + tr(U V U' Sx) / n` with `U = n W`, by parts.
    fn add_task(&self, point: &Point, task: usize, weight: f64, slope: &mut Point) {
        let (mixture, gain) = (self.mixture, &point.gain);
        let (input, covariance) = (mixture.input(task), mixture.covariance(task));
        let offset = mixture.mean(task) - &point.shifts[task];
        let applied = gain * input;
        let kept = Mat::<f64>::identity(input.nrows(), input.ncols()) - &applied;
        let missed = mixture.mean(task) - &point.biases[task] - &applied * &offset;
        let level = trace_of_product(input, covariance)
            + quadratic(offset.as_ref(), input, offset.as_ref())
            + mixture.noise(task);
        let moment = covariance + outer(offset.as_ref());
        let spread = input * moment * input + Scale(level) * input;
        let pulled = input * &missed;
        let (twice, each) = (2.0 * weight, 2.0 * weight / self.n);
        slope.gain += Scale(each) * (input * gain * spread)
            - Scale(twice) * (input * kept * covariance * input)
            - Scale(twice) * (&pulled * (input * &offset).transpose());
        slope.biases[task] -= Scale(twice) * &pulled;
        let squared = trace_of_product(input, (&applied * gain.transpose()).as_ref());
        let seen = &applied * &offset;
        slope.shifts[task] += Scale(twice) * (applied.transpose() * &pulled)
            - Scale(each) * (applied.transpose() * (input * seen))
            - Scale(each * squared) * (input * &offset);
    }
}
