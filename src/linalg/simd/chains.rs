//! Single products, each one chain of additions over `dim` as the tiles make it: what a screen leaves
//! to be decided. Sixteen pairs at a time; their rows are transposed in registers, four coordinates
//! of each, so that a register holds one coordinate of as many pairs.
//!
//! With rows from the second-level cache, 16 pairs of 768 coordinates take about as long as 1.7 rows of
//! a 14 x 32 tile: 250 cycles a pair on the Xeon of `mod`.

use super::Path;
use super::portable::multiply_add;

/// Pairs at a time.
pub const PAIRS: usize = 16;

/// One row of each pair; all of one length.
pub type Rows<'a> = [&'a [f32]; PAIRS];

impl Path {
    /// `left[pair] . right[pair]` with the bits that `best` and `scores` find for the two tokens.
    pub fn chains(self, left: &Rows<'_>, right: &Rows<'_>) -> [f32; PAIRS] {
        let dim = left[0].len();
        assert!(left.iter().chain(right).all(|row| row.len() == dim));
        let mut sums = [0.0; PAIRS];
        let whole = dim / 4 * 4;
        #[cfg(target_arch = "x86_64")]
        match self.name() {
            // SAFETY: `Path` hands out a name only after asking the processor for its
            // instructions, and every row holds the `whole` coordinates read.
            "avx512" => unsafe { x86::avx512(left, right, whole, &mut sums) },
            // SAFETY: as above.
            "avx2" => unsafe { x86::avx2(left, right, whole, &mut sums) },
            _ => return plain(left, right),
        }
        #[cfg(target_arch = "x86_64")]
        for at in whole..dim {
            for (sum, (left, right)) in sums.iter_mut().zip(left.iter().zip(right)) {
                *sum = left[at].mul_add(right[at], *sum);
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            let _ = whole;
            sums = plain(left, right);
        }
        sums
    }
}

fn plain(left: &Rows<'_>, right: &Rows<'_>) -> [f32; PAIRS] {
    let mut sums = [0.0; PAIRS];
    for at in 0..left[0].len() {
        for (sum, (left, right)) in sums.iter_mut().zip(left.iter().zip(right)) {
            *sum = multiply_add(*sum, left[at], right[at]);
        }
    }
    sums
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{PAIRS, Rows};

    type Starts = [*const f32; PAIRS];

    fn starts(rows: &Rows<'_>) -> Starts {
        rows.map(<[f32]>::as_ptr)
    }

    // Closures would not be compiled for the instructions of the function around them.
    macro_rules! quarter {
        ($starts:ident, $row:expr, $at:ident) => {
            _mm_loadu_ps($starts[$row].add($at))
        };
    }

    macro_rules! joined16 {
        ($starts:ident, $row:literal, $at:ident) => {{
            let low = _mm512_castps128_ps512(quarter!($starts, $row, $at));
            let low = _mm512_insertf32x4::<1>(low, quarter!($starts, $row + 4, $at));
            let low = _mm512_insertf32x4::<2>(low, quarter!($starts, $row + 8, $at));
            _mm512_insertf32x4::<3>(low, quarter!($starts, $row + 12, $at))
        }};
    }

    // Coordinates `at..at + 4` of sixteen rows, one register a coordinate. Quarters come from rows
    // four apart, so that a transposition inside each quarter finishes the work.
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn sixteen(starts: &Starts, at: usize) -> [__m512; 4] {
        // SAFETY: the caller promises at + 4 coordinates of every row.
        let (r0, r1, r2, r3) = unsafe {
            (
                joined16!(starts, 0, at),
                joined16!(starts, 1, at),
                joined16!(starts, 2, at),
                joined16!(starts, 3, at),
            )
        };
        let (a, b) = (_mm512_unpacklo_ps(r0, r1), _mm512_unpackhi_ps(r0, r1));
        let (c, d) = (_mm512_unpacklo_ps(r2, r3), _mm512_unpackhi_ps(r2, r3));
        [
            _mm512_shuffle_ps::<0x44>(a, c),
            _mm512_shuffle_ps::<0xee>(a, c),
            _mm512_shuffle_ps::<0x44>(b, d),
            _mm512_shuffle_ps::<0xee>(b, d),
        ]
    }

    /// The first `whole` coordinates.
    #[target_feature(enable = "avx512f")]
    pub unsafe fn avx512(left: &Rows<'_>, right: &Rows<'_>, whole: usize, sums: &mut [f32; PAIRS]) {
        let (left, right) = (starts(left), starts(right));
        let mut sum = _mm512_setzero_ps();
        let mut at = 0;
        while at < whole {
            // SAFETY: at + 4 <= whole, which every row holds.
            let (l, r) = unsafe { (sixteen(&left, at), sixteen(&right, at)) };
            sum = _mm512_fmadd_ps(l[0], r[0], sum);
            sum = _mm512_fmadd_ps(l[1], r[1], sum);
            sum = _mm512_fmadd_ps(l[2], r[2], sum);
            sum = _mm512_fmadd_ps(l[3], r[3], sum);
            at += 4;
        }
        // SAFETY: `sums` holds sixteen numbers.
        unsafe { _mm512_storeu_ps(sums.as_mut_ptr(), sum) };
    }

    macro_rules! joined8 {
        ($starts:ident, $row:expr, $at:ident) => {{
            let low = _mm256_castps128_ps256(quarter!($starts, $row, $at));
            _mm256_insertf128_ps::<1>(low, quarter!($starts, $row + 4, $at))
        }};
    }

    // The same of eight rows from `first` on.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn eight<const FIRST: usize>(starts: &Starts, at: usize) -> [__m256; 4] {
        // SAFETY: the caller promises at + 4 coordinates of every row.
        let (r0, r1, r2, r3) = unsafe {
            (
                joined8!(starts, FIRST, at),
                joined8!(starts, FIRST + 1, at),
                joined8!(starts, FIRST + 2, at),
                joined8!(starts, FIRST + 3, at),
            )
        };
        let (a, b) = (_mm256_unpacklo_ps(r0, r1), _mm256_unpackhi_ps(r0, r1));
        let (c, d) = (_mm256_unpacklo_ps(r2, r3), _mm256_unpackhi_ps(r2, r3));
        [
            _mm256_shuffle_ps::<0x44>(a, c),
            _mm256_shuffle_ps::<0xee>(a, c),
            _mm256_shuffle_ps::<0x44>(b, d),
            _mm256_shuffle_ps::<0xee>(b, d),
        ]
    }

