//! Formula      affine and simplex weights of y on the rows of C; ||y - C'w|| / ||y - c0||;
//!              kappa = <z, delta> / ||delta||^2, z = y - c0, delta = C'pi - c0, c0 = mean of C;
//!              sin of the angle between z and delta, and between the halves of the mixture
//! Shapes       pure [n_tasks] sets [n_k, dim], mixture [n, dim], pi [n_tasks] -> Decomposition
//! Range        residual >= 0 (1: no better than the centroid); kappa any (1: on the point)
//! Promises     rotation, translation and scaling of the space change nothing
//! Zero rows    affinely dependent centroids are refused; C'pi = c0 leaves kappa NaN
//! NaN          refused before
//! Precision    f64; residuals from vectors, not from Gram matrices
//! Cost         (n_replicates + n_splits / 4) n_total dim
//!
//! Source: ours (docs/superposition.md), after arXiv 2410.05603; percentile bootstrap over the
//! prompts of every set jointly.

use chacha20::ChaCha8Rng;
use faer::MatRef;
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::linalg::clear_registers;
use crate::random::stream;
use crate::superposition::draws::below;
use crate::superposition::quantile::interval;
use crate::superposition::rows::{Rows, add, difference, dot, sine};
use crate::superposition::simplex::{affine, simplex};
use crate::threads::Monitor;

/// Streams of the splits start here, out of reach of any number of replicates.
const SPLIT_STREAM: u64 = 1 << 40;
// Below this, the weights would carry the rounding error of the states themselves.
const SMALLEST_SINGULAR_RATIO: f64 = 1e-7;

/// Numbers of one estimate: affine weights, simplex weights, then the five of `NAMES`.
pub const NAMES: [&str; 5] = [
    "affine_residual",
    "simplex_residual",
    "kappa",
    "sin_theta",
    "length",
];

/// A decomposition with its intervals.
#[derive(Clone, Debug)]
pub struct Decomposition {
    /// Estimate `[2 n_tasks + 5]`, its lower and upper ends.
    pub estimate: [Vec<f64>; 3],
    /// Mean sine between half displacements: what noise alone makes of an exact direction.
    pub floor: f64,
    /// Condition number of the differences between centroids.
    pub condition_number: f64,
    /// Largest absolute cosine between two differences.
    pub max_cosine: f64,
}

/// Settings of the replicates.
#[derive(Clone, Copy, Debug)]
pub struct Replicates {
    /// Bootstrap replicates.
    pub n_replicates: usize,
    /// Random halvings of the mixture prompts.
    pub n_splits: usize,
    /// Content of an interval.
    pub confidence: f64,
    /// Seed.
    pub seed: u64,
}

