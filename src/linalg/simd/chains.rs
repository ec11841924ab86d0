//! Single products, each one chain of additions over `dim` as the tiles make it: what a screen leaves
//! to be decided. Sixteen pairs at a time; their rows are transposed in registers, four coordinates
//! of each, so that a register holds one coordinate of as many pairs.
//!
//! With rows from the second-level cache, a pair of 768 coordinates takes about 250 cycles on the Xeon of
//! `mod`; in a tile it takes 24.

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
        #[cfg(target_arch = "x86_64")]
        {
            let (mut sums, whole) = ([0.0; PAIRS], dim / 4 * 4);
            match self.name() {
                // SAFETY: `Path` hands out a name only after asking the processor for its
                // instructions, and every row holds the `whole` coordinates read.
                "avx512" => unsafe { x86::avx512(left, right, whole, &mut sums) },
                // SAFETY: as above.
                "avx2" => unsafe { x86::avx2(left, right, whole, &mut sums) },
                _ => return plain(left, right),
            }
            for at in whole..dim {
                for (sum, (left, right)) in sums.iter_mut().zip(left.iter().zip(right)) {
                    *sum = left[at].mul_add(right[at], *sum);
                }
            }
            sums
        }
        #[cfg(not(target_arch = "x86_64"))]
        plain(left, right)
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

    use super::super::transpose::{eight, sixteen};
    use super::{PAIRS, Rows};

    // Rows from `first` on.
    fn starts<const N: usize>(rows: &Rows<'_>, first: usize) -> [*const f32; N] {
        std::array::from_fn(|row| rows[first + row].as_ptr())
    }

    /// The first `whole` coordinates.
    #[target_feature(enable = "avx512f")]
    pub unsafe fn avx512(left: &Rows<'_>, right: &Rows<'_>, whole: usize, sums: &mut [f32; PAIRS]) {
        let (left, right) = (starts(left, 0), starts(right, 0));
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

    /// As `avx512`.
    #[target_feature(enable = "avx2,fma")]
    pub unsafe fn avx2(left: &Rows<'_>, right: &Rows<'_>, whole: usize, sums: &mut [f32; PAIRS]) {
        // SAFETY: every row holds the first `whole` coordinates.
        unsafe {
            half::<0>(left, right, whole, sums);
            half::<8>(left, right, whole, sums);
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn half<const FIRST: usize>(
        left: &Rows<'_>,
        right: &Rows<'_>,
        whole: usize,
        sums: &mut [f32; PAIRS],
    ) {
        let (left, right) = (starts(left, FIRST), starts(right, FIRST));
        let mut sum = _mm256_setzero_ps();
        let mut at = 0;
        while at < whole {
            // SAFETY: at + 4 <= whole, which every row holds.
            let (l, r) = unsafe { (eight(&left, at), eight(&right, at)) };
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

    use super::super::Tile;
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
                    path.scores(&panel, Tile::Packed(&tile), &[], &mut scores);
                    prop_assert_eq!(found[pair], scores[0], "{:?} pair {}", path, pair);
                }
            }
        }
    }
}
