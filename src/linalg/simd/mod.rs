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
//! `avx512`, `avx2` and `portable` are three tables of it, `transpose` packs for the first two,
//! `Path` chooses and is all that the rest of the crate sees. A product is one chain of additions
//! over `dim`, in order, whichever tile it falls into; the fused paths agree bit for bit.
//!
//! `amx` and `avx512bf16` are two more tables, for tokens rounded to bfloat16. `pairs` packs them, two
//! coordinates to a word of 32 bits: panels and tiles then count words, checks stay, and
//! `similarity::single` (lanes, blocks, items) passes slices on as ever. AMX wants its registers
//! configured: `hold` does so once for the tiles of a whole item. Each adds in an order of
//! its own, and products of bfloat16 are exact in `f32`, so that any other table serves as well.
//! `avx512vnni` is for screens, tokens rounded to integers of 8 bits that `quads` packs, four to a word;
//! `dot` is the tile of both dot-product instructions. `neon` is the table of arm64. `rows` is beside all this: squares and sums of
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
pub use kernel::{Held, Tile, With};
pub use pairs::rounded as rounded_to_bf16;
pub use peak::peak;
pub use reduce::row_totals;
pub use rows::{RowSums, Wide};

use std::ops::Range;

use crate::error::{Error, Result};
use kernel::{Kernel, Numbers};

/// Environment variable that forces a path: `portable`, `avx2`, `avx512`, `neon`, `avx512bf16`, `amx`
/// or `avx512vnni`. `amx` and `avx512bf16` are for bfloat16 and screens, `avx512vnni` for screens alone;
/// what they cannot do takes the fastest path that can.
pub const SIMD_VARIABLE: &str = "KINATLAS_SIMD";

/// A set of instructions this processor has.
#[derive(Clone, Copy)]
pub struct Path(&'static Kernel);

impl std::fmt::Debug for Path {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Path").field(&self.0.name).finish()
    }
}

impl Path {
    /// Every path of this processor, the fastest first; the portable one is always there.
    pub fn all() -> Vec<Self> {
        let mut paths = Vec::with_capacity(3);
        #[cfg(target_arch = "x86_64")]
        {
            // `rows` converts half precision; every processor with AVX2 so far has F16C.
            let has_avx2 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("f16c");
            if has_avx2
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512dq")
            {
                paths.push(Self(&avx512::KERNEL));
            }
            if has_avx2 {
                paths.push(Self(&avx2::KERNEL));
            }
        }
        #[cfg(target_arch = "aarch64")]
        paths.push(Self(&neon::KERNEL));
        paths.push(Self(&portable::KERNEL));
        paths
    }

    /// The paths of this processor that multiply bfloat16 themselves, the fastest first.
    pub fn in_pairs() -> Vec<Self> {
        #[cfg_attr(
            not(target_arch = "x86_64"),
            expect(unused_mut, reason = "none to add")
        )]
        let mut paths = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if amx::is_here() {
                paths.push(Self(&amx::KERNEL));
            }
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16") {
                paths.push(Self(&avx512bf16::KERNEL));
            }
        }
        paths
    }

    /// The paths of this processor that multiply integers of 8 bits.
    pub fn in_quads() -> Vec<Self> {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni") {
            return vec![Self(&avx512vnni::KERNEL)];
        }
        Vec::new()
    }

    /// The path the environment asks for, else the fastest.
    pub fn chosen() -> Result<Self> {
        let paths = Self::all();
        let asked = Self::asked()?.filter(|path| path.0.numbers == Numbers::Single);
        Ok(asked.unwrap_or(paths[0]))
    }

    /// The same for tokens that were rounded to bfloat16. Their products are exact in `f32`, so
    /// that every path serves.
    pub fn for_bf16() -> Result<Self> {
        let fastest = Self::in_pairs().first().copied();
        let asked = Self::asked()?.filter(|path| !path.reads_quads());
        Ok(asked.or(fastest).unwrap_or(Self::chosen()?))
    }

    /// The same for tokens that may be rounded in any way, as long as it is fast: AMX multiplies
    /// bfloat16 faster than other instructions integers.
    pub fn for_screens() -> Result<Self> {
        let rounded = Self::for_bf16()?;
        let is_fastest = rounded.name() == "amx";
        let quads = Self::in_quads().first().copied().filter(|_| !is_fastest);
        Ok(Self::asked()?.or(quads).unwrap_or(rounded))
    }

    fn asked() -> Result<Option<Self>> {
        let mut paths = Self::in_pairs();
        paths.extend(Self::all());
        paths.extend(Self::in_quads());
        match std::env::var(SIMD_VARIABLE) {
            Ok(name) if !name.is_empty() => Self::named(&name, &paths).map(Some),
            _ => Ok(None),
        }
    }

    fn named(name: &str, paths: &[Self]) -> Result<Self> {
        let here = paths.iter().map(|path| path.name());
        let here = here.collect::<Vec<_>>().join(", ");
        let found = paths.iter().find(|path| path.name() == name);
        found.copied().ok_or_else(|| {
            Error::UnknownName(match name {
                "avx512" | "avx2" | "neon" | "avx512bf16" | "amx" | "avx512vnni" => format!(
                    "{SIMD_VARIABLE} is '{name}', which this processor does not have; it has {here}"
                ),
                _ => format!(
                    "{SIMD_VARIABLE} is '{name}', expected one of portable, avx2, avx512, neon, \
                     avx512bf16, amx, avx512vnni, or nothing; this processor has {here}"
                ),
            })
        })
    }

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
