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
            let rows = order.iter().map(|&task| offsets[task] + position);
            around_mean(
                stored.dim(),
                rows.map(|row| stored.widen_rows(row..row + 1)),
            )
        })
        .collect();
    let within: f64 = found.iter().map(|(_, within)| within).sum();
    let means = found.iter().map(|(mean, _)| mean.clone());
    // Rows around the mean token: around the means of their positions, and these around it.
    let total = within + n_tasks as f64 * around_mean(stored.dim(), means).1;
    let within = within / (n_tokens * (n_tasks - 1)) as f64;
    let total = total / (n_tasks * n_tokens - 1) as f64;
    (total > 0.0 && total.is_finite()).then(|| 1.0 - within / total)
}

// The mean of rows, and the sum of squares around it.
fn around_mean(dim: usize, rows: impl Iterator<Item = Vec<f64>>) -> (Vec<f64>, f64) {
    let rows: Vec<Vec<f64>> = rows.collect();
    let mut mean = vec![0.0; dim];
    for row in &rows {
        mean.iter_mut()
            .zip(row)
            .for_each(|(sum, value)| *sum += value);
    }
    mean.iter_mut().for_each(|sum| *sum /= rows.len() as f64);
    let count = rows.len();
    let squares = rows.into_iter().map(|mut row| {
        drop_rounding(&mut row, &mean, count);
        row.iter().map(|value| value * value).sum::<f64>()
    });
    let squares = squares.sum();
    (mean, squares)
}
