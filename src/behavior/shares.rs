//! Where the variance of prompted models lies: in models, prompts, probes, or their pairs.
//!
//! ```text
//! Formula   expected mean squares of the full crossing without repetition, solved for variances:
//!           bias: model, prompt, model x prompt of the means over probes; behaviour: probe,
//!           model x probe, prompt x probe, and the rest
//! Shapes    responses [n_models, n_prompts, n_probes * dim] -> 7 variances
//! Range     any; an unbiased estimate of a variance near 0 may be negative
//! Promises  free of the order of models, prompts and probes
//! Zero rows not applicable
//! NaN       refused
//! Precision f64
//! Cost      a few additions a response
//! ```
//!
//! Source: Searle, Casella and McCulloch (1992), chapter 4. The mean over probes still holds the
//! noise of the probes drawn; the estimates take it off.

use ndarray::{ArrayView4, Axis};

use crate::error::{Error, Result};

/// Names of the variances, in order.
pub const NAMES: [&str; 7] = [
    "model",
    "prompt",
    "model_x_prompt",
    "probe",
    "model_x_probe",
    "prompt_x_probe",
    "residual",
];

/// Variances, summed over coordinates, of responses `[n_models, n_prompts, n_probes, dim]`.
pub fn shares(responses: ArrayView4<'_, f64>) -> Result<[f64; 7]> {
    let (a, b, n, dim) = responses.dim();
    if a < 2 || b < 2 || n < 2 || dim == 0 {
        return Err(Error::Shape(format!(
            "responses have shape {:?}, expected at least two models, prompts and probes",
            responses.dim()
        )));
    }
    if let Some(((model, prompt, probe, _), value)) = responses
        .indexed_iter()
        .find(|(_, value)| !value.is_finite())
    {
        return Err(Error::NonFinite(format!(
            "responses of model {model}, prompt {prompt}, probe {probe} hold {value}"
        )));
    }
    let mut total = [0.0; 7];
    for coordinate in 0..dim {
        let own = responses.index_axis(Axis(3), coordinate);
        let (sizes, n_all) = ([a as f64, b as f64, n as f64], (a * b * n) as f64);
        // Sums of squares of the means over all but the kept axes, each cell counted fully.
        let kept = |axes: &[usize]| -> f64 {
            let mut sums = own.to_owned().into_dyn();
            for axis in (0..3).rev().filter(|axis| !axes.contains(axis)) {
                sums = sums.sum_axis(Axis(axis));
            }
            let each = axes.iter().map(|&axis| sizes[axis]).product::<f64>();
            sums.iter().map(|sum| sum * sum).sum::<f64>() * each / n_all
        };
        let (k, i, j, l) = (kept(&[]), kept(&[0]), kept(&[1]), kept(&[2]));
        let (ij, il, jl, ijl) = (
            kept(&[0, 1]),
            kept(&[0, 2]),
            kept(&[1, 2]),
            kept(&[0, 1, 2]),
        );
        let [a, b, n] = sizes;
        let (da, db, dn) = (a - 1.0, b - 1.0, n - 1.0);
        let ms_i = (i - k) / da;
        let ms_j = (j - k) / db;
        let ms_l = (l - k) / dn;
        let ms_ij = (ij - i - j + k) / (da * db);
        let ms_il = (il - i - l + k) / (da * dn);
        let ms_jl = (jl - j - l + k) / (db * dn);
        let rest = (ijl - ij - il - jl + i + j + l - k) / (da * db * dn);
        let found = [
            (ms_i - ms_ij - ms_il + rest) / (b * n),
            (ms_j - ms_ij - ms_jl + rest) / (a * n),
            (ms_ij - rest) / n,
            (ms_l - ms_il - ms_jl + rest) / (a * b),
            (ms_il - rest) / b,
            (ms_jl - rest) / a,
            rest,
        ];
        total
            .iter_mut()
            .zip(found)
            .for_each(|(sum, own)| *sum += own);
    }
    Ok(total)
}
