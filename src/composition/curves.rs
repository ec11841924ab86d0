//! Areas under several ROC curves, over the same resampled rows.

use std::ops::Range;

use ndarray::Array2;

use crate::error::{Error, Result};
use crate::resampling::{Plan, Unit, replicates};
use crate::threads::Monitor;

/// Rows from the lowest score up, and where groups of equal scores end.
struct Sorted {
    order: Vec<usize>,
    ends: Vec<usize>,
}

impl Sorted {
    fn new(scores: &[f64]) -> Self {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_unstable_by(|&a, &b| scores[a].total_cmp(&scores[b]));
        let is_end = |at: &usize| {
            order
                .get(*at)
                .is_none_or(|&row| scores[row] != scores[order[at - 1]])
        };
        let ends = (1..=order.len()).filter(is_end).collect();
        Self { order, ends }
    }

    /// Area where row `i` counts `times[i]` times.
    fn area(&self, labels: &[bool], times: &[u32]) -> f64 {
        let (mut below, mut won, mut n_positive) = (0.0, 0.0, 0.0);
        let mut start = 0;
        for &end in &self.ends {
            let (mut positive, mut negative) = (0.0, 0.0);
            for &row in &self.order[start..end] {
                let count = f64::from(times[row]);
                if labels[row] {
                    positive += count;
                } else {
                    negative += count;
                }
            }
            won += positive * (below + negative / 2.0);
            below += negative;
            n_positive += positive;
            start = end;
        }
        won / (n_positive * below)
    }
}

/// Areas `[1 + n_draws, n_models]` of `scores` (one slice a model): of the rows as they are, then
/// of rows drawn again within each class, the same for all models.
pub fn resampled_areas(
    scores: &[&[f64]],
    labels: &[bool],
    seed: u64,
    draws: Range<u64>,
    monitor: &Monitor,
) -> Result<Array2<f64>> {
    let n_positive = labels.iter().filter(|&&label| label).count();
    let is_mixed = n_positive > 0 && n_positive < labels.len();
    if !is_mixed || scores.iter().any(|own| own.len() != labels.len()) {
        return Err(Error::Shape(format!(
            "{n_positive} of {} labels are 1, expected both classes and one score a row",
            labels.len()
        )));
    }
    let strata: Vec<usize> = labels.iter().map(|&label| usize::from(label)).collect();
    let plan = Plan::new(Unit::Targets, &strata, seed)?;
    let sorted: Vec<Sorted> = scores.iter().map(|own| Sorted::new(own)).collect();
    let whole = vec![1; labels.len()];
    let drawn = replicates(draws, scores.len(), monitor, |number, row| {
        let mut times = vec![0u32; labels.len()];
        plan.draw(number, 1, |target, _| times[target] += 1);
        for (area, sorted) in row.iter_mut().zip(&sorted) {
            *area = sorted.area(labels, &times);
        }
    })?;
    let mut all = Array2::zeros((drawn.nrows() + 1, scores.len()));
    for (area, sorted) in all.row_mut(0).iter_mut().zip(&sorted) {
        *area = sorted.area(labels, &whole);
    }
    all.slice_mut(ndarray::s![1.., ..]).assign(&drawn);
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::composition::auc;

    #[test]
    fn whole_rows_give_the_area_by_ranks_and_draws_lie_around_it() {
        let scores: Vec<f64> = (0..200).map(|at| f64::from((at * 37) % 23)).collect();
        let labels: Vec<bool> = (0..200).map(|at| (at * 11) % 7 < 3).collect();
        let turned: Vec<f64> = scores.iter().map(|score| -score).collect();
        let monitor = Monitor::default();
        let all = resampled_areas(&[&scores, &turned], &labels, 1, 0..300, &monitor).unwrap();
        let plain = auc(&scores, &labels).unwrap();
        assert!((all[[0, 0]] - plain).abs() < 1e-12);
        for row in all.rows() {
            // The same rows for both: one curve is the mirror of the other, draw by draw.
            assert!((row[0] + row[1] - 1.0).abs() < 1e-12);
        }
        let mean = all.column(0).mean().unwrap();
        assert!((mean - plain).abs() < 0.02, "{mean} {plain}");
        assert!(resampled_areas(&[&scores], &[true; 200], 1, 0..9, &monitor).is_err());
        assert!(resampled_areas(&[&scores[1..]], &labels, 1, 0..9, &monitor).is_err());
    }
}