    /// As `avx512`.
    #[target_feature(enable = "avx2,fma")]
    pub unsafe fn avx2(left: &Rows<'_>, right: &Rows<'_>, whole: usize, sums: &mut [f32; PAIRS]) {
        let (left, right) = (starts(left), starts(right));
        // SAFETY: every row holds the first `whole` coordinates.
        unsafe {
            half::<0>(&left, &right, whole, sums);
            half::<8>(&left, &right, whole, sums);
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn half<const FIRST: usize>(
        left: &Starts,
        right: &Starts,
        whole: usize,
        sums: &mut [f32; PAIRS],
    ) {
        let mut sum = _mm256_setzero_ps();
        let mut at = 0;
        while at < whole {
            // SAFETY: at + 4 <= whole, which every row holds.
            let (l, r) = unsafe { (eight::<FIRST>(left, at), eight::<FIRST>(right, at)) };
            sum = _mm256_fmadd_ps(l[0], r[0], sum);
            sum = _mm256_fmadd_ps(l[1], r[1], sum);
            sum = _mm256_fmadd_ps(l[2], r[2], sum);
            sum = _mm256_fmadd_ps(l[3], r[3], sum);
            at += 4;
        }
        // SAFETY: `sums` holds eight numbers from `FIRST`, 0 or 8, on.
        unsafe { _mm256_storeu_ps(sums.as_mut_ptr().add(FIRST), sum) };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Tile, With};
    use super::*;

    fn values(count: usize) -> impl Strategy<Value = Vec<f32>> {
        let value = prop_oneof![Just(0.0f32), -1e3..1e3f32, Just(1e-38f32), Just(-3e-40f32)];
        prop::collection::vec(value, count)
    }

    proptest! {
        #[test]
        fn a_chain_has_the_bits_of_the_tile(
            (dim, left, right) in (1usize..70).prop_flat_map(|dim| {
                (Just(dim), values(PAIRS * dim), values(PAIRS * dim))
            }),
        ) {
            let rows = |values: &'_ [f32]| -> Vec<Vec<f32>> {
                values.chunks_exact(dim).map(<[f32]>::to_vec).collect()
            };
            let (left_rows, right_rows) = (rows(&left), rows(&right));
            for path in Path::all() {
                let found = path.chains(
                    &std::array::from_fn(|pair| left_rows[pair].as_slice()),
                    &std::array::from_fn(|pair| right_rows[pair].as_slice()),
                );
                let (width, height) = (path.lanes(), path.rows());
                for pair in 0..PAIRS {
                    let mut panel = vec![0.0; width * dim];
                    path.pack_panel(&left_rows[pair], dim, &mut panel);
                    let mut tile = vec![0.0; height * dim];
                    path.pack_tile(&right_rows[pair], dim, &mut tile);
                    let mut scores = vec![0.0; width * height];
                    let ones = vec![1.0; height];
                    path.scores(&panel, Tile::Packed(&tile), With::scales(&ones), &mut scores);
                    prop_assert_eq!(found[pair], scores[0], "{:?} pair {}", path, pair);
                }
            }
        }
    }
}
