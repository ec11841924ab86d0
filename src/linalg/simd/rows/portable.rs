//! The twin of the paths written out by hand: the same sums in plain arrays.

use super::{SUMS, Wide};

/// Sums that stay in registers: four of the sixteen that SSE2 has.
const LANES: usize = 8;

/// Sum of squares of one row. Its running sums do not fit the registers, so the row, which the
/// first-level cache holds, passes once for every `LANES` of them.
pub fn squares<E: Wide>(row: &[E]) -> f64 {
    let (chunks, rest) = row.as_chunks::<SUMS>();
    let mut sums = [0.0; SUMS];
    for (number, sums) in sums.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
        let mut running = [0.0; LANES];
        for chunk in chunks {
            let values = E::widened(&chunk.as_chunks::<LANES>().0[number]);
            for (sum, value) in running.iter_mut().zip(&values) {
                *sum += value * value;
            }
        }
        *sums = running;
    }
    for (sum, value) in sums.iter_mut().zip(rest) {
        *sum += value.widen() * value.widen();
    }
    let mut width = SUMS;
    while width > 1 {
        width /= 2;
        for at in 0..width {
            sums[at] += sums[at + width];
        }
    }
    sums[0]
}

/// Adds each row times its scale to `sums`, row after row.
pub fn add<E: Wide, const ROWS: usize>(rows: [&[E]; ROWS], scales: [f64; ROWS], sums: &mut [f64]) {
    let cut = rows.map(|row| row.as_chunks::<LANES>());
    let (chunks, rest) = sums.as_chunks_mut::<LANES>();
    let chunks_of = cut.map(|(chunks_of, _)| &chunks_of[..chunks.len()]);
    for (at, sums) in chunks.iter_mut().enumerate() {
        let mut running = *sums;
        for (row, scale) in chunks_of.iter().zip(&scales) {
            let values = E::widened(&row[at]);
            for (sum, value) in running.iter_mut().zip(&values) {
                *sum += value * scale;
            }
        }
        *sums = running;
    }
    for ((_, row), scale) in cut.iter().zip(scales) {
        for (sum, value) in rest.iter_mut().zip(*row) {
            *sum += value.widen() * scale;
        }
    }
}
