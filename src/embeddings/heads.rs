//! The Fisher diagonal of a head on frozen features, in closed form.
//!
//! Formula     F_kc = (1 / n) sum_x x_k^2 v_c(x), where v_c is the mean square of the derivative of
//!             -log p(y | x) by output c, over the labels of the convention:
//!             softmax   exact p_c (1 - p_c)    gold (p_c - `[y = c]`)^2
//!             logistic  exact p_c (1 - p_c)    gold (p_c - y_c)^2    (every output by itself)
//!             linear    exact 1 / s            gold (o_c - y_c)^2 / s^2    (noise variance s)
//!             Monte Carlo: the gold formula averaged over m labels drawn from the model
//! Shapes      features `[n, n_features]`, outputs `[n, n_outputs]` -> `[n_features + 1, n_outputs]`,
//!             the last row the bias (feature 1)
//! Range       0 and above
//! Promises    same bits for any threads; example `i` draws its labels from stream `i` of the seed
//! NaN         refused at the door
//! Precision   f64, examples in order
//! Cost        n n_features n_outputs multiplications
//!
//! Source: the gradient of a softmax head by weight `(k, c)` is x_k (p_c - `[y = c]`).

use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::random::stream;
use crate::tokens::Tokens;

/// What the outputs of the head are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Head {
    /// Probabilities of classes that exclude each other.
    Softmax,
    /// Independent probabilities.
    Logistic,
    /// Means of normal variables of this variance.
    Linear(f64),
}

/// Whose labels the gradients are taken at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Labels<'a> {
    /// The expectation over the model's own labels.
    Exact,
    /// Given labels `[n, n_outputs]`, classes as indicators ("empirical Fisher").
    Gold(&'a [f64]),
    /// So many labels drawn from the model, under this seed.
    MonteCarlo(usize, u64),
}

/// `[n_features + 1, n_outputs]`, row by row.
pub fn head_fisher(
    features: &Tokens,
    outputs: &[f64],
    head: Head,
    labels: Labels<'_>,
) -> Result<Vec<f64>> {
    let n = features.buffer.len() / features.dim;
    let n_outputs = outputs.len() / n;
    let gold = if let Labels::Gold(labels) = labels {
        labels.len()
    } else {
        outputs.len()
    };
    if outputs.is_empty() || outputs.len() != n * n_outputs || gold != outputs.len() {
        return Err(Error::Shape(format!(
            "{n} examples, {} outputs, {gold} labels: expected equal numbers of examples",
            outputs.len()
        )));
    }
    let slopes: Vec<f64> = outputs
        .par_chunks(n_outputs)
        .enumerate()
        .flat_map_iter(|(example, outputs)| squares(example, outputs, head, labels))
        .collect();
    let row = |feature: usize| {
        let mut sums = vec![0.0; n_outputs];
        for (token, slopes) in features
            .buffer
            .chunks_exact(features.dim)
            .zip(slopes.chunks(n_outputs))
        {
            let value = token.get(feature).copied().unwrap_or(1.0);
            for (sum, slope) in sums.iter_mut().zip(slopes) {
                *sum += value * value * slope;
            }
        }
        sums.into_iter().map(|sum| sum / n as f64)
    };
    Ok((0..=features.dim)
        .into_par_iter()
        .flat_map_iter(row)
        .collect())
}

