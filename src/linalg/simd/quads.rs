//! Integers of 8 bits, four coordinates to a word of 32 bits, as instructions for them read: one side
//! with a sign, the other, in the lanes, 128 larger and without.
//!
//! ```text
//! [words]   four coordinates | ... | zeros | correction: -128 x their sum, i32 | step, f32
//! ```
//!
//! A token is `step` times its integers, the largest of which is 127 or -127. Words travel in slices
//! of `f32`, as in `pairs`.

use pulp::{Arch, Simd, WithSimd};

use super::pairs::CONFLICT;

/// Words at the end that hold no coordinates.
pub const TAIL: usize = 2;
/// Which from the end holds the correction.
pub const CORRECTION: usize = 2;
/// Which from the end holds the step.
pub const STEP: usize = 1;

/// The largest integer.
const LARGEST: f32 = 127.0;
/// Widest tokens whose products no sum of 32 bits can overflow: 127 x 127 x 2^17 < 2^31. Sums of
/// their integers are exact in `f32` too.
pub const WIDEST: usize = 1 << 17;
// Words of a cache line: here the distance of rows may also be nearly one of conflict.
const LINE: usize = 64 / 4;

/// Words made at a time: four registers of numbers.
const WORDS: usize = 16;

// Added to a number of less than 2^22, this leaves it rounded to an integer, ties to even, in the
// lowest bits.
const SHIFT: f32 = (3 << 22) as f32;

/// Words of one token.
pub fn words(dim: usize) -> usize {
    let words = dim.div_ceil(4) + TAIL;
    let beside = (words + LINE) % CONFLICT;
    if beside <= 2 * LINE && words > LINE {
        words + 2 * LINE - beside
    } else {
        words
    }
}

/// Tokens without a larger number count as zero; `f32` does not multiply them either.
const SMALLEST: f32 = 1e-30;

/// How numbers become integers and back.
#[inline(always)]
pub fn steps(largest: f32) -> (f32, f32) {
    if largest > SMALLEST {
        (LARGEST / largest, largest / LARGEST)
    } else {
        (0.0, 0.0)
    }
}

/// The nearest integer, ties to even, of a number of at most 127 steps.
#[inline(always)]
pub fn rounded(value: f32, inverse: f32) -> f32 {
    (value * inverse + SHIFT) - SHIFT
}

/// The largest number, by size.
#[inline(always)]
pub fn largest(row: &[f32]) -> f32 {
    let (chunks, rest) = row.as_chunks::<16>();
    let mut found = [0.0f32; 16];
    for chunk in chunks {
        for (found, value) in found.iter_mut().zip(chunk) {
            *found = found.max(value.abs());
        }
    }
    let values = found.iter().chain(rest);
    values.fold(0.0, |largest, value| largest.max(value.abs()))
}

/// Rows `[n][dim]` to `[..][words]`; missing rows repeat the last. Rows that were rounded already,
/// to multiples of their step, keep their integers.
pub fn pack(rows: &[f32], dim: usize, words: usize, has_sign: bool, out: &mut [f32]) {
    assert!(dim <= WIDEST);
    Arch::new().dispatch(Pack {
        rows,
        dim,
        words,
        has_sign,
        out,
    });
}

struct Pack<'a> {
    rows: &'a [f32],
    dim: usize,
    words: usize,
    has_sign: bool,
    out: &'a mut [f32],
}

impl WithSimd for Pack<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let last = self.rows.len() / self.dim - 1;
        let flipped = if self.has_sign { 0 } else { 0x8080_8080 };
        for (number, out) in self.out.chunks_exact_mut(self.words).enumerate() {
            let row = &self.rows[number.min(last) * self.dim..][..self.dim];
            let (inverse, step) = steps(largest(row));
            let (body, tail) = out.split_at_mut(self.words - TAIL);
            let mut sums = [0.0; 4 * WORDS];
            for (words, values) in body.chunks_mut(WORDS).zip(row.chunks(4 * WORDS)) {
                let mut whole = [0.0; 4 * WORDS];
                whole[..values.len()].copy_from_slice(values);
                let found = words_of(&whole, inverse, flipped, &mut sums);
                words.copy_from_slice(&found[..words.len()]);
            }
            let written = self.dim.div_ceil(4 * WORDS) * WORDS;
            if let Some(rest) = body.get_mut(written..) {
                rest.fill(f32::from_bits(flipped));
            }
            let sum: f32 = sums.iter().sum();
            tail[TAIL - CORRECTION] = f32::from_bits((-128 * sum as i32) as u32);
            tail[TAIL - STEP] = step;
        }
    }
}

