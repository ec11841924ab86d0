//! AVX-512: four registers of running sums a row, four rows side by side.

#![expect(
    clippy::needless_range_loop,
    reason = "iterators over arrays stay calls where units of code are small, and arrays in memory"
)]

use std::arch::x86_64::*;

use super::{SUMS, Wide, fetch, filled_up};

const LANES: usize = 8;

/// Sums of squares of each row.
///
/// # Safety
/// The processor has AVX-512, and rows are of one width.
#[target_feature(enable = "avx512f,avx512dq")]
pub unsafe fn squares<E: Wide, const ROWS: usize>(
    rows: [&[E]; ROWS],
    ahead: [*const E; ROWS],
) -> [f64; ROWS] {
    let dim = rows[0].len();
    let whole = dim / SUMS * SUMS;
    let mut sums = [[_mm512_setzero_pd(); SUMS / LANES]; ROWS];
    for at in (0..whole).step_by(SUMS) {
        for row in 0..ROWS {
            fetch(ahead[row], 0, (at, dim));
            // SAFETY: a row has `SUMS` numbers more from here on.
            unsafe { add_squares(rows[row].as_ptr().add(at), &mut sums[row]) };
        }
    }
    if whole < dim {
        for (sums, row) in sums.iter_mut().zip(&rows) {
            // SAFETY: there are exactly as many.
            unsafe { add_squares(filled_up(&row[whole..]).as_ptr(), sums) };
        }
    }
    sums.map(|sums| total(sums))
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
unsafe fn add_squares<E: Wide>(values: *const E, sums: &mut [__m512d; SUMS / LANES]) {
    for number in 0..SUMS / LANES {
        let sum = &mut sums[number];
        // SAFETY: the caller promises `SUMS` numbers.
        let wide = unsafe { E::eight(values.add(number * LANES)) };
        *sum = match E::SQUARES_ARE_EXACT {
            true => _mm512_fmadd_pd(wide, wide, *sum),
            false => _mm512_add_pd(*sum, _mm512_mul_pd(wide, wide)),
        };
    }
}

// The upper half is added to the lower until one is left.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn total([a, b, c, d]: [__m512d; SUMS / LANES]) -> f64 {
    let eight = _mm512_add_pd(_mm512_add_pd(a, c), _mm512_add_pd(b, d));
    let upper = _mm512_extractf64x4_pd::<1>(eight);
    let four = _mm256_add_pd(_mm512_castpd512_pd256(eight), upper);
    let upper = _mm256_extractf128_pd::<1>(four);
    let two = _mm_add_pd(_mm256_castpd256_pd128(four), upper);
    _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)))
}

/// Adds each row times its scale to `sums`, row after row.
///
/// # Safety
/// The processor has AVX-512, and rows are as wide as `sums`.
#[target_feature(enable = "avx512f,avx512dq")]
pub unsafe fn add<E: Wide, const ROWS: usize>(
    rows: [&[E]; ROWS],
    ahead: [*const E; ROWS],
    scales: [f64; ROWS],
    sums: &mut [f64],
) {
    let dim = sums.len();
    let whole = dim / SUMS * SUMS;
    let scales = scales.map(|scale| _mm512_set1_pd(scale));
    let starts = rows.map(|row| row.as_ptr());
    for at in (0..whole).step_by(SUMS) {
        for row in 0..ROWS {
            fetch(ahead[row], 1, (at, dim));
        }
        // SAFETY: rows and sums have `SUMS` numbers more from here on.
        unsafe { add_stretch(&starts, at, &scales, sums.as_mut_ptr().add(at)) };
    }
    if whole < dim {
        let filled = rows.map(|row| filled_up(&row[whole..]));
        let mut last = filled_up(&sums[whole..]);
        let mut rows = starts;
        for (row, filled) in rows.iter_mut().zip(&filled) {
            *row = filled.as_ptr();
        }
        // SAFETY: there are exactly as many.
        unsafe { add_stretch(&rows, 0, &scales, last.as_mut_ptr()) };
        sums[whole..].copy_from_slice(&last[..dim - whole]);
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
unsafe fn add_stretch<E: Wide, const ROWS: usize>(
    rows: &[*const E; ROWS],
    start: usize,
    scales: &[__m512d; ROWS],
    sums: *mut f64,
) {
    for at in (0..SUMS).step_by(LANES) {
        // SAFETY: the caller promises `SUMS` numbers each.
        unsafe {
            let mut sum = _mm512_loadu_pd(sums.add(at));
            for row in 0..ROWS {
                let wide = E::eight(rows[row].add(start + at));
                sum = _mm512_add_pd(sum, _mm512_mul_pd(wide, scales[row]));
            }
            _mm512_storeu_pd(sums.add(at), sum);
        }
    }
}
