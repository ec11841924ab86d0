//! Factors of some tasks behind each other, so that one product holds the traces of many pairs.
//!
//! ```text
//!                      targets: A of t0, A of t1, ...     [sum of ranks, n_in]
//! sources: A of s0     | s0 x t0 | s0 x t1 |
//!          A of s1     | s1 x t0 | s1 x t1 |              and the same of B^T
//! ```
//!
//! An element of a product is one sum in a fixed order, so the company a task is packed in changes
//! no bit of its scores.

use super::Factors;
use crate::error::{Error, Result};
use crate::linalg::{Inner, TokenPanels, for_each_tile};

/// Rows of one stack at most, and their bytes on the wider side: two of them share a L2 of 2 MB.
const ROWS: usize = 64;
const BYTES: usize = 512 << 10;

/// One module of some neighbouring tasks, laid out for the product.
pub struct Stack {
    /// Number of the first task.
    pub first: usize,
    /// Of every task, where its rows lie and the number in front; None without this module.
    members: Vec<Option<Member>>,
    sides: Option<(TokenPanels, TokenPanels)>,
}

#[derive(Debug, Clone, Copy)]
struct Member {
    start: usize,
    rank: usize,
    scale: f64,
}

impl Stack {
    /// How many tasks fit into one stack, if each is as large as `largest`.
    pub fn n_tasks(largest: [usize; 3]) -> usize {
        let [rank, n_in, n_out] = largest.map(|size| size.max(1));
        (ROWS / rank)
            .min(BYTES / (8 * rank * n_in.max(n_out)))
            .max(1)
    }

    /// Packs tasks that stand behind each other from number `first` on.
    pub fn pack(first: usize, tasks: &[Option<Factors<'_>>]) -> Result<Self> {
        let (mut a, mut b, mut start) = (Vec::new(), Vec::new(), 0);
        let mut members = Vec::with_capacity(tasks.len());
        let mut widths = None;
        for task in tasks {
            let Some(factors) = task else {
                members.push(None);
                continue;
            };
            let [rank, n_in, n_out] = factors.sizes;
            widths = Some((n_in, n_out));
            let (before_a, before_b) = (a.len(), b.len());
            a.extend(factors.a.widen());
            transpose(&factors.b.widen(), rank, &mut b);
            let found = (a.len() - before_a, b.len() - before_b);
            if rank == 0 || n_in == 0 || n_out == 0 || found != (rank * n_in, rank * n_out) {
                return Err(Error::Shape(format!(
                    "factors hold {} and {} numbers, expected rank {rank} times {n_in} and {n_out}",
                    found.0, found.1
                )));
            }
            let scale = factors.scale;
            members.push(Some(Member { start, rank, scale }));
            start += rank;
        }
        let sides = widths.map(|(n_in, n_out)| {
            let (a, b) = (
                TokenPanels::pack_rows(&a, n_in),
                TokenPanels::pack_rows(&b, n_out),
            );
            (a, b)
        });
        Ok(Self {
            first,
            members,
            sides,
        })
    }

    /// Number of tasks.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Inner products `[n_targets, n_sources]` of the updates of two stacks; `wanted` tells which
    /// pairs (target, source), counted within the stacks, are looked at, the others are 0.
    pub fn products(&self, sources: &Self, wanted: impl Fn(usize, usize) -> bool) -> Vec<f64> {
        let mut found = vec![0.0; self.len() * sources.len()];
        let (Some(targets), Some(others)) = (&self.sides, &sources.sides) else {
            return found;
        };
        let width = targets.0.n_tokens();
        let (a, b) = (cross(&others.0, &targets.0), cross(&others.1, &targets.1));
        for (row, target) in self.members.iter().enumerate() {
            for (column, source) in sources.members.iter().enumerate() {
                if let (Some(target), Some(source), true) = (target, source, wanted(row, column)) {
                    let at = |i: usize, j: usize| (source.start + i) * width + target.start + j;
                    let sum = trace(&a, &b, (source.rank, target.rank), at);
                    found[row * sources.len() + column] = source.scale * target.scale * sum;
                }
            }
        }
        found
    }
}

/// Sum of the elementwise product of two blocks. Swapping the two updates transposes both; adding
/// once by rows and once by columns makes the result the same bit for bit, whichever comes first.
fn trace(
    a: &[f64],
    b: &[f64],
    (n_rows, n_columns): (usize, usize),
    at: impl Fn(usize, usize) -> usize,
) -> f64 {
    let (mut by_rows, mut by_columns) = (0.0, 0.0);
    for row in 0..n_rows {
        for column in 0..n_columns {
            by_rows += a[at(row, column)] * b[at(row, column)];
        }
    }
    for column in 0..n_columns {
        for row in 0..n_rows {
            by_columns += a[at(row, column)] * b[at(row, column)];
        }
    }
    0.5 * (by_rows + by_columns)
}

/// `[n_out, rank]` to rows `[rank, n_out]`, behind what is there.
fn transpose(values: &[f64], rank: usize, rows: &mut Vec<f64>) {
    rows.extend((0..rank).flat_map(|column| values.iter().skip(column).step_by(rank)));
}

/// `[n_rows, n_columns]` inner products of the rows of A, or of the columns of B.
fn cross(rows: &TokenPanels, columns: &TokenPanels) -> Vec<f64> {
    let n_columns = columns.n_tokens();
    let mut products = vec![0.0; rows.n_tokens() * n_columns];
    for_each_tile(rows, columns, Inner, |tile| {
        for (offset, row) in tile.rows().enumerate() {
            let start = (tile.first_row + offset) * n_columns + tile.first_column;
            products[start..start + row.len()].copy_from_slice(row);
        }
    });
    products
}
