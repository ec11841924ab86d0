//! Boxes that answered the same probes: cosine of centred responses, with bootstrap intervals.
//!
//! ```text
//! Formula   G_ab = sum_j w_j <z_aj, z_bj> - n <m_a, m_b>, m_a = sum_j w_j z_aj / n;
//!           s_ab = G_ab / sqrt(G_aa G_bb); w = 1 for the estimate, draws of probes otherwise
//! Shapes    responses [n_boxes, n_probes, dim] -> estimate, low, high [n_boxes, n_boxes]
//! Range     [-1, 1]
//! Promises  symmetric; free of scale and of a shift common to all probes; free of probe order
//! Zero rows a box that never changes its answer has similarity 0 with everything, itself included
//! NaN       refused
//! Precision f64; sums over probes in chunks of fixed size
//! Cost      n_replicates n_probes n_boxes^2 / 2 multiplications, as products of matrices
//! ```
//!
//! Source: Efron and Tibshirani (1993), chapter 13 for percentiles; Fisher (1921) for z.

use ndarray::{Array3, ArrayView3};
use rayon::prelude::*;

use super::check_finite;
use super::drawn::Drawn;
use crate::error::Result;
use crate::resampling::{Interval, Plan, Reference, interval, student_quantile};
use crate::threads::Monitor;

/// Pairs that share one product of matrices.
pub(super) const COLUMNS: usize = 256;
/// Beyond it `atanh` only shows rounding.
const NEAR_ONE: f64 = 1.0 - 1e-15;

/// What an interval is made of.
#[derive(Debug, Clone, Copy)]
pub struct Sampling<'a> {
    /// What is drawn.
    pub plan: &'a Plan,
    /// How often.
    pub n_replicates: u64,
    /// Of the intervals.
    pub confidence: f64,
    /// Fisher's z (true) or percentiles (false).
    pub is_fisher: bool,
}

/// Centred responses, coordinate after coordinate, each over all probes.
#[derive(Debug)]
pub struct Centred {
    values: Vec<f64>,
    pub(super) n_boxes: usize,
    pub(super) n_probes: usize,
    pub(super) dim: usize,
}

impl Centred {
    /// Centres responses `[n_boxes, n_probes, dim]` over probes.
    pub fn new(responses: ArrayView3<'_, f64>) -> Result<Self> {
        check_finite(&responses, "responses")?;
        let (n_boxes, n_probes, dim) = responses.dim();
        let mut values: Vec<f64> = responses.permuted_axes([0, 2, 1]).iter().copied().collect();
        for column in values.chunks_exact_mut(n_probes) {
            // The first value is taken off before, so that constant columns become exactly zero.
            let first = column[0];
            column.iter_mut().for_each(|value| *value -= first);
            let mean = column.iter().sum::<f64>() / n_probes as f64;
            column.iter_mut().for_each(|value| *value -= mean);
        }
        Ok(Self {
            values,
            n_boxes,
            n_probes,
            dim,
        })
    }

    pub(super) fn column(&self, box_: usize, coordinate: usize) -> &[f64] {
        let start = (box_ * self.dim + coordinate) * self.n_probes;
        &self.values[start..start + self.n_probes]
    }

    /// `<z_aj, z_bj>` of the probes of a chunk.
    pub(super) fn products(&self, pair: (usize, usize), start: usize, out: &mut [f64]) {
        out.fill(0.0);
        for coordinate in 0..self.dim {
            let a = &self.column(pair.0, coordinate)[start..start + out.len()];
            let b = &self.column(pair.1, coordinate)[start..start + out.len()];
            out.iter_mut()
                .zip(a.iter().zip(b))
                .for_each(|(sum, (x, y))| *sum += x * y);
        }
    }

    /// Cosine of a pair over all probes.
    pub(super) fn cosine(&self, a: usize, b: usize) -> f64 {
        let sum = |a, b| -> f64 {
            let products = |at| self.column(a, at).iter().zip(self.column(b, at));
            (0..self.dim)
                .map(|at| products(at).map(|(x, y)| x * y).sum::<f64>())
                .sum()
        };
        ratio(sum(a, b), sum(a, a), sum(b, b))
    }
}

pub(super) fn ratio(inner: f64, first: f64, second: f64) -> f64 {
    if first <= 0.0 || second <= 0.0 {
        return 0.0;
    }
    // The root of the product is exact for a box and its negation; it may leave the range of
    // `f64` where the squares themselves do not.
    let product = first * second;
    let norm = if product.is_normal() {
        product.sqrt()
    } else {
        first.sqrt() * second.sqrt()
    };
    (inner / norm).clamp(-1.0, 1.0)
}

