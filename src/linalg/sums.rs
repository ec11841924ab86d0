//! Sums of tokens, as they are or divided by their norms, at the speed of reading them: a token is
//! read from memory once, and again from the first-level cache where its norm is needed first.

use pulp::{Arch, Simd, WithSimd};

use super::vector::unit;
use crate::element::Element;

/// Running sums of one norm: four AVX-512 registers cover the latency of an addition. One sum
/// would wait for itself and read 3 GB/s.
const SUMS: usize = 32;
/// Tokens added to the sums at a time, so that the sums are read and written once for all.
const TOGETHER: usize = 4;
/// Sums of squares outside may have lost digits; no number stored in 32 bits or less gets there.
const ORDINARY: std::ops::Range<f64> = 1e-200..1e200;

/// Adds each row of width `sums.len()`, divided by its norm where `is_unit` (zero rows stay zero),
/// to `sums`: row after row, whatever the processor.
pub fn add_rows<E: Element>(rows: &[E], is_unit: bool, sums: &mut [f64]) {
    Arch::new().dispatch(Add {
        rows,
        is_unit,
        sums,
    });
}

struct Add<'a, E> {
    rows: &'a [E],
    is_unit: bool,
    sums: &'a mut [f64],
}

impl<E: Element> WithSimd for Add<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let dim = self.sums.len();
        for rows in self.rows.chunks(TOGETHER * dim) {
            let mut scales = [Some(1.0); TOGETHER];
            if self.is_unit {
                for (scale, row) in scales.iter_mut().zip(rows.chunks_exact(dim)) {
                    *scale = scale_of(row);
                }
            }
            if let ([Some(a), Some(b), Some(c), Some(d)], true) =
                (scales, rows.len() == TOGETHER * dim)
            {
                add_four(rows, [a, b, c, d], self.sums);
                continue;
            }
            for (row, scale) in rows.chunks_exact(dim).zip(scales) {
                match scale {
                    Some(scale) => add_scaled(row, scale, self.sums),
                    None => add_extraordinary(row, self.sums),
                }
            }
        }
    }
}

// One over the norm, 0 for a zero row; None where the squares leave the range of `f64`.
#[inline(always)]
fn scale_of<E: Element>(row: &[E]) -> Option<f64> {
    let (chunks, rest) = row.as_chunks::<SUMS>();
    let mut sums = [0.0; SUMS];
    for chunk in chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += value.widen() * value.widen();
        }
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
    match sums[0] {
        square if ORDINARY.contains(&square) => Some(1.0 / square.sqrt()),
        0.0 if row.iter().all(|value| value.widen() == 0.0) => Some(0.0),
        _ => None,
    }
}

#[inline(always)]
fn add_four<E: Element>(rows: &[E], scales: [f64; TOGETHER], sums: &mut [f64]) {
    let dim = sums.len();
    let (first, second) = rows.split_at(2 * dim);
    let ((a, b), (c, d)) = (first.split_at(dim), second.split_at(dim));
    let [p, q, r, s] = scales;
    for ((((sum, a), b), c), d) in sums.iter_mut().zip(a).zip(b).zip(c).zip(d) {
        let two = (*sum + a.widen() * p) + b.widen() * q;
        *sum = (two + c.widen() * r) + d.widen() * s;
    }
}

#[inline(always)]
fn add_scaled<E: Element>(row: &[E], scale: f64, sums: &mut [f64]) {
    for (sum, value) in sums.iter_mut().zip(row) {
        *sum += value.widen() * scale;
    }
}

#[cold]
fn add_extraordinary<E: Element>(row: &[E], sums: &mut [f64]) {
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
        let mut sums = [0.0; 2];
        add_rows(&rows, true, &mut sums);
        assert!((sums[0] - 2.2).abs() < 1e-15 && (sums[1] - 0.6).abs() < 1e-15);
        let mut raw = [1.0; 2];
        add_rows(&[3.0f32, 4.0, 1.0, 0.0], false, &mut raw);
        assert_eq!(raw, [5.0, 5.0]);
    }

    proptest! {
        #[test]
        fn stretches_of_rows_add_up_to_the_bits_of_all(
            (values, dim) in (1usize..90).prop_flat_map(|dim| {
                (prop::collection::vec(-1e3..1e3f32, 0..12 * dim), Just(dim))
            }),
            cut in 0usize..12,
        ) {
            let values = &values[..values.len() / dim * dim];
            let cut = values.len().min(cut * dim);
            let wide: Vec<f64> = values.iter().map(|&value| f64::from(value)).collect();
            for is_unit in [false, true] {
                let (mut whole, mut parts) = (vec![0.0; dim], vec![0.0; dim]);
                add_rows(&wide, is_unit, &mut whole);
                add_rows(&values[..cut], is_unit, &mut parts);
                add_rows(&values[cut..], is_unit, &mut parts);
                prop_assert_eq!(&whole, &parts);
                let mut plain = vec![0.0; dim];
                for row in wide.chunks_exact(dim) {
                    let mut row = row.to_vec();
                    if is_unit {
                        unit(&mut row);
                    }
                    plain.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
                }
                // A norm of `dim` squares, its inverse and a product, for each of 12 rows.
                let bound = (dim + 16) as f64 * f64::EPSILON * if is_unit { 12.0 } else { 12e3 };
                for (found, plain) in whole.iter().zip(&plain) {
                    prop_assert!((found - plain).abs() <= bound, "{} {}", found, plain);
                }
            }
        }
    }
}
