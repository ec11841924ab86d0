//! Weighted sums of prompts, weights by attention, and the slopes of both; all in f64.
//!
//! ```text
//! W_b  = argmax_W  sum_k W_k s_bk / tau + H(W) - beta KL(W || 1/K)
//!      = softmax_k(s_bk / (tau (1 + beta)))          s_bk = q_b . key_k
//! P_b  = sum_k W_bk P_k
//! ```
//!
//! A penalty on the distance to uniform weights is thus a higher temperature, exactly.

use crate::error::{Error, Result};
use crate::linalg::dot;

use super::ready::softmax;

/// How values of the sources lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// `[n_sources, n]`, the same for every row of weights.
    Alike,
    /// `[n_sources, n_rows, n]`, each row of weights mixes its own.
    ByRow,
}

/// Values of several sources, `n` numbers a row.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    values: &'a [f64],
    kind: Values,
    n_sources: usize,
    n_rows: usize,
}

impl<'a> Sources<'a> {
    /// Values that fit `n_sources` columns and `n_rows` rows of weights.
    pub fn new(values: &'a [f64], kind: Values, n_sources: usize, n_rows: usize) -> Result<Self> {
        let parts = match kind {
            Values::Alike => n_sources,
            Values::ByRow => n_sources * n_rows,
        };
        if parts == 0 || values.is_empty() || !values.len().is_multiple_of(parts) {
            return Err(Error::Shape(format!(
                "{} numbers cannot be the values of {n_sources} sources for {n_rows} rows of \
                 weights",
                values.len()
            )));
        }
        Ok(Self {
            values,
            kind,
            n_sources,
            n_rows,
        })
    }

    fn of(&self, row: usize, source: usize) -> &'a [f64] {
        let (n, at) = match self.kind {
            Values::Alike => (self.values.len() / self.n_sources, source),
            Values::ByRow => {
                let parts = self.n_sources * self.n_rows;
                (self.values.len() / parts, source * self.n_rows + row)
            }
        };
        &self.values[at * n..][..n]
    }

    /// `sum_k weights[b, k] values_k`, sources added in order: `[n_rows, n]`.
    pub fn mix(&self, weights: &[f64]) -> Result<Vec<f64>> {
        self.check(weights.len(), self.n_sources, "weights")?;
        let mut mixed = Vec::new();
        for (row, weights) in weights.chunks_exact(self.n_sources).enumerate() {
            let start = mixed.len();
            for (source, &weight) in weights.iter().enumerate() {
                let values = self.of(row, source);
                mixed.resize(start + values.len(), 0.0);
                for (sum, &value) in mixed[start..].iter_mut().zip(values) {
                    *sum += weight * value;
                }
            }
        }
        Ok(mixed)
    }

    /// Slopes by the weights `[n_rows, n_sources]`, given those by the mixture `[n_rows, n]`.
    pub fn slopes(&self, upstream: &[f64]) -> Result<Vec<f64>> {
        let n = self.of(0, 0).len();
        self.check(upstream.len(), n, "upstream")?;
        let rows = upstream.chunks_exact(n).enumerate();
        let slopes = rows.flat_map(|(row, upstream)| {
            (0..self.n_sources).map(move |source| dot(upstream, self.of(row, source)))
        });
        Ok(slopes.collect())
    }

    fn check(&self, len: usize, width: usize, what: &str) -> Result<()> {
        if len == self.n_rows * width {
            return Ok(());
        }
        Err(Error::Shape(format!(
            "{what}: {len} numbers, expected [{}, {width}]",
            self.n_rows
        )))
    }
}

