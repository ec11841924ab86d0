//! bfloat16, two coordinates to a word of 32 bits: what both instruction sets for it read. Words
//! travel in slices of `f32`, which nobody but these instructions does arithmetic on.

use pulp::{Arch, Simd, WithSimd};

/// Words that AMX multiplies at a time; rows are filled up with zeros, which add nothing.
const WORDS: usize = 16;
/// Rows whose distance is a multiple of 2 KB drive each other out of the first-level cache.
pub const CONFLICT: usize = 2048 / 4;

/// Words of one token, of which `step` lie together in a tile, or all.
pub fn words(dim: usize, step: Option<usize>) -> usize {
    let words = dim.div_ceil(2).next_multiple_of(WORDS);
    if step.is_none() && words.is_multiple_of(CONFLICT) {
        words + WORDS
    } else {
        words
    }
}

/// The nearest bfloat16, ties to even; `value` is finite.
#[inline(always)]
pub fn rounded(value: f32) -> f32 {
    let bits = value.to_bits();
    let up = 0x7fff + (bits >> 16 & 1);
    f32::from_bits(bits.wrapping_add(up) & 0xffff_0000)
}

/// Rows `[n][dim]` of bfloat16 numbers to words `[words / step][..][step]`; missing rows repeat the
/// last.
pub fn pack(rows: &[f32], dim: usize, (words, step): (usize, usize), out: &mut [f32]) {
    Arch::new().dispatch(Pack {
        rows,
        dim,
        words,
        step,
        out,
    });
}

struct Pack<'a> {
    rows: &'a [f32],
    dim: usize,
    words: usize,
    step: usize,
    out: &'a mut [f32],
}

