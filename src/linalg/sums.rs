//! Sums of tokens, as they are or divided by their norms, at the speed of reading them: a token is
//! read from memory once, and again from the first-level cache where its norm is needed first.

use super::simd::{Path, RowSums, Wide};
use super::vector::unit;

/// Rows that pass side by side, from so many places: see `simd::rows`.
const TOGETHER: usize = 4;
/// Sums of squares outside may have lost digits; no number stored in 32 bits or less gets there.
const ORDINARY: std::ops::Range<f64> = 1e-200..1e200;

/// Adds each row of width `sums.len()`, divided by its norm where `is_unit` (zero rows stay zero),
/// to `sums`. Rows are cut into four equal runs, and one row of each is added after the other: the
/// first of all runs, then the second of all; what is left over comes last. This order is the
/// rows' own, whatever the processor.
pub fn add_rows<E: Wide>(path: Path, rows: &[E], is_unit: bool, sums: &mut [f64]) {
    let (by, dim) = (RowSums::of(path), sums.len());
    let count = rows.len() / dim;
    let run = count / TOGETHER;
    for number in 0..run {
        let at: [usize; TOGETHER] = std::array::from_fn(|place| (place * run + number) * dim);
        // After the last of these rows most likely come as many others, in the same places.
        let step = if number + 1 < run {
            dim
        } else {
            (count - number) * dim
        };
        let ahead = at.map(|at| rows.as_ptr().wrapping_add(at + step));
        add_some(by, at.map(|at| &rows[at..at + dim]), ahead, is_unit, sums);
    }
    for row in rows[TOGETHER * run * dim..].chunks_exact(dim) {
        let ahead = row.as_ptr().wrapping_add(dim);
        add_some(by, [row], [ahead], is_unit, sums);
    }
}

fn add_some<E: Wide, const ROWS: usize>(
    by: RowSums,
    rows: [&[E]; ROWS],
    ahead: [*const E; ROWS],
    is_unit: bool,
    sums: &mut [f64],
) {
    if !is_unit {
        return by.add(rows, ahead, [1.0; ROWS], sums);
    }
    let squares = by.squares(rows, ahead);
    if squares.iter().all(|square| ORDINARY.contains(square)) {
        return by.add(rows, ahead, squares.map(|square| 1.0 / square.sqrt()), sums);
    }
    for (row, square) in rows.into_iter().zip(squares) {
        if ORDINARY.contains(&square) {
            by.add([row], [row.as_ptr()], [1.0 / square.sqrt()], sums);
        } else {
            add_extraordinary(row, sums);
        }
    }
}

#[cold]
fn add_extraordinary<E: Wide>(row: &[E], sums: &mut [f64]) {
    if row.iter().all(|value| value.widen() == 0.0) {
        return;
    }
    let mut wide: Vec<f64> = row.iter().map(|value| value.widen()).collect();
    unit(&mut wide);
    for (sum, value) in sums.iter_mut().zip(wide) {
        *sum += value;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rows_of_any_size_count_by_their_direction() {
        let rows = [3e200, 4e200, 0.0, 0.0, 3e-320, 0.0, 0.0, -2.0, 0.6, 0.8];
        for path in Path::all() {
            let mut sums = [0.0; 2];
            add_rows(path, &rows, true, &mut sums);
            assert!((sums[0] - 2.2).abs() < 1e-15 && (sums[1] - 0.6).abs() < 1e-15);
            let mut raw = [1.0; 2];
            add_rows(path, &[3.0f32, 4.0, 1.0, 0.0], false, &mut raw);
            assert_eq!(raw, [5.0, 5.0]);
        }
    }

    #[test]
    fn rows_pass_in_four_runs_and_what_is_left_over_comes_last() {
        // Each number is lost unless it meets its opposite at once.
        let rows = [1e20f64, 3.0, -1e20, 5.0, 1.0, 7.0, 2.0, 9.0, 0.5];
        let order = [1e20, -1e20, 1.0, 2.0, 3.0, 5.0, 7.0, 9.0, 0.5];
        let mut sums = [0.0];
        add_rows(Path::all()[0], &rows, false, &mut sums);
        assert_eq!(sums[0], order.iter().sum::<f64>());
        assert_eq!(sums[0], 27.5);
    }

    proptest! {
        #[test]
        fn paths_and_widths_never_change_a_bit_and_every_row_counts_once(
            (values, dim) in (1usize..90).prop_flat_map(|dim| {
                (prop::collection::vec(-1e3..1e3f32, 0..14 * dim), Just(dim))
            }),
        ) {
            let values = &values[..values.len() / dim * dim];
            let wide: Vec<f64> = values.iter().map(|&value| f64::from(value)).collect();
            for is_unit in [false, true] {
                let mut plain = vec![0.0; dim];
                for row in wide.chunks_exact(dim) {
                    let mut row = row.to_vec();
                    if is_unit {
                        unit(&mut row);
                    }
                    plain.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
                }
                let mut first = vec![0.0; dim];
                add_rows(Path::all()[0], &wide, is_unit, &mut first);
                // A norm of `dim` squares, its inverse and a product, for each of 14 rows.
                let bound = (dim + 16) as f64 * f64::EPSILON * if is_unit { 14.0 } else { 14e3 };
                for (found, plain) in first.iter().zip(&plain) {
                    prop_assert!((found - plain).abs() <= bound, "{} {}", found, plain);
                }
                for path in Path::all() {
                    let (mut single, mut double) = (vec![0.0; dim], vec![0.0; dim]);
                    add_rows(path, values, is_unit, &mut single);
                    add_rows(path, &wide, is_unit, &mut double);
                    prop_assert_eq!(&single, &first, "{:?}", path);
                    prop_assert_eq!(&double, &first, "{:?}", path);
                }
            }
        }
    }
}
