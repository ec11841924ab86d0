//! What becomes of a tile's scores where it spans several prompts: the largest of every lane, and
//! the largest of every row. A tile of bfloat16 takes about a microsecond, so that four numbers at a
//! time, the compiler's baseline, would be noticed.

use std::ops::Range;

/// `best[lane] = max(best[lane], scales[row] * scores[row][lane])`.
#[inline(always)]
pub fn keep<const LANES: usize>(scores: &[f32], scales: &[f32], best: &mut [f32]) {
    for (row, &scale) in scores.chunks_exact(LANES).zip(scales) {
        for (best, &score) in best.iter_mut().zip(row) {
            let score = score * scale;
            *best = if score > *best { score } else { *best };
        }
    }
}

/// `best[row] = max(best[row], scales[lane] * scores[row][lane])` over `lanes`.
#[inline(always)]
pub fn across<const LANES: usize>(
    scores: &[f32],
    scales: &[f32],
    lanes: Range<usize>,
    best: &mut [f32],
) {
    for (row, best) in scores.chunks_exact(LANES).zip(best) {
        // As many running maxima as lanes, because one would wait for itself.
        let mut running = [f32::NEG_INFINITY; LANES];
        for lane in lanes.clone() {
            running[lane] = row[lane] * scales[lane];
        }
        let mut width = LANES;
        while width > 1 {
            width /= 2;
            for at in 0..width {
                running[at] = running[at].max(running[at + width]);
            }
        }
        *best = best.max(running[0]);
    }
}

/// Sum of every row, halves against halves: the eight lower sums and the eight upper ones, then four
/// and four, two and two, one and one.
pub fn row_totals(rows: &[[f32; 16]; 16]) -> [f32; 16] {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the processor was asked.
        return unsafe { avx512::row_totals(rows) };
    }
    rows.map(row_total)
}

fn row_total(row: [f32; 16]) -> f32 {
    let eight: [f32; 8] = std::array::from_fn(|at| row[at] + row[at + 8]);
    let four: [f32; 4] = std::array::from_fn(|at| eight[at] + eight[at + 4]);
    (four[0] + four[2]) + (four[1] + four[3])
}

/// The same for AVX2.
#[cfg(target_arch = "x86_64")]
pub mod avx2 {
    use super::Range;

    #[target_feature(enable = "avx2")]
    pub unsafe fn keep(scores: &[f32], scales: &[f32], best: &mut [f32]) {
        super::keep::<16>(scores, scales, best);
    }

    #[target_feature(enable = "avx2")]
    pub unsafe fn across(scores: &[f32], scales: &[f32], lanes: Range<usize>, best: &mut [f32]) {
        super::across::<16>(scores, scales, lanes, best);
    }
}

/// The same for AVX-512.
#[cfg(target_arch = "x86_64")]
pub mod avx512 {
    use std::arch::x86_64::*;

    use super::Range;

    /// # Safety
    /// The processor has AVX-512; `best` and every row of `scores` have 32 numbers.
    #[target_feature(enable = "avx512f")]
    pub unsafe fn keep(scores: &[f32], scales: &[f32], best: &mut [f32]) {
        let out = best.as_mut_ptr();
        // SAFETY: as promised.
        unsafe {
            let (mut low, mut high) = (_mm512_loadu_ps(out), _mm512_loadu_ps(out.add(16)));
            for (row, &scale) in scores.chunks_exact(32).zip(scales) {
                let (row, scale) = (row.as_ptr(), _mm512_set1_ps(scale));
                low = _mm512_max_ps(_mm512_mul_ps(_mm512_loadu_ps(row), scale), low);
                high = _mm512_max_ps(_mm512_mul_ps(_mm512_loadu_ps(row.add(16)), scale), high);
            }
            _mm512_storeu_ps(out, low);
            _mm512_storeu_ps(out.add(16), high);
        }
    }

    /// # Safety
    /// As above; `scales` has 32 numbers, and `lanes` end within them.
    #[target_feature(enable = "avx512f")]
    pub unsafe fn across(scores: &[f32], scales: &[f32], lanes: Range<usize>, best: &mut [f32]) {
        let mask = (u64::MAX >> (64 - lanes.len())) << lanes.start;
        let (first, second) = (mask as __mmask16, (mask >> 16) as __mmask16);
        let none = _mm512_set1_ps(f32::NEG_INFINITY);
        // SAFETY: as promised.
        let (low, high) = unsafe {
            let scales = scales.as_ptr();
            (_mm512_loadu_ps(scales), _mm512_loadu_ps(scales.add(16)))
        };
        for (row, best) in scores.chunks_exact(32).zip(best) {
            // SAFETY: a row has 32 numbers.
            let (left, right) = unsafe {
                let row = row.as_ptr();
                (_mm512_loadu_ps(row), _mm512_loadu_ps(row.add(16)))
            };
            let left = _mm512_mask_mul_ps(none, first, left, low);
            let right = _mm512_mask_mul_ps(none, second, right, high);
            *best = best.max(_mm512_reduce_max_ps(_mm512_max_ps(left, right)));
        }
    }

    // Lower and upper halves of groups of lanes, of two registers.
    const fn halves(half: i32, upper: i32) -> [i32; 16] {
        let (mut from, mut at) = ([0; 16], 0);
        while at < 16 {
            let within = at % 8;
            from[at as usize] = at / 8 * 16 + within / half * 2 * half + within % half + upper;
            at += 1;
        }
        from
    }

    #[target_feature(enable = "avx512f")]
    fn folded<const HALF: i32>(left: __m512, right: __m512) -> __m512 {
        let indices = |from: [i32; 16]| {
            // SAFETY: sixteen numbers are read.
            unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
        };
        let (low, high) = const { (halves(HALF, 0), halves(HALF, HALF)) };
        _mm512_add_ps(
            _mm512_permutex2var_ps(left, indices(low), right),
            _mm512_permutex2var_ps(left, indices(high), right),
        )
    }

    #[target_feature(enable = "avx512f")]
    pub fn row_totals(rows: &[[f32; 16]; 16]) -> [f32; 16] {
        // SAFETY: every row has sixteen numbers.
        let load = |row: usize| unsafe { _mm512_loadu_ps(rows[row].as_ptr()) };
        let four = |row: usize| {
            let (first, second) = (load(row), load(row + 1));
            let (third, fourth) = (load(row + 2), load(row + 3));
            folded::<4>(folded::<8>(first, second), folded::<8>(third, fourth))
        };
        let two = |row: usize| folded::<2>(four(row), four(row + 4));
        let mut totals = [0.0; 16];
        // SAFETY: sixteen numbers are written.
        unsafe { _mm512_storeu_ps(totals.as_mut_ptr(), folded::<1>(two(0), two(8))) };
        totals
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn totals_of_rows_have_the_bits_of_one_row_after_the_other(
            numbers in prop::collection::vec(-1e3..1e3f32, 256),
        ) {
            let rows: [[f32; 16]; 16] =
                std::array::from_fn(|row| std::array::from_fn(|at| numbers[16 * row + at]));
            prop_assert_eq!(
                row_totals(&rows).map(f32::to_bits),
                rows.map(|row| row_total(row).to_bits())
            );
        }
    }
}
