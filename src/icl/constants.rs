//! What is left of the loss when the context is long: `loss_without_noise -> constant / n`.
//!
//! Formula      `tr((B' V^-1 B)^-1)` in inputs whitened by Sx; B an orthonormal basis of what W
//!              learns, `V = Mx + (tr Mx + s2) I`, Mx the second moment that fluctuates with the
//!              examples. Where every direction is learnt: `(d + 1) tr(Sx Mx) + d s2`.
//! Mx           M for plain, finetune_prompt, joint_prompt; `Mc + Mb` with a value shift; Mc with
//!              heads. Prompts alone do not change the constant, heads do.
//! Frozen W     W was chosen for the plain V, not for the V of heads: `tr(B' V B)`
//! Source       docs/icl.md, step 6. Needs shared inputs: with tasks that differ in Sx no single W
//!              inverts them all and the loss does not fall to the noise.

use faer::linalg::solvers::Solve;
use faer::{Mat, Scale, Side};

use super::matrices::{cholesky, outer};
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
    let (dim, lower) = (mixture.dim(), cholesky(mixture.input(0))?);
    let mut learnt = Mat::<f64>::zeros(dim, dim);
    let mut spread = Mat::<f64>::zeros(dim, dim);
    for (task, weight) in mixture.occurring() {
        let moving = lower.transpose() * moving(mixture, setting, task) * &lower;
        let seen = match setting {
            Setting::Plain | Setting::FinetunePrompt | Setting::FinetunePromptHead => {
                mixture.second_moment(task)
            }
            _ => mixture.covariance(task).to_owned(),
        };
        learnt += Scale(weight) * (lower.transpose() * seen * &lower);
        let has_own_scale = matches!(
            setting,
            Setting::FinetunePromptHead | Setting::JointPromptHeadScaled
        );
        if has_own_scale && moving.norm_max() == 0.0 {
            // A head with its own scale switches the examples off where they tell nothing.
            continue;
        }
        let level = (0..dim).map(|index| moving[(index, index)]).sum::<f64>() + mixture.noise(task);
        spread += Scale(weight) * (moving + Scale(level) * Mat::<f64>::identity(dim, dim));
    }
    let basis = range(&learnt)?;
    if basis.ncols() == 0 {
        return Ok(0.0);
    }
    if setting == Setting::JointPromptHeadScaled && !has_full_task(mixture, &lower, basis.ncols())?
    {
        return Err(Error::Mixture(
            "the large-n constant of free head scales is known only where some task varies in \
             every direction that is learnt; here the scales stay free in the limit"
                .into(),
        ));
    }
    let inner = if setting == Setting::FinetunePromptHead {
        basis.transpose() * spread * &basis
    } else {
        let within = basis.transpose() * spread.partial_piv_lu().solve(&basis);
        within
            .partial_piv_lu()
            .solve(Mat::<f64>::identity(basis.ncols(), basis.ncols()))
    };
    Ok((0..inner.nrows()).map(|index| inner[(index, index)]).sum())
}

/// Whether one task's range is the whole learnt space: then W is the inverse there up to a factor,
/// every range meets it, and all scales tend to that factor.
fn has_full_task(mixture: &Mixture, lower: &Mat<f64>, n_learnt: usize) -> Result<bool> {
    for (task, _) in mixture.occurring() {
        let seen = lower.transpose() * mixture.covariance(task) * lower;
        if range(&seen)?.ncols() == n_learnt {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The second moment of the task vector less what the head subtracts from the labels.
fn moving(mixture: &Mixture, setting: Setting, task: usize) -> Mat<f64> {
    match setting {
        Setting::Plain | Setting::FinetunePrompt | Setting::JointPrompt => {
            mixture.second_moment(task)
        }
        Setting::JointPromptValueShift => {
            let offset = mixture.mean(task) - mixture.overall_mean();
            mixture.covariance(task) + outer(offset.as_ref())
        }
        _ => mixture.covariance(task).to_owned(),
    }
}

/// An orthonormal basis of the range of a positive semi-definite matrix.
fn range(moment: &Mat<f64>) -> Result<Mat<f64>> {
    let eigen = moment
        .self_adjoint_eigen(Side::Lower)
        .map_err(|_| Error::Mixture("an eigenvalue iteration did not converge".into()))?;
    let (vectors, values) = (eigen.U(), eigen.S().column_vector());
    let dim = moment.nrows();
    let cutoff = values[dim - 1] * f64::EPSILON * dim as f64;
    let kept: Vec<usize> = (0..dim).filter(|&index| values[index] > cutoff).collect();
    Ok(Mat::from_fn(dim, kept.len(), |row, column| {
        vectors[(row, kept[column])]
    }))
}