/// v_c of one example.
fn squares(example: usize, outputs: &[f64], head: Head, labels: Labels<'_>) -> Vec<f64> {
    let scale = if let Head::Linear(variance) = head {
        variance
    } else {
        1.0
    };
    match (labels, head) {
        (Labels::Exact, Head::Linear(variance)) => vec![1.0 / variance; outputs.len()],
        (Labels::Exact, _) => outputs.iter().map(|p| p * (1.0 - p)).collect(),
        (Labels::Gold(all), _) => {
            let labels = &all[example * outputs.len()..(example + 1) * outputs.len()];
            let slopes = outputs.iter().zip(labels);
            slopes.map(|(p, y)| ((p - y) / scale).powi(2)).collect()
        }
        (Labels::MonteCarlo(n_draws, seed), _) => {
            let mut generator = stream(seed, example as u64);
            let mut sums = vec![0.0; outputs.len()];
            for _ in 0..n_draws {
                let label = draw(&mut generator, outputs, head);
                for ((sum, p), y) in sums.iter_mut().zip(outputs).zip(label) {
                    *sum += ((p - y) / scale).powi(2) / n_draws as f64;
                }
            }
            sums
        }
    }
}

/// One label `[n_outputs]` of the model.
fn draw(generator: &mut impl RngExt, outputs: &[f64], head: Head) -> Vec<f64> {
    match head {
        Head::Softmax => {
            let mut rest: f64 = generator.random::<f64>() * outputs.iter().sum::<f64>();
            let hit = outputs.iter().position(|p| {
                rest -= p;
                rest < 0.0
            });
            // Rounding may leave the last class unhit.
            let class = hit.unwrap_or(outputs.len() - 1);
            (0..outputs.len())
                .map(|c| f64::from(u8::from(c == class)))
                .collect()
        }
        Head::Logistic => outputs
            .iter()
            .map(|p| f64::from(u8::from(generator.random::<f64>() < *p)))
            .collect(),
        Head::Linear(variance) => outputs
            .iter()
            .map(|mean| {
                let normal: f64 = StandardNormal.sample(generator);
                mean + variance.sqrt() * normal
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features() -> Tokens {
        Tokens {
            buffer: vec![1.0, 2.0, 3.0, -1.0],
            offsets: vec![0, 2],
            dim: 2,
        }
    }

    #[test]
    fn softmax_matches_the_hand_worked_example() {
        let outputs = [0.25, 0.75, 0.5, 0.5];
        let found = head_fisher(&features(), &outputs, Head::Softmax, Labels::Exact).unwrap();
        let (a, b) = (0.1875, 0.25);
        let row = |x: f64, y: f64| (x * x * a + y * y * b) / 2.0;
        let rows = [row(1.0, 3.0), row(2.0, -1.0), row(1.0, 1.0)];
        assert_eq!(found, rows.map(|value| [value, value]).concat());
        let gold = Labels::Gold(&[0.0, 1.0, 1.0, 0.0]);
        let found = head_fisher(&features(), &outputs, Head::Softmax, gold).unwrap();
        assert_eq!(found[4], (0.0625 + 0.25) / 2.0);
    }

    #[test]
    fn drawn_labels_tend_to_the_exact_expectation() {
        let outputs = [0.2, 0.8, 0.6, 0.4];
        for head in [Head::Softmax, Head::Logistic, Head::Linear(0.5)] {
            let exact = head_fisher(&features(), &outputs, head, Labels::Exact).unwrap();
            let n_draws = 20_000;
            let drawn = Labels::MonteCarlo(n_draws, 3);
            let drawn = head_fisher(&features(), &outputs, head, drawn).unwrap();
            for (drawn, exact) in drawn.iter().zip(&exact) {
                // A squared slope has a standard deviation of at most 2 sqrt(2) times its mean
                // here (normal: sqrt 2; p = 0.2: 1.5); five standard errors.
                let bound = 5.0 * 2.83 / (n_draws as f64).sqrt() * exact;
                assert!((drawn - exact).abs() <= bound, "{head:?}: {drawn} {exact}");
            }
        }
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        let wrong = head_fisher(&features(), &[0.5; 3], Head::Logistic, Labels::Exact);
        assert!(matches!(wrong, Err(Error::Shape(_))));
        let labels = Labels::Gold(&[1.0]);
        assert!(head_fisher(&features(), &[0.5; 2], Head::Logistic, labels).is_err());
    }
}
