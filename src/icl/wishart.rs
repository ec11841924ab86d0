//! The same losses from the Gram matrix of the inputs alone.
//!
//! A loss depends on the inputs only through `G = X'X ~ Wishart(n, I)` in whitened coordinates, and
//! on the label noise only through `X'xi ~ N(0, s2 G)`. Bartlett (1933): `G = A A'` with A lower
//! trapezoidal, chi numbers on its diagonal and normal numbers below.

use rand::Rng;
use rand_distr::{ChiSquared, Distribution};

use super::sequences::{Sampler, Scratch, dot};
use crate::error::{Error, Result};
use crate::random::fill_normal;

/// Draws task vector, Gram matrix and the noise it carries: `s = G (beta - v) + A z sqrt(s2)`.
pub fn sufficient_loss(
    sampler: &Sampler,
    generator: &mut impl Rng,
    scratch: &mut Scratch,
) -> Result<f64> {
    let dim = sampler.dim;
    fill_normal(generator, &mut scratch.deviation);
    for row in 0..dim {
        let spread = &sampler.spread[row * dim..(row + 1) * dim];
        scratch.vector[row] = sampler.mean[row] + dot(spread, &scratch.deviation);
    }
    fill_bartlett(sampler, generator, &mut scratch.factor)?;
    // A' (beta - v) + sqrt(s2) z, of which A is applied next.
    fill_normal(generator, &mut scratch.deviation);
    for value in &mut scratch.deviation {
        *value *= sampler.noise;
    }
    let starts = scratch.vector.iter().zip(&sampler.shift);
    for (row, (factor, (vector, shift))) in scratch.factor.chunks_exact(dim).zip(starts).enumerate()
    {
        for (sum, entry) in scratch.deviation[..=row].iter_mut().zip(factor) {
            *sum += entry * (vector - shift);
        }
    }
    for (row, factor) in scratch.factor.chunks_exact(dim).enumerate() {
        scratch.gradient[row] = dot(&factor[..=row], &scratch.deviation[..=row]);
    }
    let mut total = 0.0;
    for row in 0..dim {
        let step = dot(&sampler.gain[row * dim..(row + 1) * dim], &scratch.gradient);
        let missed = scratch.vector[row] - sampler.bias[row] - step;
        total += missed * missed;
    }
    Ok(total)
}

/// Draws only the Gram matrix of the inputs (Bartlett's factor of a Wishart matrix) and integrates
/// task vector and label noise out: the loss expected given the inputs.
///
/// `|(I - B G) mu + B G v - b|^2 + |(I - B G) S^(1/2)|^2 + s2 tr(B G B')`
pub fn conditional_loss(
    sampler: &Sampler,
    generator: &mut impl Rng,
    scratch: &mut Scratch,
) -> Result<f64> {
    let (dim, rank) = (sampler.dim, sampler.n_examples.min(sampler.dim));
    fill_bartlett(sampler, generator, &mut scratch.factor)?;
    let mut total = 0.0;
    for row in 0..dim {
        let gain = &sampler.gain[row * dim..(row + 1) * dim];
        // One row of B A, then of B G = B A A'.
        scratch.deviation.fill(0.0);
        for (&entry, factor) in gain.iter().zip(scratch.factor.chunks_exact(dim)) {
            for (sum, &value) in scratch.deviation[..rank].iter_mut().zip(factor) {
                *sum += entry * value;
            }
        }
        total += sampler.noise * sampler.noise * dot(&scratch.deviation, &scratch.deviation);
        for (step, factor) in scratch
            .vector
            .iter_mut()
            .zip(scratch.factor.chunks_exact(dim))
        {
            *step = dot(factor, &scratch.deviation);
        }
        let learnt_shift = dot(&scratch.vector, &sampler.shift);
        for step in scratch.vector.iter_mut() {
            *step = -*step;
        }
        scratch.vector[row] += 1.0;
        let missed = dot(&scratch.vector, &sampler.mean) + learnt_shift - sampler.bias[row];
        total += missed * missed;
        scratch.gradient.fill(0.0);
        for (&kept, spread) in scratch.vector.iter().zip(sampler.spread.chunks_exact(dim)) {
            for (sum, &value) in scratch.gradient.iter_mut().zip(spread) {
                *sum += kept * value;
            }
        }
        total += dot(&scratch.gradient, &scratch.gradient);
    }
    Ok(total)
}

/// Lower trapezoidal A `[dim, min(n, dim)]` (zero-padded to square) with `A A' ~ Wishart(n, I)`.
fn fill_bartlett(sampler: &Sampler, generator: &mut impl Rng, factor: &mut [f64]) -> Result<()> {
    let (dim, n) = (sampler.dim, sampler.n_examples);
    factor.fill(0.0);
    for row in 0..dim {
        let filled = row.min(n);
        fill_normal(generator, &mut factor[row * dim..row * dim + filled]);
        if row < n {
            let freedom = (n - row) as f64;
            let chi_squared = ChiSquared::new(freedom)
                .map_err(|_| Error::Mixture("a chi-squared law needs a positive freedom".into()))?;
            factor[row * dim + row] = chi_squared.sample(generator).sqrt();
        }
    }
    Ok(())
}