/// All pairs `a <= b`.
pub(super) fn pairs(n_boxes: usize) -> Vec<(usize, usize)> {
    (0..n_boxes)
        .flat_map(|a| (a..n_boxes).map(move |b| (a, b)))
        .collect()
}

/// Estimate, low and high `[3, n_boxes, n_boxes]`; without replicates the last two are NaN.
pub fn paired(
    responses: ArrayView3<'_, f64>,
    sampling: Sampling<'_>,
    monitor: &Monitor,
) -> Result<Array3<f64>> {
    let data = Centred::new(responses)?;
    let all = pairs(data.n_boxes);
    let mut found = Array3::from_elem((3, data.n_boxes, data.n_boxes), f64::NAN);
    let drawn = (sampling.n_replicates > 0).then(|| Drawn::new(&data, sampling));
    let drawn = drawn.transpose()?;
    let blocks = all.par_chunks(COLUMNS).map(|block| {
        let estimates: Vec<f64> = block.iter().map(|&(a, b)| data.cosine(a, b)).collect();
        let ends = match &drawn {
            Some(drawn) => drawn.intervals(block, &estimates, sampling)?,
            None => vec![(f64::NAN, f64::NAN); block.len()],
        };
        monitor.tick(block.len())?;
        Ok((estimates, ends))
    });
    let blocks = blocks.collect::<Result<Vec<_>>>()?;
    let cells = blocks.iter().flat_map(|(own, ends)| own.iter().zip(ends));
    for (&(a, b), (estimate, ends)) in all.iter().zip(cells) {
        for (layer, value) in [*estimate, ends.0, ends.1].into_iter().enumerate() {
            found[[layer, a, b]] = value;
            found[[layer, b, a]] = value;
        }
    }
    Ok(found)
}

/// Interval around an estimate from its replicates.
pub(super) fn ends(
    values: &mut [f64],
    estimate: f64,
    n_probes: f64,
    sampling: Sampling<'_>,
) -> Result<(f64, f64)> {
    if !sampling.is_fisher {
        let known = Reference {
            estimate,
            units: Vec::new(),
            jackknife: Vec::new(),
        };
        return interval(Interval::Percentile, values, &known, sampling.confidence);
    }
    let z = |value: f64| value.clamp(-NEAR_ONE, NEAR_ONE).atanh();
    let count = values.len() as f64;
    let mean = values.iter().map(|&value| z(value)).sum::<f64>() / count;
    let squares: f64 = values.iter().map(|&value| (z(value) - mean).powi(2)).sum();
    let level = (1.0 + sampling.confidence) / 2.0;
    let half =
        student_quantile(level, (n_probes - 1.0).max(1.0))? * (squares / (count - 1.0)).sqrt();
    Ok(((z(estimate) - half).tanh(), (z(estimate) + half).tanh()))
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;
    use crate::resampling::Unit;

    fn sampling(plan: &Plan) -> Sampling<'_> {
        Sampling {
            plan,
            n_replicates: 200,
            confidence: 0.9,
            is_fisher: false,
        }
    }

    #[test]
    fn replicates_are_the_cosines_of_the_drawn_probes() {
        let data = Array3::from_shape_fn((2, 300, 1), |(b, p, _)| {
            ((p * (b + 3) * 7919) % 101) as f64 / 10.0
        });
        let plan = Plan::new(Unit::Targets, &[0; 300], 5).unwrap();
        let centred = Centred::new(data.view()).unwrap();
        let drawn = Drawn::new(&centred, sampling(&plan)).unwrap();
        let sums = drawn.sums(1, |_, start, out| centred.products((0, 1), start, out));
        for number in [0, 7] {
            let own: Vec<usize> = plan
                .indices(number as u64, 1)
                .into_iter()
                .map(|(at, _)| at)
                .collect();
            let again = data.select(ndarray::Axis(1), &own);
            let wanted = Centred::new(again.view()).unwrap().cosine(0, 1);
            let inner = sums[(number, 0)] - 300.0 * drawn.mean_product(number, 0, 1);
            let found = ratio(
                inner,
                drawn.squares[(number, 0)],
                drawn.squares[(number, 1)],
            );
            assert!((found - wanted).abs() < 1e-12, "{found} {wanted}");
        }
    }

    #[test]
    fn a_constant_box_resembles_nothing() {
        let data =
            Array3::from_shape_fn((2, 5, 1), |(b, p, _)| if b == 0 { 0.1 } else { p as f64 });
        let plan = Plan::new(Unit::Targets, &[0; 5], 0).unwrap();
        let found = paired(data.view(), sampling(&plan), &Monitor::default()).unwrap();
        assert_eq!(found[[0, 0, 0]], 0.0);
        assert_eq!(found[[0, 0, 1]], 0.0);
        assert_eq!(found[[0, 1, 1]], 1.0);
    }
}
