//! Boxes with several answers a probe: reliability by halves, and the bootstrap of both levels.
//!
//! ```text
//! Formula   halves: cosine of the centred means of two halves of the replicates, r; stepped up
//!           2r / (1 + r); intervals: probes drawn, replicates drawn within each, cosine again
//! Shapes    answers [n_boxes, n_probes, n_replicates, C] -> halves [n_boxes]; [3, n_boxes, n_boxes]
//! Range     [-1, 1]
//! Promises  free of the order of replicates only in distribution; fixed by the seed
//! Zero rows as for paired responses
//! NaN       missing replicates are left out; a probe without one is refused
//! Precision f64
//! Cost      n_replicates n_boxes n_probes (replicates + n_boxes) multiplications
//! ```
//!
//! Source: Spearman (1910), Brown (1910); Davison and Hinkley (1997), section 3.8.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};
use ndarray::{Array3, ArrayView4, s};
use rand::seq::SliceRandom;
use rayon::prelude::*;

use super::coordinates::{Codec, coordinates};
use super::paired::{Centred, Sampling, ends, paired, pairs, ratio};
use crate::error::{Error, Result};
use crate::random::stream;
use crate::threads::Monitor;

/// Split-half similarity `[n_boxes]` of every box with itself, mean over `n_halvings` halvings.
pub fn split_half(
    answers: ArrayView4<'_, f64>,
    codec: Codec,
    (n_halvings, seed): (u64, u64),
    monitor: &Monitor,
) -> Result<Vec<f64>> {
    let n_replicates = answers.dim().2;
    if n_replicates < 2 {
        return Err(Error::Shape(
            "reliability needs at least two replicates of each probe".into(),
        ));
    }
    let rows = (0..n_halvings).into_par_iter().map(|number| {
        let mut order: Vec<usize> = (0..n_replicates).collect();
        order.shuffle(&mut stream(seed, number));
        let (first, second) = order.split_at(n_replicates / 2);
        let half = |own: &[usize]| coordinates(answers.select(ndarray::Axis(2), own).view(), codec);
        let (first, second) = (half(first)?, half(second)?);
        monitor.tick(1)?;
        Ok(first
            .outer_iter()
            .zip(second.outer_iter())
            .map(|(a, b)| {
                // Probes that one half did not answer say nothing about agreement.
                let known: Vec<usize> = (0..a.nrows())
                    .filter(|&at| !a[[at, 0]].is_nan() && !b[[at, 0]].is_nan())
                    .collect();
                let rows = |m: &ndarray::ArrayView2<'_, f64>| m.select(ndarray::Axis(0), &known);
                let both = ndarray::stack![ndarray::Axis(0), rows(&a), rows(&b)];
                Centred::new(both.view()).map_or(f64::NAN, |own| own.cosine(0, 1))
            })
            .collect())
    });
    let rows = rows.collect::<Result<Vec<Vec<f64>>>>()?;
    let n = rows.len() as f64;
    Ok((0..answers.dim().0)
        .map(|at| rows.iter().map(|row| row[at]).sum::<f64>() / n)
        .collect())
}

/// Estimate, low and high `[3, n_boxes, n_boxes]`, probes and replicates drawn again.
pub fn nested(
    answers: ArrayView4<'_, f64>,
    codec: Codec,
    sampling: Sampling<'_>,
    monitor: &Monitor,
) -> Result<Array3<f64>> {
    let (n_boxes, n_probes, n_answers, dim) = answers.dim();
    let none = Sampling {
        n_replicates: 0,
        ..sampling
    };
    let mut found = paired(coordinates(answers, codec)?.view(), none, monitor)?;
    sampling.plan.check(n_probes)?;
    let all = pairs(n_boxes);
    let drawn = (0..sampling.n_replicates).into_par_iter().map(|number| {
        let mut rows = vec![0.0; n_boxes * n_probes * dim];
        let mut place = 0;
        sampling.plan.draw(number, n_answers, |probe, own| {
            for box_ in 0..n_boxes {
                let start = (box_ * n_probes + place) * dim;
                let answer = answers.slice(s![box_, probe, .., ..]);
                let out = &mut rows[start..start + dim];
                if !codec.encode(answer, own, out) {
                    // Every drawn replicate was a missing one: use those that exist.
                    let whole: Vec<usize> = (0..n_answers).collect();
                    codec.encode(answer, &whole, out);
                }
            }
            place += 1;
        });
        monitor.tick(1)?;
        Ok(cosines(&mut rows, (n_boxes, n_probes, dim), &all))
    });
    let drawn = drawn.collect::<Result<Vec<Vec<f64>>>>()?;
    for (at, &(a, b)) in all.iter().enumerate() {
        let mut values: Vec<f64> = drawn.iter().map(|row| row[at]).collect();
        let (low, high) = ends(&mut values, found[[0, a, b]], n_probes as f64, sampling)?;
        for (layer, value) in [(1, low), (2, high)] {
            found[[layer, a, b]] = value;
            found[[layer, b, a]] = value;
        }
    }
    Ok(found)
}

fn cosines(rows: &mut [f64], shape: (usize, usize, usize), all: &[(usize, usize)]) -> Vec<f64> {
    let (n_boxes, n_probes, dim) = shape;
    for own in rows.chunks_exact_mut(n_probes * dim) {
        for at in 0..dim {
            let mean = own.iter().skip(at).step_by(dim).sum::<f64>() / n_probes as f64;
            own.iter_mut()
                .skip(at)
                .step_by(dim)
                .for_each(|value| *value -= mean);
        }
    }
    let left = MatRef::from_row_major_slice(rows, n_boxes, n_probes * dim);
    let mut gram = Mat::zeros(n_boxes, n_boxes);
    matmul(
        gram.as_mut(),
        Accum::Replace,
        left,
        left.transpose(),
        1.0,
        Par::Seq,
    );
    all.iter()
        .map(|&(a, b)| ratio(gram[(a, b)], gram[(a, a)], gram[(b, b)]))
        .collect()
}
