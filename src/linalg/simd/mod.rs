//! Products of single-precision tokens at the speed of the processor.
//!
//! ```text
//!              panel [dim][lanes]            lanes: tokens that look for a partner, packed once
//!                 | two registers a column
//!  tile [rows] -- x  every sum in a register for the whole of dim, then at once
//!    broadcast    |     best:    maxima into `out [lanes]`, nothing else is written
//!  one number a   |     scores:  `out [rows][lanes]`, a few kilobytes that a reducer eats
//!  row            v
//! ```
//!
//! `kernel` is the interface: its functions, two sizes and the checks that make them safe.
//! `avx512`, `avx2`, `neon` and `portable` are tables of it, `transpose` packs for the first two,
//! `choice` chooses, and `Path` is all that the rest of the crate sees. A product is one chain of additions
//! over `dim`, in order, whichever tile it falls into; the fused paths agree bit for bit.
//!
//! `amx` and `avx512bf16` are two more tables, for tokens rounded to bfloat16. `pairs` packs them, two
//! coordinates to a word of 32 bits: panels and tiles then count words, checks stay, and
//! `similarity::single` (lanes, blocks, items) passes slices on as ever. AMX wants its registers
//! configured: `hold` does so once for the tiles of a whole item. Each adds in an order of
//! its own, and products of bfloat16 are exact in `f32`, so that any other table serves as well.
//! `avx512vnni` is for screens, tokens rounded to integers of 8 bits that `quads` packs, four to a word;
//! `dot` is the tile of both dot-product instructions. `rows` is beside all this: squares and sums of
//! tokens for the kernels that never multiply two of them.
//!
//! Measured on an Intel Xeon (two 512-bit FMA units, 48 KB L1d, 2 MB L2 a core), shared with other
//! jobs, best of 25, share of the FMA peak measured in turns: 14 x 32 AVX-512, packed tiles 97.7 %
//! at dim 768, 98.7 % at 128; in place 94.7 % and 96.9 %; AVX2 6 x 16 96.6 % and 94.3 %. These are the
//! better runs: under heavier load the same loops fell to about 70 %. At dim 4096
//! a panel takes 512 KB and a tile 229 KB, and they drive each other out of L2: `add` multiplies part
//! of `dim` and starts from the sums of the part before, which continues the same chain and so
//! changes no bit. `similarity::single::block` holds the sizes.
#![expect(
    unsafe_code,
    reason = "vector instructions; every use states why it is sound"
)]

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512bf16;
#[cfg(target_arch = "x86_64")]
mod avx512vnni;
mod chains;
mod choice;
#[cfg(target_arch = "x86_64")]
mod dot;
mod kernel;
#[cfg(target_arch = "aarch64")]
mod neon;
mod pairs;
mod peak;
mod portable;
pub mod quads;
mod reduce;
mod rows;
#[cfg(target_arch = "x86_64")]
mod transpose;

pub use chains::{PAIRS, Rows as PairRows};
pub use choice::SIMD_VARIABLE;
pub use kernel::{Held, Tile, With};
pub use pairs::rounded as rounded_to_bf16;
pub use peak::peak;
pub use reduce::row_totals;
pub use rows::{RowSums, Wide};

use std::ops::Range;

use kernel::{Kernel, Numbers};

/// A set of instructions this processor has.
#[derive(Clone, Copy)]
pub struct Path(&'static Kernel);

impl std::fmt::Debug for Path {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Path").field(&self.0.name).finish()
    }
}

impl Path {
    /// The name that forces it.
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// Tokens in a panel.
    pub fn lanes(self) -> usize {
        self.0.lanes
    }

    /// Numbers that a token takes in a panel or a tile: its width, or fewer where a word holds many.
    pub fn words(self, dim: usize) -> usize {
        match self.0.numbers {
            Numbers::Single => dim,
            Numbers::Pairs => pairs::words(dim, self.0.side),
            Numbers::Quads => quads::words(dim),
        }
    }

