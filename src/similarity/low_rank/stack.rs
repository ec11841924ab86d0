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
use super::single::{Narrow, narrowed};
use crate::error::Result;
use crate::linalg::simd::Path;
use crate::linalg::{Inner, TokenPanels, for_each_tile};

/// Rows of one stack at most, and bytes of its wider side: two of them share a L2 of 2 MB.
const ROWS: usize = 64;
const BYTES: usize = 512 << 10;
/// The same in single precision: whole tiles of 14 rows as well as whole panels of 32.
const NARROW_ROWS: usize = 224;
const NARROW_BYTES: usize = 1 << 20;

/// One module of some neighbouring tasks, laid out for the product.
pub struct Stack {
    /// Number of the first task.
    pub first: usize,
    /// Of every task, where its rows lie and the number in front; None without this module.
    members: Vec<Option<Member>>,
    sides: Option<[Side; 2]>,
}

/// The rows of A, or the columns of B.
enum Side {
    Double(TokenPanels),
    Single(Narrow),
}

/// Memory for the products of two stacks, used again.
#[derive(Default)]
pub struct Room {
    a: Vec<f64>,
    b: Vec<f64>,
    columns: Vec<f64>,
}

#[derive(Debug, Clone, Copy)]
struct Member {
    start: usize,
    rank: usize,
    scale: f64,
}

impl Stack {
    /// How many tasks fit into one stack, if each is as large as `largest`.
    pub fn n_tasks(largest: [usize; 3], single: Option<Path>) -> usize {
        let [rank, n_in, n_out] = largest.map(|size| size.max(1));
        let (rows, bytes, each) = match single {
            None => (ROWS, BYTES, size_of::<f64>()),
            Some(_) => (NARROW_ROWS, NARROW_BYTES, size_of::<f32>()),
        };
        (rows / rank)
            .min(bytes / (each * rank * n_in.max(n_out)))
            .max(1)
    }

    /// Packs tasks that stand behind each other from number `first` on.
    pub fn pack(first: usize, tasks: &[Option<Factors<'_>>], single: Option<Path>) -> Result<Self> {
        let mut members = Vec::with_capacity(tasks.len());
        let (mut start, mut widths) = (0, None);
        for task in tasks {
            members.push(task.map(|factors| {
                let (rank, scale) = (factors.sizes[0], factors.scale);
                widths = Some([factors.sizes[1], factors.sizes[2]]);
                start += rank;
                Member {
                    start: start - rank,
                    rank,
                    scale,
                }
            }));
        }
        let mut found = Self {
            first,
            members,
            sides: None,
        };
        if let Some(widths) = widths {
            let present: Vec<Factors<'_>> = tasks.iter().flatten().copied().collect();
            present.iter().try_for_each(Factors::check)?;
            found.sides = Some(match single {
                None => doubles(&present, widths),
                Some(path) => found.singles(&present, widths, path),
            });
        }
        Ok(found)
    }

    // The powers of two that numbers were divided by go to the number in front.
    fn singles(&mut self, present: &[Factors<'_>], widths: [usize; 2], path: Path) -> [Side; 2] {
        let mut rows = [Vec::new(), Vec::new()];
        let members = self.members.iter_mut().flatten();
        for (factors, member) in present.iter().zip(members) {
            let (a, b) = (narrowed(factors.a), narrowed(factors.b));
            rows[0].extend(a.0);
            transpose(&b.0, member.rank, &mut rows[1]);
            member.scale *= a.1 * b.1;
        }
        [0, 1].map(|side| Side::Single(Narrow::pack(path, &rows[side], widths[side])))
    }

    /// Number of tasks.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Inner products `[n_targets, n_sources]` of the updates of two stacks; `wanted` tells which
    /// pairs (target, source), counted within the stacks, are looked at, the others are 0.
    pub fn products(
        &self,
        sources: &Self,
        room: &mut Room,
        wanted: impl Fn(usize, usize) -> bool,
    ) -> Vec<f64> {
        let mut found = vec![0.0; self.len() * sources.len()];
        let (Some([a, b]), Some([other_a, other_b])) = (&self.sides, &sources.sides) else {
            return found;
        };
        let width = a.n_rows();
        cross(other_a, a, &mut room.a);
        cross(other_b, b, &mut room.b);
        for (row, target) in self.members.iter().enumerate() {
            for (column, source) in sources.members.iter().enumerate() {
                if let (Some(target), Some(source), true) = (target, source, wanted(row, column)) {
                    let at = source.start * width + target.start;
                    let sum = room.trace(at, width, (source.rank, target.rank));
                    found[row * sources.len() + column] = source.scale * target.scale * sum;
                }
            }
        }
        found
    }
}

impl Room {
    /// Sum of the elementwise product of two blocks that start at `at`. Swapping the two updates
    /// transposes both; sums of rows and sums of columns together make the result the same bit for
    /// bit, whichever comes first.
    fn trace(&mut self, at: usize, width: usize, (n_rows, n_columns): (usize, usize)) -> f64 {
        self.columns.clear();
        self.columns.resize(n_columns, 0.0);
        let mut by_rows = 0.0;
        for row in 0..n_rows {
            let here = at + row * width..at + row * width + n_columns;
            let pairs = self.a[here.clone()].iter().zip(&self.b[here]);
            let mut sum = 0.0;
            for (total, (a, b)) in self.columns.iter_mut().zip(pairs) {
                let product = a * b;
                *total += product;
                sum += product;
            }
            by_rows += sum;
        }
        let by_columns = self.columns.iter().fold(0.0, |sum, column| sum + column);
        0.5 * (by_rows + by_columns)
    }
}

impl Side {
    fn n_rows(&self) -> usize {
        match self {
            Side::Double(panels) => panels.n_tokens(),
            Side::Single(narrow) => narrow.n_rows(),
        }
    }
}

fn doubles(present: &[Factors<'_>], widths: [usize; 2]) -> [Side; 2] {
    let mut rows = [Vec::new(), Vec::new()];
    for factors in present {
        rows[0].extend(factors.a.widen());
        transpose(&factors.b.widen(), factors.sizes[0], &mut rows[1]);
    }
    [0, 1].map(|side| Side::Double(TokenPanels::pack_rows(&rows[side], widths[side])))
}

/// `[n_out, rank]` to rows `[rank, n_out]`, behind what is there.
fn transpose<T: Copy>(values: &[T], rank: usize, rows: &mut Vec<T>) {
    rows.extend((0..rank).flat_map(|column| values.iter().skip(column).step_by(rank)));
}

/// `[n_rows, n_columns]` inner products of the rows of A, or of the columns of B.
fn cross(rows: &Side, columns: &Side, products: &mut Vec<f64>) {
    match (rows, columns) {
        (Side::Single(rows), Side::Single(columns)) => rows.cross(columns, products),
        (Side::Double(rows), Side::Double(columns)) => {
            let n_columns = columns.n_tokens();
            products.resize(rows.n_tokens() * n_columns, 0.0);
            for_each_tile(rows, columns, Inner, |tile| {
                for (offset, row) in tile.rows().enumerate() {
                    let start = (tile.first_row + offset) * n_columns + tile.first_column;
                    products[start..start + row.len()].copy_from_slice(row);
                }
            });
        }
        // One comparison packs all of its stacks alike.
        _ => products.clear(),
    }
}
