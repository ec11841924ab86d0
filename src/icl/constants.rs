//! What is left of the loss when the context is long: `loss_without_noise -> constant / n`.
//!
//! Formula      `tr(P Mx P' Sx) + r (tr(Sx Mx) + s2)` summed over tasks, P the projection onto the
//!              range of what W learns (rank r) and Mx the second moment that fluctuates with X.
//!              Of full rank: `(d+1) tr(Sx Mx) + d s2`.
//! Mx           M for plain, finetune_prompt, joint_prompt; `Mc + Mb` with a value shift; Mc with
//!              heads. Prompts alone do not change the constant, heads do.
//! Source       docs/icl.md, step 6. Needs shared inputs: with tasks that differ in Sx no single W
//!              inverts them all and the loss does not fall to the noise.

use faer::{Mat, Scale};

use super::matrices::{cholesky, outer, trace_of_product};
use super::mixture::Mixture;
use super::setting::Setting;
use crate::error::{Error, Result};

/// The limit of `n * loss_without_noise`.
pub fn asymptotic_constant(mixture: &Mixture, setting: Setting) -> Result<f64> {
    if !mixture.has_shared_inputs() {
        return Err(Error::Mixture(
            "the large-n constant needs inputs shared by all tasks: with different input \
             covariances the loss does not fall to the noise"
                .into(),
        ));
    }
    let input = mixture.input(0);
    let learnt = average(mixture, |task| match setting {
        Setting::Plain | Setting::FinetunePrompt | Setting::FinetunePromptHead => {
            mixture.second_moment(task)
        }
        _ => mixture.covariance(task).to_owned(),
    });
    let (projection, rank) = range_projection(mixture, &learnt)?;
    let centre = mixture.overall_mean();
    let mut constant = 0.0;
    for (task, weight) in mixture.occurring() {
        let moving = match setting {
            Setting::Plain | Setting::FinetunePrompt | Setting::JointPrompt => {
                mixture.second_moment(task)
            }
            Setting::JointPromptValueShift => {
                mixture.covariance(task) + outer((mixture.mean(task) - &centre).as_ref())
            }
            _ => mixture.covariance(task).to_owned(),
        };
        let is_scaled = matches!(
            setting,
            Setting::FinetunePromptHead | Setting::JointPromptHeadScaled
        );
        if is_scaled && moving.norm_max() == 0.0 {
            // A head with its own scale switches the examples off where they tell nothing.
            continue;
        }
        let seen = &projection * &moving * projection.transpose();
        let level = trace_of_product(input, moving.as_ref()) + mixture.noise(task);
        constant += weight * (trace_of_product(input, seen.as_ref()) + rank * level);
    }
    Ok(constant)
}

fn average(mixture: &Mixture, moment: impl Fn(usize) -> Mat<f64>) -> Mat<f64> {
    let mut sum = Mat::zeros(mixture.dim(), mixture.dim());
    for (task, weight) in mixture.occurring() {
        sum += Scale(weight) * moment(task);
    }
    sum
}

/// The limit of `n W Sx`: the Sx-orthogonal projection onto the range of `moment`, and its rank.
fn range_projection(mixture: &Mixture, moment: &Mat<f64>) -> Result<(Mat<f64>, f64)> {
    let lower = cholesky(mixture.input(0))?;
    let whitened = lower.transpose() * moment * &lower;
    let eigen = whitened
        .self_adjoint_eigen(faer::Side::Lower)
        .map_err(|_| Error::Mixture("an eigenvalue iteration did not converge".into()))?;
    let (vectors, values) = (eigen.U(), eigen.S().column_vector());
    let dim = mixture.dim();
    let cutoff = values[dim - 1] * f64::EPSILON * dim as f64;
    let mut inner = Mat::<f64>::zeros(dim, dim);
    let mut rank = 0.0;
    for index in (0..dim).filter(|&index| values[index] > cutoff) {
        inner += outer(vectors.col(index));
        rank += 1.0;
    }
    // Back from whitened coordinates: L'^-1 inner L'.
    let projection = faer::linalg::solvers::Solve::solve(
        &lower.transpose().partial_piv_lu(),
        inner * lower.transpose(),
    );
    Ok((projection, rank))
}