    /// Whether panels and tiles hold two coordinates of bfloat16 to a word.
    pub fn reads_pairs(self) -> bool {
        self.0.numbers == Numbers::Pairs
    }

    /// Whether they hold four integers of 8 bits, of tokens no wider than `quads::WIDEST`.
    pub fn reads_quads(self) -> bool {
        self.0.numbers == Numbers::Quads
    }

    /// Whether `add` can continue a product.
    pub fn adds_parts(self) -> bool {
        self.0.sums_packed.is_some()
    }

    /// Tokens that a tile broadcasts.
    pub fn rows(self) -> usize {
        self.0.rows
    }

    /// `best[lane] = max(best[lane], scales[row] * panel[lane] . tile[row])`, for one panel
    /// `[dim][lanes]` and all rows of the tile.
    pub fn best(self, panel: &[f32], tile: Tile<'_>, with: With<'_>, best: &mut [f32]) {
        self.0.best(panel, tile, with, best);
    }

    /// `scores[row][lane] = panel[lane] . tile[row]`; `ahead` is what comes next, if that is known.
    pub fn scores(self, panel: &[f32], tile: Tile<'_>, ahead: &[f32], scores: &mut [f32]) {
        self.0.scores(panel, tile, ahead, scores);
    }

    /// `sums[row][lane] += panel[lane] . packed[row]` over a part of `dim`: part after part gives
    /// the bits of the whole.
    pub fn add(self, panel: &[f32], packed: &[f32], ahead: &[f32], sums: &mut [f32]) {
        self.0.add(panel, packed, ahead, sums);
    }

    /// `best[lane] = max(best[lane], scales[row] * scores[row][lane])` over rows of `scores`.
    pub fn keep(self, scores: &[f32], scales: &[f32], best: &mut [f32]) {
        self.0.keep(scores, scales, best);
    }

    /// `best[row] = max(best[row], scales[lane] * scores[row][lane])` over some lanes, at least one.
    pub fn across(self, scores: &[f32], scales: &[f32], lanes: Range<usize>, best: &mut [f32]) {
        self.0.across(scores, scales, lanes, best);
    }

    /// Makes this thread ready for many tiles, once instead of tile by tile.
    pub fn hold(self) -> Held {
        self.0.hold()
    }

    /// Numbers that a tile fetches of what is ahead, by the words of a token.
    pub fn fetched(self, words: usize) -> usize {
        (self.0.fetched)(words)
    }

    /// Packs at most `lanes` rows into a panel `[words][lanes]`, of pairs perhaps square after square;
    /// missing ones repeat the last.
    pub fn pack_panel(self, rows: &[f32], dim: usize, panel: &mut [f32]) {
        let width = self.words(dim);
        if self.0.numbers == Numbers::Single {
            return self.0.transpose(rows, dim, self.0.lanes, panel);
        }
        let mut words = vec![0.0; panel.len()];
        if self.reads_pairs() {
            pairs::pack(rows, dim, (width, width), &mut words);
        } else {
            quads::pack(rows, dim, width, false, &mut words);
        }
        let lanes = self.0.side.unwrap_or(self.0.lanes);
        let parts = panel.chunks_exact_mut(lanes * width);
        for (words, part) in words.chunks_exact(lanes * width).zip(parts) {
            self.0.transpose(words, width, lanes, part);
        }
    }

    /// Packs at most `rows` rows into a tile `[dim][rows]`; missing ones repeat the last. Words of
    /// several numbers stay row after row, perhaps square after square.
    pub fn pack_tile(self, rows: &[f32], dim: usize, tile: &mut [f32]) {
        let words = self.words(dim);
        match self.0.numbers {
            Numbers::Single => self.0.transpose(rows, dim, self.0.rows, tile),
            Numbers::Pairs => {
                pairs::pack(rows, dim, (words, self.0.side.unwrap_or(words)), tile);
            }
            Numbers::Quads => quads::pack(rows, dim, words, true, tile),
        }
    }
}

#[cfg(test)]
mod tests;
