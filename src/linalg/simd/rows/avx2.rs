//! AVX2: eight registers of running sums, row after row, as there are sixteen.

#![expect(
    clippy::needless_range_loop,
    reason = "iterators over arrays stay calls where units of code are small, and arrays in memory"
)]

use std::arch::x86_64::*;

use super::{SUMS, Wide, fetch, filled_up};

const LANES: usize = 4;

/// Sums of squares of each row.
///
/// # Safety
/// The processor has AVX2, FMA and F16C, and rows are of one width.
#[target_feature(enable = "avx2,fma,f16c")]
pub unsafe fn squares<E: Wide, const ROWS: usize>(
    rows: [&[E]; ROWS],
    ahead: [*const E; ROWS],
) -> [f64; ROWS] {
    let dim = rows[0].len();
    let whole = dim / SUMS * SUMS;
    let mut squares = [0.0; ROWS];
    for ((square, row), &ahead) in squares.iter_mut().zip(&rows).zip(&ahead) {
        let mut sums = [_mm256_setzero_pd(); SUMS / LANES];
        for at in (0..whole).step_by(SUMS) {
            fetch(ahead, 0, (at, dim));
            // SAFETY: a row has `SUMS` numbers more from here on.
            unsafe { add_squares(row.as_ptr().add(at), &mut sums) };
        }
        if whole < dim {
            // SAFETY: there are exactly as many.
            unsafe { add_squares(filled_up(&row[whole..]).as_ptr(), &mut sums) };
        }
        *square = total(sums);
    }
    squares
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn add_squares<E: Wide>(values: *const E, sums: &mut [__m256d; SUMS / LANES]) {
    for number in 0..SUMS / LANES {
        let sum = &mut sums[number];
        // SAFETY: the caller promises `SUMS` numbers.
        let wide = unsafe { E::four(values.add(number * LANES)) };
        *sum = match E::SQUARES_ARE_EXACT {
            true => _mm256_fmadd_pd(wide, wide, *sum),
            false => _mm256_add_pd(*sum, _mm256_mul_pd(wide, wide)),
        };
    }
}

// The upper half is added to the lower until one is left.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn total(sums: [__m256d; SUMS / LANES]) -> f64 {
    let [a, b, c, d, e, f, g, h] = sums;
    let (ae, bf) = (_mm256_add_pd(a, e), _mm256_add_pd(b, f));
    let (cg, dh) = (_mm256_add_pd(c, g), _mm256_add_pd(d, h));
    let four = _mm256_add_pd(_mm256_add_pd(ae, cg), _mm256_add_pd(bf, dh));
    let upper = _mm256_extractf128_pd::<1>(four);
    let two = _mm_add_pd(_mm256_castpd256_pd128(four), upper);
    _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)))
}

/// Adds each row times its scale to `sums`, row after row.
///
/// # Safety
/// The processor has AVX2, FMA and F16C, and rows are as wide as `sums`.
#[target_feature(enable = "avx2,fma,f16c")]
pub unsafe fn add<E: Wide, const ROWS: usize>(
    rows: [&[E]; ROWS],
    ahead: [*const E; ROWS],
    scales: [f64; ROWS],
    sums: &mut [f64],
) {
    let dim = sums.len();
    let whole = dim / SUMS * SUMS;
    let scales = scales.map(|scale| _mm256_set1_pd(scale));
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
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn add_stretch<E: Wide, const ROWS: usize>(
    rows: &[*const E; ROWS],
    start: usize,
    scales: &[__m256d; ROWS],
    sums: *mut f64,
) {
    for at in (0..SUMS).step_by(LANES) {
        // SAFETY: the caller promises `SUMS` numbers each.
        unsafe {
            let mut sum = _mm256_loadu_pd(sums.add(at));
            for row in 0..ROWS {
                let wide = E::four(rows[row].add(start + at));
                sum = _mm256_add_pd(sum, _mm256_mul_pd(wide, scales[row]));
            }
            _mm256_storeu_pd(sums.add(at), sum);
        }
    }
}
