//! The part of the variance of tokens that belongs to their positions.

use rayon::prelude::*;

use super::super::prepare::drop_rounding;
use crate::tokens::Stored;

/// `1 - MS_within / MS_total` of tokens grouped by position; `order` lists the tasks in an order
/// that their contents alone fix. None for one task, one token or unequal lengths.
pub fn position_share(stored: &Stored<'_>, order: &[usize]) -> Option<f64> {
    let (offsets, n_tasks) = (stored.offsets(), stored.n_tasks());
    let n_tokens = offsets[1] - offsets[0];
    let is_ragged = offsets.windows(2).any(|task| task[1] - task[0] != n_tokens);
    if is_ragged || n_tasks < 2 || n_tokens < 2 {
        return None;
    }
    // The rows of one position stay in the cache between their mean and their distances from it.
    let found: Vec<(Vec<f64>, f64)> = (0..n_tokens)
        .into_par_iter()
        .map(|position| {
            around_mean(stored.dim(), n_tasks, |number| {
                let row = offsets[order[number]] + position;
                stored.widen_rows(row..row + 1)
            })
        })
        .collect();
    let within: f64 = found.iter().map(|(_, within)| within).sum();
    // Rows around the mean token: around the means of their positions, and these around it.
    let means = around_mean(stored.dim(), n_tokens, |position| found[position].0.clone());
    let total = within + n_tasks as f64 * means.1;
    let within = within / (n_tokens * (n_tasks - 1)) as f64;
    let total = total / (n_tasks * n_tokens - 1) as f64;
    (total > 0.0 && total.is_finite()).then(|| 1.0 - within / total)
}

// The mean of rows, and the sum of squares around it. Rows are asked for twice rather than kept.
fn around_mean(dim: usize, count: usize, row: impl Fn(usize) -> Vec<f64>) -> (Vec<f64>, f64) {
    let mut mean = vec![0.0; dim];
    for number in 0..count {
        mean.iter_mut()
            .zip(row(number))
            .for_each(|(sum, value)| *sum += value);
    }
    mean.iter_mut().for_each(|sum| *sum /= count as f64);
    let squares = (0..count).map(|number| {
        let mut row = row(number);
        drop_rounding(&mut row, &mean, count);
        row.iter().map(|value| value * value).sum::<f64>()
    });
    let squares = squares.sum();
    (mean, squares)
}