/// Weights `[n_rows, n_sources]` of queries `[n_rows, dim]` over keys `[n_sources, dim]`.
/// `sharpness` is `1 / (tau (1 + beta))`; zero weighs all alike.
pub fn attend(queries: &[f64], keys: &[f64], dim: usize, sharpness: f64) -> Result<Vec<f64>> {
    let fits = dim > 0 && queries.len().is_multiple_of(dim) && keys.len().is_multiple_of(dim);
    if !fits || keys.is_empty() {
        return Err(Error::Shape(format!(
            "{} numbers of queries and {} of keys, expected rows of dim {dim} and at least one key",
            queries.len(),
            keys.len()
        )));
    }
    let mut weights = Vec::with_capacity(queries.len() / dim * (keys.len() / dim));
    for query in queries.chunks_exact(dim) {
        let keys = keys.chunks_exact(dim);
        let mut row: Vec<f64> = keys.map(|key| sharpness * dot(query, key)).collect();
        softmax(&mut row);
        weights.extend(row);
    }
    Ok(weights)
}

/// Slopes by the queries `[n_rows, dim]`, given those by the weights.
pub fn attend_slopes(
    weights: &[f64],
    flow: &[f64],
    keys: &[f64],
    dim: usize,
    sharpness: f64,
) -> Result<Vec<f64>> {
    let n_sources = keys.len().checked_div(dim).unwrap_or(0);
    if n_sources == 0 || weights.len() != flow.len() || !weights.len().is_multiple_of(n_sources) {
        return Err(Error::Shape(format!(
            "{} weights and {} slopes for {n_sources} keys do not fit together",
            weights.len(),
            flow.len()
        )));
    }
    let mut slopes = Vec::with_capacity(weights.len() / n_sources * dim);
    let rows = weights.chunks_exact(n_sources);
    for (weights, flow) in rows.zip(flow.chunks_exact(n_sources)) {
        let mean = dot(weights, flow);
        let start = slopes.len();
        slopes.resize(start + dim, 0.0);
        for ((&weight, &flow), key) in weights.iter().zip(flow).zip(keys.chunks_exact(dim)) {
            let slope = sharpness * weight * (flow - mean);
            for (sum, &value) in slopes[start..].iter_mut().zip(key) {
                *sum += slope * value;
            }
        }
    }
    Ok(slopes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mixture_worked_by_hand() {
        let values = [1.0, 2.0, 3.0, 4.0];
        let alike = Sources::new(&values, Values::Alike, 2, 1).unwrap();
        assert_eq!(alike.mix(&[0.25, 0.75]).unwrap(), [2.5, 3.5]);
        assert_eq!(alike.slopes(&[1.0, -1.0]).unwrap(), [-1.0, -1.0]);
        let by_row = Sources::new(&values, Values::ByRow, 2, 2).unwrap();
        assert_eq!(by_row.mix(&[1.0, 0.0, 0.0, 1.0]).unwrap(), [1.0, 4.0]);
        assert!(alike.mix(&[1.0]).is_err());
        assert!(Sources::new(&values, Values::Alike, 3, 1).is_err());
        assert!(Sources::new(&values, Values::Alike, 0, 1).is_err());
    }

    #[test]
    fn slopes_by_the_query_are_what_differences_say() {
        let (keys, sharpness) = ([0.3, -1.0, 2.0, 0.5, -0.4, 1.5], 0.7);
        let values = [1.0, -2.0, 0.5];
        let sources = Sources::new(&values, Values::Alike, 3, 1).unwrap();
        let at = |query: [f64; 2]| {
            let weights = attend(&query, &keys, 2, sharpness).unwrap();
            sources.mix(&weights).unwrap()[0]
        };
        let query = [0.8, -0.2];
        let weights = attend(&query, &keys, 2, sharpness).unwrap();
        let flow = sources.slopes(&[1.0]).unwrap();
        let slopes = attend_slopes(&weights, &flow, &keys, 2, sharpness).unwrap();
        for (axis, slope) in slopes.iter().enumerate() {
            let moved = |step: f64| {
                let mut query = query;
                query[axis] += step;
                at(query)
            };
            let found = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((found - slope).abs() < 1e-9, "{found} {slope}");
        }
    }
}
