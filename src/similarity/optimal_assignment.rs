//! Formula     max over one-to-one assignments a of mean_i p_i . q_a(i), i over the shorter prompt
//! Shapes      source [n_s, dim], target [n_t, dim] -> one number
//! Range       [-1, 1] for unit tokens
//! Promises    symmetric, order-free; any lengths
//! Zero rows   have product 0 with every token and take part in the assignment
//! NaN         refused before; an overflow ends as an error, never as a number
//! Precision   f64 stored and added; exact optimum up to the rounding of the path lengths
//! Cost        n_s n_t dim multiplications plus at most n^2 m additions, n <= m; 8 n m bytes
//!
//! Source: Kuhn 1955 (Hungarian method), solved by shortest augmenting paths as in Crouse 2016
//! (IEEE TAES 52(4), section III).

use super::reduce::mean;
use super::rule::{About, Rule};
use crate::linalg::{Inner, TokenPanels, for_each_row};
use crate::tokens::TokenMatrix;

pub const ABOUT: About = About {
    name: "optimal_assignment",
    formula: "max over one-to-one assignments a of mean_i p_i . q_a(i)",
    summary: "Every token of the shorter prompt gets a partner of its own; the best such pairing.",
    range: (-1.0, 1.0),
    symmetric: true,
    scale_free: false,
    order_free: true,
    needs_equal_length: false,
    seeks_partners: true,
    parameters: &[],
};

pub struct OptimalAssignment;

impl Rule for OptimalAssignment {
    type Form = TokenPanels;

    fn form(&self, tokens: TokenMatrix<'_>) -> TokenPanels {
        TokenPanels::pack(tokens)
    }

    fn score(&self, source: &TokenPanels, target: &TokenPanels) -> f64 {
        let (short, long) = if source.n_tokens() <= target.n_tokens() {
            (source, target)
        } else {
            (target, source)
        };
        let mut scores = Vec::with_capacity(short.n_tokens() * long.n_tokens());
        for_each_row(short, long, Inner, |_, row| scores.extend_from_slice(row));
        // Paths never end over NaN, and an overflow has no best assignment.
        if scores.iter().any(|score| !score.is_finite()) {
            return f64::NAN;
        }
        let partners = best_partners(&scores, long.n_tokens());
        let mut kept: Vec<f64> = partners
            .iter()
            .zip(scores.chunks_exact(long.n_tokens()))
            .map(|(&column, row)| row[column])
            .collect();
        // Sorted, so that the sum depends neither on the order of tokens nor on the roles.
        kept.sort_unstable_by(f64::total_cmp);
        mean(&kept)
    }
}

const FREE: usize = usize::MAX;

/// The column of each row in the assignment of largest total; `scores [n_rows, n_columns]` with
/// `n_rows <= n_columns`.
fn best_partners(scores: &[f64], n_columns: usize) -> Vec<usize> {
    let n_rows = scores.len() / n_columns;
    let mut row_price = vec![0.0; n_rows];
    let mut column_price = vec![0.0; n_columns];
    let mut partner_of_column = vec![FREE; n_columns];
    let mut partner_of_row = vec![FREE; n_rows];
    for start in 0..n_rows {
        let mut distance = vec![f64::INFINITY; n_columns];
        let mut reached_from = vec![start; n_columns];
        let mut done = vec![false; n_columns];
        let mut visited = vec![start];
        let (mut row, mut length) = (start, 0.0);
        let end = loop {
            let mut nearest = FREE;
            let costs = &scores[row * n_columns..(row + 1) * n_columns];
            for column in (0..n_columns).filter(|&column| !done[column]) {
                let candidate = length - costs[column] - row_price[row] - column_price[column];
                if candidate < distance[column] {
                    distance[column] = candidate;
                    reached_from[column] = row;
                }
                if nearest == FREE || distance[column] < distance[nearest] {
                    nearest = column;
                }
            }
            length = distance[nearest];
            done[nearest] = true;
            if partner_of_column[nearest] == FREE {
                break nearest;
            }
            row = partner_of_column[nearest];
            visited.push(row);
        };
        row_price[start] += length;
        for &row in &visited[1..] {
            row_price[row] += length - distance[partner_of_row[row]];
        }
        for column in (0..n_columns).filter(|&column| done[column]) {
            column_price[column] -= length - distance[column];
        }
        let mut column = end;
        loop {
            let row = reached_from[column];
            partner_of_column[column] = row;
            std::mem::swap(&mut partner_of_row[row], &mut column);
            if row == start {
                break;
            }
        }
    }
    partner_of_row
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn best_total(scores: &[f64], n_columns: usize, taken: u32) -> f64 {
        if scores.is_empty() {
            return 0.0;
        }
        let (row, rest) = scores.split_at(n_columns);
        (0..n_columns)
            .filter(|column| taken & (1 << column) == 0)
            .map(|column| row[column] + best_total(rest, n_columns, taken | (1 << column)))
            .fold(f64::NEG_INFINITY, f64::max)
    }

    proptest! {
        #[test]
        fn no_assignment_beats_the_chosen_one(
            (n_rows, n_columns) in (1usize..6).prop_flat_map(|n| (Just(n), n..7)),
            seed in prop::collection::vec(-4i8..5, 36),
        ) {
            let scores: Vec<f64> =
                seed[..n_rows * n_columns].iter().map(|&v| f64::from(v) / 4.0).collect();
            let partners = best_partners(&scores, n_columns);
            let mut used = partners.clone();
            used.sort_unstable();
            used.dedup();
            prop_assert_eq!(used.len(), n_rows);
            let total: f64 =
                partners.iter().enumerate().map(|(row, &c)| scores[row * n_columns + c]).sum();
            // Quarters add exactly, so the totals must agree to the last bit.
            prop_assert_eq!(total, best_total(&scores, n_columns, 0));
        }
    }
}
