//! Means that leave out what is missing and do not depend on the order of what is there.
//!
//! A mean adds its numbers from the smallest to the largest, so shuffling targets, sources or
//! seeds gives the same bits.

use ndarray::{Array1, Array2, Array3, ArrayView2, ArrayView3, Axis};

use crate::error::{Error, Result};

/// Metrics averaged over the lists of each target, then over targets.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// `[n_targets, n_metrics, 4]`: value, chance, best, chance-corrected.
    pub per_target: Array3<f64>,
    /// `[n_metrics, 4]`: the same, over targets.
    pub overall: Array2<f64>,
    /// `[n_metrics]`: targets whose metric is defined.
    pub n_defined: Array1<i64>,
}

/// (value - chance) / (best - chance): 0 at chance, 1 for a perfect order; NaN where chance is
/// already perfect.
pub fn chance_corrected(value: f64, chance: f64, best: f64) -> f64 {
    if best == chance {
        return f64::NAN;
    }
    (value - chance) / (best - chance)
}

/// Averages `metrics [n_lists, n_metrics, 3]` first inside each target, then over targets; NaN
/// is left out of both. `targets [n_lists]` holds the target number of each list.
pub fn summarise(
    metrics: ArrayView3<'_, f64>,
    targets: &[usize],
    n_targets: usize,
) -> Result<Summary> {
    let (n_lists, n_metrics, n_parts) = metrics.dim();
    if n_parts != 3 || targets.len() != n_lists || targets.iter().any(|&at| at >= n_targets) {
        return Err(Error::Shape(format!(
            "metrics have shape {:?} for {} list targets, expected [n_lists, n_metrics, 3] and \
             target numbers below {n_targets}",
            metrics.dim(),
            targets.len()
        )));
    }
    let mut per_target = Array3::from_elem((n_targets, n_metrics, 4), f64::NAN);
    for target in 0..n_targets {
        let lists: Vec<usize> = (0..n_lists).filter(|&at| targets[at] == target).collect();
        let own = metrics.select(Axis(0), &lists);
        let mut row = per_target.index_axis_mut(Axis(0), target);
        row.assign(&averaged(own.view()));
    }
    let defined = per_target.index_axis(Axis(2), 0).map(|v| !v.is_nan());
    let n_defined = defined.map_axis(Axis(0), |lane| {
        lane.iter().filter(|&&yes| yes).count() as i64
    });
    let overall = averaged(per_target.slice(ndarray::s![.., .., ..3]));
    Ok(Summary {
        per_target,
        overall,
        n_defined,
    })
}

const ROUNDING: f64 = 1e-12;

/// Mean over seeds of `scores [n_targets, n_sources, n_seeds]`, less `baseline [n_targets,
/// n_seeds]` if given; NaN where no seed has both.
pub fn seed_means(
    scores: ArrayView3<'_, f64>,
    baseline: Option<ArrayView2<'_, f64>>,
) -> Result<Array2<f64>> {
    let (n_targets, n_sources, n_seeds) = scores.dim();
    if let Some(found) = baseline
        .map(|values| values.dim())
        .filter(|&at| at != (n_targets, n_seeds))
    {
        return Err(Error::Shape(format!(
            "baseline has shape {found:?}, expected [n_targets, n_seeds] = ({n_targets}, {n_seeds})"
        )));
    }
    Ok(Array2::from_shape_fn(
        (n_targets, n_sources),
        |(target, source)| {
            let Some(baseline) = baseline else {
                return mean((0..n_seeds).map(|seed| scores[[target, source, seed]]));
            };
            let runs = (0..n_seeds).map(|seed| scores[[target, source, seed]]);
            let gain = mean(
                runs.clone()
                    .zip(baseline.row(target))
                    .map(|(score, less)| score - less),
            );
            // Scores that equal their baselines but for rounding gain nothing.
            let largest = runs.map(f64::abs).fold(0.0, f64::max);
            if gain.abs() <= ROUNDING * largest {
                0.0
            } else {
                gain
            }
        },
    ))
}

fn averaged(metrics: ArrayView3<'_, f64>) -> Array2<f64> {
    let n_metrics = metrics.dim().1;
    let mut result = Array2::from_elem((n_metrics, 4), f64::NAN);
    for (metric, mut row) in result.outer_iter_mut().enumerate() {
        for part in 0..3 {
            row[part] = mean(metrics.slice(ndarray::s![.., metric, part]).iter().copied());
        }
        row[3] = chance_corrected(row[0], row[1], row[2]);
    }
    result
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let mut present: Vec<f64> = values.filter(|value| !value.is_nan()).collect();
    present.sort_by(f64::total_cmp);
    present.iter().sum::<f64>() / present.len() as f64
}
