//! Is this the same endpoint as last week? Maximum mean discrepancy with a permutation test.
//!
//! ```text
//! Formula   mean over probes of  mean_{i != i'} k(x_i, x_i') + mean_{j != j'} k(y_j, y_j')
//!           - 2 mean k(x_i, y_j),  k(u, v) = exp(-|u - v|^2 / (2 h^2)), h^2 the median of all
//!           non-zero squared distances inside probes
//! Shapes    before [n_probes, r, dim], after [n_probes, s, dim] -> statistic, p
//! Range     statistic at most 2; p in (0, 1]
//! Promises  free of probe order; exact level under exchangeable answers
//! Zero rows not applicable
//! NaN       refused
//! Precision f64; permuted statistics within 1e-12 count as equal
//! Cost      n_probes (r + s)^2 (dim + n_permutations)
//! ```
//!
//! Source: Gretton et al. (2012), lemma 6; Gao et al. (2024), "Model equality testing", for the
//! kernel that is 0 between different prompts.

use ndarray::ArrayView3;
use rand::seq::SliceRandom;
use rayon::prelude::*;

use super::check_finite;
use crate::error::{Error, Result};
use crate::random::stream;
use crate::threads::Monitor;

/// Kernel values of one probe, answers of both times behind each other.
struct Gram {
    values: Vec<f64>,
    n: usize,
}

impl Gram {
    fn statistic(&self, order: &[usize], n_before: usize) -> f64 {
        let (first, second) = order.split_at(n_before);
        let sum = |a: &[usize], b: &[usize]| -> f64 {
            let row = |i: usize| b.iter().map(move |&j| self.values[i * self.n + j]);
            a.iter().map(|&i| row(i).sum::<f64>()).sum()
        };
        // A kernel of 1 with itself leaves the diagonal out exactly.
        let within = |own: &[usize]| {
            let n = own.len() as f64;
            (sum(own, own) - n) / (n * (n - 1.0))
        };
        let across = sum(first, second) / (first.len() * second.len()) as f64;
        within(first) + within(second) - 2.0 * across
    }
}

/// Statistic and permutation p-value.
pub fn drift(
    before: ArrayView3<'_, f64>,
    after: ArrayView3<'_, f64>,
    (n_permutations, seed): (u64, u64),
    monitor: &Monitor,
) -> Result<(f64, f64)> {
    check_finite(&before, "before")?;
    check_finite(&after, "after")?;
    let ((n, r, dim), (m, s, other)) = (before.dim(), after.dim());
    if n != m || dim != other || r < 2 || s < 2 {
        return Err(Error::Shape(format!(
            "before has shape {:?}, after {:?}; expected equal probes and widths, and at least \
             two answers a probe on each side",
            before.dim(),
            after.dim()
        )));
    }
    let distances: Vec<Vec<f64>> = (0..n).map(|at| squared(&before, &after, at)).collect();
    let mut known: Vec<f64> = distances
        .iter()
        .flatten()
        .copied()
        .filter(|&d| d > 0.0)
        .collect();
    known.sort_by(f64::total_cmp);
    let scale = known.get(known.len() / 2).copied().unwrap_or(1.0);
    let grams: Vec<Gram> = distances
        .into_iter()
        .map(|own| Gram {
            values: own
                .into_iter()
                .map(|d| (-d / (2.0 * scale)).exp())
                .collect(),
            n: r + s,
        })
        .collect();
    let order: Vec<usize> = (0..r + s).collect();
    let mean = |sum: f64| sum / n as f64;
    let observed = mean(grams.iter().map(|gram| gram.statistic(&order, r)).sum());
    let at_least = (0..n_permutations).into_par_iter().map(|number| {
        let mut generator = stream(seed, number);
        let mut order = order.clone();
        let mut sum = 0.0;
        for gram in &grams {
            order.shuffle(&mut generator);
            sum += gram.statistic(&order, r);
        }
        monitor.tick(1)?;
        Ok(u64::from(mean(sum) >= observed - 1e-12))
    });
    let count: u64 = at_least.collect::<Result<Vec<u64>>>()?.iter().sum();
    Ok((observed, (1 + count) as f64 / (1 + n_permutations) as f64))
}

fn squared(before: &ArrayView3<'_, f64>, after: &ArrayView3<'_, f64>, probe: usize) -> Vec<f64> {
    let rows: Vec<Vec<f64>> = [before, after]
        .into_iter()
        .flat_map(|side| {
            let own = side.index_axis(ndarray::Axis(0), probe);
            own.outer_iter().map(|row| row.to_vec()).collect::<Vec<_>>()
        })
        .collect();
    let distance =
        |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(x, y)| (x - y).powi(2)).sum() };
    rows.iter()
        .flat_map(|a| rows.iter().map(|b| distance(a, b)))
        .collect()
}
