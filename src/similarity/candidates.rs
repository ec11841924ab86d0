//! The largest inner products of short vectors: candidates for a kernel to score exactly.
//!
//! ```text
//! queries [n_queries, width]  \   [ROWS, QUERIES]      each column: those above the least of the
//!                               -> products at a time -> k kept so far
//! rows    [n_rows, width]     /                        -> places [n_queries, k], best first
//! ```
//!
//! Formula     places of the k largest q.r, equal ones in ascending order
//! Precision   products in f32, by the linear algebra library
//! Promises    the same places on any number of threads: blocks are cut by number alone
//! Cost        2 n_queries n_rows width operations, k numbers kept a query

use std::cmp::Ordering;

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::linalg::clear_registers;
use crate::threads::Monitor;

// A block of products (64 KiB) is read again while it lies in the second cache, and a block of rows
// of 128 features (256 KiB) serves all queries of a thread.
const QUERIES: usize = 32;
const ROWS: usize = 512;
// Products looked at together: nearly all groups hold nothing that is kept.
const GROUP: usize = 32;

/// Places `[n_queries, k]` of the `k` largest products of each query with `rows`, best first.
pub fn largest_products(
    queries: &[f32],
    rows: &[f32],
    (width, k): (usize, usize),
    monitor: &Monitor,
) -> Result<Vec<i64>> {
    let n_rows = rows.len() / width.max(1);
    let is_cut = [queries, rows]
        .iter()
        .any(|side| !side.len().is_multiple_of(width));
    if width == 0 || is_cut || k == 0 || k > n_rows {
        return Err(Error::Shape(format!(
            "{k} of {n_rows} rows of {width} features were asked for, expected 1 to {n_rows}"
        )));
    }
    let found = queries.par_chunks(QUERIES * width).map(|queries| {
        let n_queries = queries.len() / width;
        let right = MatRef::from_column_major_slice(queries, width, n_queries);
        let mut best = vec![Best::new(k); n_queries];
        for (block, own) in rows.chunks(ROWS * width).enumerate() {
            monitor.tick(1)?;
            let left = MatRef::from_row_major_slice(own, own.len() / width, width);
            let mut products = Mat::<f32>::zeros(own.len() / width, n_queries);
            matmul(
                products.as_mut(),
                Accum::Replace,
                left,
                right,
                1.0,
                Par::Seq,
            );
            clear_registers();
            for (best, column) in best.iter_mut().zip(products.col_iter()) {
                if let Some(column) = column.try_as_col_major() {
                    best.offer(column.as_slice(), block * ROWS);
                }
            }
        }
        Ok(best.into_iter().flat_map(Best::places).collect::<Vec<_>>())
    });
    Ok(found.collect::<Result<Vec<_>>>()?.concat())
}

/// The largest so far, and now and then as many again before the smaller half is let go.
#[derive(Clone)]
struct Best {
    kept: Vec<(f32, usize)>,
    k: usize,
    least: f32,
}

impl Best {
    fn new(k: usize) -> Self {
        Self {
            kept: Vec::with_capacity(2 * k),
            k,
            least: f32::NEG_INFINITY,
        }
    }

    fn offer(&mut self, values: &[f32], first: usize) {
        for (group, first) in values.chunks(GROUP).zip((first..).step_by(GROUP)) {
            let most = group.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
            if most <= self.least && self.kept.len() >= self.k {
                continue;
            }
            for (&value, place) in group.iter().zip(first..) {
                // An equal one comes later, and the earlier place wins.
                if value > self.least || self.kept.len() < self.k {
                    // Zeros of both signs are equal.
                    self.kept.push((value + 0.0, place));
                    if self.kept.len() == 2 * self.k {
                        self.halve();
                    }
                }
            }
        }
    }

    fn halve(&mut self) {
        self.kept.select_nth_unstable_by(self.k - 1, order);
        self.kept.truncate(self.k);
        self.least = self.kept[self.k - 1].0;
    }

    fn places(mut self) -> impl Iterator<Item = i64> {
        self.kept.sort_unstable_by(order);
        self.kept.truncate(self.k);
        self.kept.into_iter().map(|(_, place)| place as i64)
    }
}

fn order(a: &(f32, usize), b: &(f32, usize)) -> Ordering {
    b.0.total_cmp(&a.0).then(a.1.cmp(&b.1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slow(queries: &[f32], rows: &[f32], width: usize, k: usize) -> Vec<i64> {
        queries
            .chunks(width)
            .flat_map(|query| {
                let mut all: Vec<(f32, usize)> = rows
                    .chunks(width)
                    .map(|row| row.iter().zip(query).map(|(a, b)| a * b).sum::<f32>() + 0.0)
                    .zip(0..)
                    .collect();
                all.sort_by(order);
                all.into_iter().take(k).map(|(_, place)| place as i64)
            })
            .collect()
    }

    proptest! {
        // Whole numbers, so that products are exact and ties many.
        #[test]
        fn places_are_those_of_a_full_sort(
            width in 1usize..5,
            n_rows in 1usize..1300,
            n_queries in 0usize..40,
            share in 0.0f64..1.0,
            seed in 0u64..1000,
        ) {
            let number = |at: usize| ((at as u64 * 2_654_435_761 + seed * 97) % 11) as f32 - 5.0;
            let rows: Vec<f32> = (0..n_rows * width).map(number).collect();
            let queries: Vec<f32> = (0..n_queries * width).map(|at| number(at * 31 + 7)).collect();
            let k = ((n_rows as f64 * share) as usize).max(1);
            let found = largest_products(&queries, &rows, (width, k), &Monitor::default()).unwrap();
            prop_assert_eq!(found, slow(&queries, &rows, width, k));
        }
    }

    #[test]
    fn what_cannot_be_found_is_refused() {
        for (width, k) in [(2, 0), (2, 4), (0, 1), (4, 1)] {
            let found = largest_products(&[1.0; 2], &[1.0; 6], (width, k), &Monitor::default());
            assert!(found.is_err(), "{width} {k}");
        }
    }
}