impl WithSimd for Pack<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let last = self.rows.len() / self.dim - 1;
        let height = self.out.len() / self.words;
        for number in 0..height {
            let row = &self.rows[number.min(last) * self.dim..][..self.dim];
            let (units, rest) = row.as_chunks::<{ 2 * WORDS }>();
            for unit in 0..self.words / WORDS {
                let word = unit * WORDS;
                let start = (word / self.step * height + number) * self.step + word % self.step;
                let out = &mut self.out[start..start + WORDS];
                match units.get(unit) {
                    Some(values) => out.copy_from_slice(&words_of(values)),
                    None => {
                        let mut values = [0.0; 2 * WORDS];
                        let rest = if unit == units.len() { rest } else { &[] };
                        values[..rest.len()].copy_from_slice(rest);
                        out.copy_from_slice(&words_of(&values));
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn words_of(values: &[f32; 2 * WORDS]) -> [f32; WORDS] {
    std::array::from_fn(|word| {
        let (low, high) = (values[2 * word].to_bits(), values[2 * word + 1].to_bits());
        f32::from_bits(low >> 16 | high & 0xffff_0000)
    })
}

#[cfg(test)]
mod tests {
    use half::bf16;
    use proptest::prelude::*;

    use super::super::{Path, Tile, With};
    use super::*;
    use crate::error::Error;

    proptest! {
        #[test]
        fn rounding_is_that_of_the_half_crate(value in -1e30..1e30f32, bits in any::<u32>()) {
            for value in [value, f32::from_bits(bits & 0x7eff_ffff)] {
                prop_assert_eq!(rounded(value), bf16::from_f32(value).to_f32());
            }
        }
    }

    #[test]
    fn two_numbers_share_a_word_and_rows_are_filled_up() {
        let mut out = vec![f32::NAN; 3 * 16];
        pack(&[1.0, 2.0, -1.0, 0.5, 0.0, 4.0], 3, (16, 16), &mut out);
        let bits: Vec<u32> = out.iter().map(|word| word.to_bits()).collect();
        assert_eq!(bits[..3], [0x4000_3f80, 0x0000_bf80, 0]);
        assert_eq!(bits[16..19], [0x0000_3f00, 0x0000_4080, 0]);
        assert_eq!(bits[16..32], bits[32..48]);
        assert_eq!(
            (words(1, None), words(33, None), words(1024, None)),
            (16, 32, 528)
        );
        assert_eq!(words(1024, Some(16)), 512);
        let rows: Vec<f32> = (0..2 * 64).map(|at| at as f32).collect();
        let (mut whole, mut steps) = (vec![0.0; 2 * 32], vec![0.0; 2 * 32]);
        pack(&rows, 64, (32, 32), &mut whole);
        pack(&rows, 64, (32, 16), &mut steps);
        let order = [0, 2, 1, 3].map(|part| 16 * part..16 * part + 16);
        let reordered: Vec<f32> = order
            .into_iter()
            .flat_map(|at| whole[at].to_vec())
            .collect();
        assert_eq!(steps, reordered);
    }

    // The two orders of addition, coordinate by coordinate; bfloat16 products are exact in `f32`.
    fn chain(path: Path, left: &[f32], right: &[f32]) -> f32 {
        let at = |row: &[f32], index: usize| row.get(index).copied().unwrap_or(0.0);
        let product = |index: usize| at(left, index) * at(right, index);
        if path.name() == "avx512bf16" {
            return (0..left.len().div_ceil(2)).fold(0.0, |sum, word| {
                (sum + product(2 * word + 1)) + product(2 * word)
            });
        }
        (0..left.len().div_ceil(32)).fold(0.0, |sum, step| {
            let half =
                |from: usize| (0..16).fold(0.0, |s, word| s + product(32 * step + 2 * word + from));
            sum + (half(0) + half(1))
        })
    }

    fn values(count: usize) -> impl Strategy<Value = Vec<f32>> {
        let value = prop_oneof![Just(0.0f32), -1e3..1e3f32, Just(-1e-9f32)];
        prop::collection::vec(value.prop_map(rounded), count)
    }

    proptest! {
        #[test]
        fn every_path_is_the_plain_chain_bit_for_bit(
            (dim, lanes, rows) in (1usize..150, 1usize..33, 1usize..33).prop_flat_map(|(dim, lanes, rows)| {
                (Just(dim), values(lanes * dim), values(rows * dim))
            }),
            scale in 0.0..2.0f32,
            shift in 0usize..4,
            held in any::<bool>(),
        ) {
            for path in Path::in_pairs() {
                let _held = held.then(|| (path.hold(), path.hold()));
                let (width, height, words) = (path.lanes(), path.rows(), path.words(dim));
                let rows = &rows[..rows.len().min(height * dim)];
                let mut panel = vec![f32::NAN; shift + width * words];
                let panel = &mut panel[shift..];
                path.pack_panel(&lanes, dim, panel);
                let mut tile = vec![f32::NAN; shift + height * words];
                let tile = &mut tile[shift..];
                path.pack_tile(rows, dim, tile);
                let mut lying = vec![f32::NAN; shift + height * words];
                let lying = &mut lying[shift..];
                pack(rows, dim, (words, words), lying);
                let scales = vec![scale; height];
                for tile in [Tile::Packed(tile), Tile::Lying(lying)] {
                    let mut scores = vec![f32::NAN; width * height];
                    path.scores(panel, tile, &[], &mut scores);
                    let mut best = vec![-1.0f32; width];
                    path.best(panel, tile, With { scales: &scales, ahead: &[] }, &mut best);
                    for (lane, token) in lanes.chunks_exact(dim).enumerate() {
                        let mut expected_best = -1.0f32;
                        for row in 0..height {
                            let last = rows.len() / dim - 1;
                            let other = &rows[row.min(last) * dim..][..dim];
                            let expected = chain(path, token, other);
                            prop_assert_eq!(
                                scores[row * width + lane], expected,
                                "{:?} {:?} lane {} row {}", path, tile, lane, row
                            );
                            expected_best = expected_best.max(expected * scale);
                        }
                        prop_assert_eq!(best[lane], expected_best);
                    }
                }
            }
        }
    }

    #[test]
    fn paths_for_bfloat16_are_chosen_by_name_and_never_for_f32() {
        for path in Path::in_pairs() {
            assert_eq!(
                Path::named(path.name(), &Path::in_pairs()).unwrap().name(),
                path.name()
            );
            assert!(
                !path.adds_parts() && Path::all().iter().all(|other| other.name() != path.name())
            );
        }
        let missing = Path::named("amx", &Path::all());
        assert!(
            matches!(missing, Err(Error::UnknownName(message)) if message.contains("does not have"))
        );
    }
}
