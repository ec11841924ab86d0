//! The twin of the paths written out by hand: the same sums in plain arrays.

use super::{SUMS, Wide};

/// Sums that stay in registers while four rows are added.
const LANES: usize = 8;

/// Sum of squares of one row.
pub fn squares<E: Wide>(row: &[E]) -> f64 {
    let (chunks, rest) = row.as_chunks::<SUMS>();
    let mut sums = [0.0; SUMS];
    for chunk in chunks {
        add_squares(chunk, &mut sums);
    }
    add_squares(rest, &mut sums);
    let mut width = SUMS;
    while width > 1 {
        width /= 2;
        for at in 0..width {
            sums[at] += sums[at + width];
        }
    }
    sums[0]
}

#[inline(always)]
fn add_squares<E: Wide>(values: &[E], sums: &mut [f64; SUMS]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += value.widen() * value.widen();
    }
}

/// Adds each row times its scale to `sums`, row after row.
pub fn add<E: Wide, const ROWS: usize>(rows: [&[E]; ROWS], scales: [f64; ROWS], sums: &mut [f64]) {
    let cut = rows.map(|row| row.as_chunks::<LANES>());
    let (chunks, rest) = sums.as_chunks_mut::<LANES>();
    for (at, sums) in chunks.iter_mut().enumerate() {
        for ((row, _), scale) in cut.iter().zip(scales) {
            add_scaled(&row[at], scale, sums);
        }
    }
    for ((_, row), scale) in cut.into_iter().zip(scales) {
        add_scaled(row, scale, rest);
    }
}

#[inline(always)]
fn add_scaled<E: Wide>(values: &[E], scale: f64, sums: &mut [f64]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += value.widen() * scale;
    }
}