#[inline(always)]
fn words_of(
    values: &[f32; 4 * WORDS],
    inverse: f32,
    flipped: u32,
    sums: &mut [f32; 4 * WORDS],
) -> [f32; WORDS] {
    let shifted = values.map(|value| value * inverse + SHIFT);
    for (sum, shifted) in sums.iter_mut().zip(shifted) {
        *sum += shifted - SHIFT;
    }
    let bytes = shifted.map(|shifted| shifted.to_bits() & 0xff);
    std::array::from_fn(|word| {
        let [first, second, third, fourth] = [0, 1, 2, 3].map(|at| bytes[4 * word + at]);
        f32::from_bits((first | second << 8 | third << 16 | fourth << 24) ^ flipped)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Path, Tile, With};
    use super::*;
    use crate::linalg::quantize_row;

    #[test]
    fn four_integers_share_a_word_and_the_tail_holds_what_the_tile_ends_with() {
        let row = [127.0, -1.0, 0.4, 2.0, -127.0];
        let mut out = vec![f32::NAN; 2 * words(5)];
        pack(&row, 5, words(5), true, &mut out);
        let bits: Vec<u32> = out.iter().map(|word| word.to_bits()).collect();
        assert_eq!(bits[..2], [0x0200_ff7f, 0x0000_0081]);
        assert_eq!((bits[2] as i32, out[3]), (-128, 1.0));
        assert_eq!(bits[..4], bits[4..]);
        pack(&row, 5, words(5), false, &mut out);
        assert_eq!(
            [out[0], out[1]].map(f32::to_bits),
            [0x8280_7fff, 0x8080_8001]
        );
        assert_eq!([words(1), words(768), words(4096)], [3, 194, 1040]);
    }

    // Integers first, then one rounding and one for each step.
    fn twin(left: &[f32], right: &[f32]) -> f32 {
        let step = |row: &[f32]| {
            let largest = row
                .iter()
                .fold(0.0f32, |largest, value| largest.max(value.abs()));
            if largest > 0.0 { largest / 127.0 } else { 0.0 }
        };
        let (left_step, right_step) = (step(left), step(right));
        let integer = |value: f32, step: f32| {
            if step > 0.0 {
                (value / step).round() as i64
            } else {
                0
            }
        };
        let each = left.iter().zip(right);
        let sum: i64 = each
            .map(|(&l, &r)| integer(l, left_step) * integer(r, right_step))
            .sum();
        sum as f32 * right_step * left_step
    }

    fn values(count: usize) -> impl Strategy<Value = Vec<f32>> {
        let value = prop_oneof![Just(0.0f32), -1e3..1e3f32, -1.0..1.0f32];
        prop::collection::vec(value, count)
    }

    proptest! {
        #[test]
        fn every_path_is_the_plain_sum_bit_for_bit(
            (dim, lanes, rows) in (1usize..150, 1usize..33, 1usize..15).prop_flat_map(|(dim, lanes, rows)| {
                (Just(dim), values(lanes * dim), values(rows * dim))
            }),
            scale in 0.0..2.0f32,
            shift in 0usize..4,
        ) {
            let (mut lanes, mut rows) = (lanes, rows);
            for row in lanes.chunks_exact_mut(dim).chain(rows.chunks_exact_mut(dim)) {
                quantize_row(row);
            }
            for path in Path::in_quads() {
                let (width, height, words) = (path.lanes(), path.rows(), path.words(dim));
                let mut panel = vec![f32::NAN; shift + width * words];
                let panel = &mut panel[shift..];
                path.pack_panel(&lanes, dim, panel);
                let mut tile = vec![f32::NAN; shift + height * words];
                let tile = &mut tile[shift..];
                path.pack_tile(&rows, dim, tile);
                let mut scores = vec![f32::NAN; width * height];
                path.scores(panel, Tile::Packed(tile), &[], &mut scores);
                let mut best = vec![-1.0f32; width];
                let scales = vec![scale; height];
                path.best(panel, Tile::Packed(tile), With { scales: &scales, ahead: &[] }, &mut best);
                for (lane, token) in lanes.chunks_exact(dim).enumerate() {
                    let mut expected_best = -1.0f32;
                    for row in 0..height {
                        let other = &rows[row.min(rows.len() / dim - 1) * dim..][..dim];
                        let expected = twin(token, other);
                        prop_assert_eq!(scores[row * width + lane], expected, "lane {} row {}", lane, row);
                        expected_best = expected_best.max(expected * scale);
                    }
                    prop_assert_eq!(best[lane], expected_best);
                }
            }
        }
    }

    #[test]
    fn the_widest_tokens_overflow_nothing() {
        let row = vec![-1.0f32; WIDEST];
        for path in Path::in_quads() {
            let words = path.words(WIDEST);
            let mut panel = vec![0.0; path.lanes() * words];
            let mut tile = vec![0.0; path.rows() * words];
            path.pack_panel(&row, WIDEST, &mut panel);
            path.pack_tile(&row, WIDEST, &mut tile);
            let mut scores = vec![0.0; path.lanes() * path.rows()];
            path.scores(&panel, Tile::Packed(&tile), &[], &mut scores);
            assert!(
                scores
                    .iter()
                    .all(|score| (score - WIDEST as f32).abs() < 0.1)
            );
        }
    }

    #[test]
    fn it_is_for_screens_alone_and_chosen_by_name() {
        for path in Path::in_quads() {
            let named = Path::named(path.name(), &Path::in_quads()).unwrap();
            assert!(named.reads_quads() && !named.reads_pairs() && !named.adds_parts());
            for others in [Path::all(), Path::in_pairs()] {
                assert!(others.iter().all(|other| !other.reads_quads()));
            }
        }
    }
}
