//! The inner loop: one tile of columns, all rows of a batch, sums that stay in the cache.

use std::ops::Range;

use half::bf16;
use half::slice::HalfFloatSliceExt;
use pulp::Arch;

use super::Square;
use crate::element::Element;
use crate::tokens::{Ragged, Stored};

/// Columns whose f64 sums (64 KiB) stay in a second-level cache, while a row's part of a tile is
/// long enough (8 pages of float32) for the processor to read ahead.
pub const TILE: usize = 8192;

/// Which rows of a batch, and what becomes of them.
pub struct Part<'a> {
    pub rows: Range<usize>,
    pub weights: Option<&'a [f64]>,
    pub square: Square,
}

/// Writes `before` plus the squares of the tile that starts at `column` into `after`.
pub fn add_part(
    matrix: &Stored<'_>,
    part: &Part<'_>,
    column: usize,
    before: &[f64],
    after: &mut [f64],
) {
    let mut narrow = [0.0f32; TILE];
    let narrow = &mut narrow[..before.len()];
    let columns = column..column + before.len();
    match matrix {
        Stored::F32(rows) => add_direct(part, rows, columns, before, after),
        Stored::F64(rows) => add_direct(part, rows, columns, before, after),
        Stored::F16(rows) => add(part, before, after, |row, use_row| {
            line(rows, row)[columns.clone()].convert_to_f32_slice(narrow);
            use_row.of(narrow);
        }),
        Stored::Bf16(rows) => add(part, before, after, |row, use_row| {
            widen(&line(rows, row)[columns.clone()], narrow);
            use_row.of(narrow);
        }),
    }
}

/// Types that need no widening beforehand: four rows pass the sums at once, which loads and stores
/// a sum once for four additions in the order of the rows, and has four streams of memory open.
fn add_direct<E: Element>(
    part: &Part<'_>,
    rows: &Ragged<'_, E>,
    columns: Range<usize>,
    before: &[f64],
    after: &mut [f64],
) {
    let piece = |row: usize| &line(rows, row)[columns.clone()];
    if part.weights.is_some() || part.square == Square::BatchMean {
        return add(part, before, after, |row, use_row| use_row.of(piece(row)));
    }
    after.copy_from_slice(before);
    let fours = part.rows.len() / 4;
    for four in 0..fours {
        let first = part.rows.start + 4 * four;
        add_four([0, 1, 2, 3].map(|next| piece(first + next)), after);
    }
    for row in part.rows.start + 4 * fours..part.rows.end {
        add_squares(piece(row), after);
    }
}

fn add_four<E: Element>([a, b, c, d]: [&[E]; 4], sums: &mut [f64]) {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            let pairs = a.iter().zip(b).zip(c.iter().zip(d));
            for (sum, ((a, b), (c, d))) in sums.iter_mut().zip(pairs) {
                let [a, b, c, d] = [a.widen(), b.widen(), c.widen(), d.widen()];
                *sum = (((*sum + a * a) + b * b) + c * c) + d * d;
            }
        },
    );
}

fn line<'a, E: Element>(rows: &Ragged<'a, E>, row: usize) -> &'a [E] {
    &rows.buffer()[row * rows.dim()..(row + 1) * rows.dim()]
}

// The upper half of a float32; the library's own conversion branches on NaN and is not vectorised.
fn widen(row: &[bf16], wide: &mut [f32]) {
    for (wide, value) in wide.iter_mut().zip(row) {
        *wide = f32::from_bits(u32::from(value.to_bits()) << 16);
    }
}

/// What happens to a row.
enum Use<'a> {
    Square {
        sums: &'a mut [f64],
        weight: Option<f64>,
    },
    Sum {
        sums: &'a mut [f64],
    },
}

impl Use<'_> {
    fn of<E: Element>(self, row: &[E]) {
        match self {
            Use::Square { sums, weight: None } => add_squares(row, sums),
            Use::Square {
                sums,
                weight: Some(weight),
            } => add_weighted(row, weight, sums),
            Use::Sum { sums } => add_values(row, sums),
        }
    }
}

fn add(part: &Part<'_>, before: &[f64], after: &mut [f64], mut visit: impl FnMut(usize, Use<'_>)) {
    match part.square {
        Square::EachExample => {
            after.copy_from_slice(before);
            for row in part.rows.clone() {
                let weight = part.weights.map(|weights| weights[row]);
                let sums = &mut *after;
                visit(row, Use::Square { sums, weight });
            }
        }
        Square::BatchMean => {
            after.fill(0.0);
            for row in part.rows.clone() {
                visit(row, Use::Sum { sums: &mut *after });
            }
            let count = part.rows.len() as f64;
            for (sum, before) in after.iter_mut().zip(before) {
                let mean = *sum / count;
                *sum = before + mean * mean;
            }
        }
    }
}

// No multiplication is fused with an addition, so wider registers change speed and no bit.
fn add_squares<E: Element>(row: &[E], sums: &mut [f64]) {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for (sum, value) in sums.iter_mut().zip(row) {
                let value = value.widen();
                *sum += value * value;
            }
        },
    );
}

fn add_weighted<E: Element>(row: &[E], weight: f64, sums: &mut [f64]) {
    for (sum, value) in sums.iter_mut().zip(row) {
        let value = value.widen();
        *sum += weight * (value * value);
    }
}

fn add_values<E: Element>(row: &[E], sums: &mut [f64]) {
    for (sum, value) in sums.iter_mut().zip(row) {
        *sum += value.widen();
    }
}

/// Row and column of the first number whose square is not finite.
pub fn first_bad(matrix: &Stored<'_>) -> Option<(usize, usize)> {
    match matrix {
        Stored::F16(rows) => bad(rows),
        Stored::Bf16(rows) => bad(rows),
        Stored::F32(rows) => bad(rows),
        Stored::F64(rows) => bad(rows),
    }
}

fn bad<E: Element>(rows: &Ragged<'_, E>) -> Option<(usize, usize)> {
    let square = |value: &E| value.widen() * value.widen();
    let at = rows
        .buffer()
        .iter()
        .position(|value| !square(value).is_finite())?;
    Some((at / rows.dim(), at % rows.dim()))
}