/// Decomposes the mean of `mixture` on the means of `pure`.
pub fn decompose(
    pure: &[Rows<'_>],
    mixture: Rows<'_>,
    shares: &[f64],
    settings: Replicates,
    monitor: &Monitor,
) -> Result<Decomposition> {
    if pure.len() < 2 || pure.len() != shares.len() || pure.iter().any(|s| s.dim() != mixture.dim())
    {
        return Err(Error::Shape(format!(
            "decomposition: {} pure sets, {} shares; expected at least two sets, one share each \
             and one width",
            pure.len(),
            shares.len()
        )));
    }
    let centroids: Vec<Vec<f64>> = pure.iter().map(|set| set.mean()).collect();
    let (condition_number, max_cosine) = identifiable(&centroids)?;
    let centre = mean(&centroids);
    let point = estimate(&centroids, &mixture.mean(), shares)
        .ok_or_else(|| Error::Shape(DEPENDENT.to_string()))?;
    let replicates: Vec<Vec<f64>> = (0..settings.n_replicates)
        .into_par_iter()
        .map(|replicate| {
            let mut rng = stream(settings.seed, replicate as u64);
            let drawn: Vec<Vec<f64>> = pure.iter().map(|set| redrawn(*set, &mut rng)).collect();
            let mixed = redrawn(mixture, &mut rng);
            monitor.tick(1)?;
            let undefined = vec![f64::NAN; 2 * pure.len() + NAMES.len()];
            Ok(estimate(&drawn, &mixed, shares).unwrap_or(undefined))
        })
        .collect::<Result<_>>()?;
    let bounds = (0..point.len()).map(|place| {
        let mut values = replicates.iter().map(|row| row[place]).collect();
        interval(&mut values, settings.confidence)
    });
    let (low, high) = bounds.unzip();
    let floor = floor(mixture, &centre, settings);
    Ok(Decomposition {
        estimate: [point, low, high],
        floor,
        condition_number,
        max_cosine,
    })
}

const DEPENDENT: &str = "task vectors are affinely dependent (rank below n_tasks - 1), so weights \
     on them are not unique; drop a task, or use a layer where the tasks differ";

/// Condition number and largest cosine of the centroids' differences from the last one.
fn identifiable(centroids: &[Vec<f64>]) -> Result<(f64, f64)> {
    let n_rows = centroids.len() - 1;
    let last = &centroids[n_rows];
    let rows: Vec<Vec<f64>> = centroids[..n_rows]
        .iter()
        .map(|row| difference(row, last))
        .collect();
    let flat: Vec<f64> = rows.concat();
    let singular = MatRef::from_row_major_slice(&flat, n_rows, last.len())
        .singular_values()
        .map_err(|_| {
            Error::NonFinite("task vectors: no singular values; check the states".into())
        })?;
    clear_registers();
    let largest = singular.iter().copied().fold(0.0, f64::max);
    let smallest = singular.iter().copied().fold(f64::INFINITY, f64::min);
    if n_rows > last.len() || smallest <= SMALLEST_SINGULAR_RATIO * largest {
        return Err(Error::Shape(DEPENDENT.to_string()));
    }
    let mut max_cosine = 0.0_f64;
    for (place, left) in rows.iter().enumerate() {
        for right in &rows[..place] {
            let cosine = dot(left, right) / (dot(left, left) * dot(right, right)).sqrt();
            max_cosine = max_cosine.max(cosine.abs());
        }
    }
    Ok((largest / smallest, max_cosine))
}

fn estimate(centroids: &[Vec<f64>], mixed: &[f64], shares: &[f64]) -> Option<Vec<f64>> {
    let centre = mean(centroids);
    let arms: Vec<Vec<f64>> = centroids
        .iter()
        .map(|row| difference(row, &centre))
        .collect();
    let moved = difference(mixed, &centre);
    let gram: Vec<f64> = arms
        .iter()
        .flat_map(|l| arms.iter().map(move |r| dot(l, r)))
        .collect();
    let linear: Vec<f64> = arms.iter().map(|arm| dot(arm, &moved)).collect();
    let affine = affine(&gram, &linear)?;
    let simplex = simplex(&gram, &linear)?;
    let length = dot(&moved, &moved).sqrt();
    let residual = |weights: &[f64]| {
        let mut rest = moved.clone();
        arms.iter()
            .zip(weights)
            .for_each(|(arm, weight)| add(&mut rest, arm, -weight));
        dot(&rest, &rest).sqrt() / length
    };
    let mut expected = vec![0.0; mixed.len()];
    arms.iter()
        .zip(shares)
        .for_each(|(arm, share)| add(&mut expected, arm, *share));
    let arm_scale = gram.iter().fold(0.0_f64, |top, value| top.max(value.abs()));
    let reach = dot(&expected, &expected);
    // The uniform mixture is predicted at the centre itself: there is no direction to test.
    let defined = reach > 1e-20 * arm_scale;
    let kappa = if defined {
        dot(&moved, &expected) / reach
    } else {
        f64::NAN
    };
    let sin_theta = if defined {
        sine(&moved, &expected)
    } else {
        f64::NAN
    };
    let tail = [
        residual(&affine),
        residual(&simplex),
        kappa,
        sin_theta,
        length,
    ];
    Some([affine, simplex, tail.to_vec()].concat())
}

fn floor(mixture: Rows<'_>, centre: &[f64], settings: Replicates) -> f64 {
    let half = mixture.len() / 2;
    if half == 0 || settings.n_splits == 0 {
        return f64::NAN;
    }
    let sines: Vec<f64> = (0..settings.n_splits)
        .into_par_iter()
        .map(|split| {
            let mut rng = stream(settings.seed, SPLIT_STREAM + split as u64);
            let mut order: Vec<usize> = (0..mixture.len()).collect();
            shuffle(&mut order, &mut rng);
            let first = mixture.mean_of(order[..half].iter().copied());
            let second = mixture.mean_of(order[half..].iter().copied());
            sine(&difference(&first, centre), &difference(&second, centre))
        })
        .collect();
    sines.iter().sum::<f64>() / sines.len() as f64
}

/// Fisher-Yates with the library's own uniform numbers.
pub fn shuffle(order: &mut [usize], rng: &mut ChaCha8Rng) {
    for place in (1..order.len()).rev() {
        order.swap(place, below(rng, place as u32 + 1) as usize);
    }
}

fn redrawn(set: Rows<'_>, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let size = set.len() as u32;
    set.mean_of((0..size).map(|_| below(rng, size) as usize))
}

fn mean(rows: &[Vec<f64>]) -> Vec<f64> {
    let mut sum = vec![0.0; rows[0].len()];
    rows.iter()
        .for_each(|row| add(&mut sum, row, 1.0 / rows.len() as f64));
    sum
}
