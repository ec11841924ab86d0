//! The tokens that are looked at: a stretch of rows that stays in the second-level cache while
//! panel after panel passes, cut into tiles.

use std::ops::Range;

use super::norms::Norms;
use super::rows::Rows;
use crate::linalg::Aligned;
use crate::linalg::simd::{Path, Tile};

/// Bytes of a block. With 24 tiles of 14 x 768 (1 MB) and panels from L2 the AVX-512 tile reaches
/// 97.7 % of the FMA peak on an Intel Xeon with 2 MB of L2 a core, with 512 KB 97.9 %, with 2 MB
/// 75 %; a Zen 4 with 1 MB of L2 liked 2 MB best (of L3).
pub const BLOCK_BYTES: usize = 1 << 20;

/// Panels from which on a block is packed: packing costs about as much as a fifth of a panel, and
/// tiles in place lose 3 % at most strides.
pub const PANELS_WORTH_PACKING: usize = 8;

/// Rows whose distance is a multiple of this fall into one set of the first-level cache and drive
/// each other out: 14 rows 4 KB apart run at 55 % of the peak.
const CONFLICT_BYTES: usize = 2048;

/// Coordinates that a panel and a tile are multiplied by at a time, where there are more than four
/// times as many: a panel of 32 x 4096 and a tile of 14 x 4096 alone take a third of L2. 12 x 12
/// prompts of 100 x 4096 on the same Xeon, busy with other jobs, took 145 ms in one go, 139 ms in
/// parts of 1024 and blocks of 1 MB, 135 with 512, 117 with 512 and half a block, 124 with 256.
pub const PART: usize = 512;

/// Bytes of one part of a block.
const PART_BYTES: usize = BLOCK_BYTES / 2;

/// Whether products are made in parts: each block is packed, and passes often enough.
pub fn in_parts(path: Path, dim: usize, n_panels: usize) -> bool {
    path.adds_parts() && dim > 4 * PART && n_panels >= PANELS_WORTH_PACKING
}

/// Rows of one block.
pub fn rows_in_block(path: Path, dim: usize, n_panels: usize) -> usize {
    let (bytes, at_a_time) = match in_parts(path, dim, n_panels) {
        true => (PART_BYTES, PART),
        false => (BLOCK_BYTES, path.words(dim)),
    };
    let tile = 4 * at_a_time * path.rows();
    (bytes / tile).clamp(1, 256) * path.rows()
}

/// Whether tiles in place are slow.
pub fn conflicts(path: Path, dim: usize) -> bool {
    (4 * path.words(dim)).is_multiple_of(CONFLICT_BYTES)
}

/// A stretch of rows as tiles, with what their scores are multiplied by.
#[derive(Debug)]
pub struct Block<'a> {
    /// Rows of the side.
    pub rows: Range<usize>,
    /// What was seen of them.
    pub norms: Norms,
    lying: &'a [f32],
    packed: Aligned,
    scales: Vec<f32>,
    tile_size: usize,
    tile_rows: usize,
}

impl<'a> Block<'a> {
    /// Cuts `rows` into tiles, in place where that is as fast.
    pub fn new(path: Path, side: &Rows<'a>, rows: Range<usize>, n_panels: usize) -> Self {
        let (dim, tile_rows) = (side.dim(), path.rows());
        let tile_size = path.words(dim) * tile_rows;
        let is_worth_it =
            conflicts(path, dim) || (!path.reads_pairs() && n_panels >= PANELS_WORTH_PACKING);
        let whole = rows.len() / tile_rows * tile_rows;
        let in_place = rows.start..rows.start + whole;
        let lying = match side.in_place(path, &in_place) {
            Some(values) if !is_worth_it => values,
            _ => &[],
        };
        let rest = rows.start + lying.len() / path.words(dim)..rows.end;
        let mut packed = Aligned::unset(rest.len().div_ceil(tile_rows) * tile_size);
        let mut scratch = Vec::new();
        let tiles = packed.as_mut_slice().chunks_exact_mut(tile_size);
        // Here and not before: the tokens stay in the cache for the product.
        let mut norms = Norms::default();
        let mut task = side.task_of(rows.start);
        if rest.start > rows.start {
            task = side.look(rows.start..rest.start, task, &mut norms);
        }
        for (start, tile) in rest.clone().step_by(tile_rows).zip(tiles) {
            let taken = start..(start + tile_rows).min(rest.end);
            let (values, after) = side.take(&taken, task, &mut norms, &mut scratch);
            path.pack_tile(values, dim, tile);
            task = after;
        }
        let mut scales: Vec<f32> = norms.scales.iter().map(|&scale| scale as f32).collect();
        scales.resize(rows.len().div_ceil(tile_rows) * tile_rows, 0.0);
        Self {
            rows,
            norms,
            lying,
            packed,
            scales,
            tile_size,
            tile_rows,
        }
    }

    /// A stretch of rows that nobody has looked at.
    pub fn unseen(path: Path, side: &Rows<'a>, rows: Range<usize>) -> Self {
        Self {
            rows,
            norms: Norms::default(),
            lying: &[],
            packed: Aligned::unset(0),
            scales: Vec::new(),
            tile_size: path.words(side.dim()) * path.rows(),
            tile_rows: path.rows(),
        }
    }

    /// Tiles in order: the rows of each, counted from the start of the block; the tile; its
    /// scales. A last tile may hold more than its rows.
    pub fn tiles(&self) -> impl Iterator<Item = (Range<usize>, Tile<'_>, &[f32])> {
        let lying = self.lying.chunks_exact(self.tile_size).map(Tile::Lying);
        let packed = self
            .packed
            .as_slice()
            .chunks_exact(self.tile_size)
            .map(Tile::Packed);
        let scales = self.scales.chunks_exact(self.tile_rows);
        lying
            .chain(packed)
            .zip(scales)
            .enumerate()
            .map(|(number, (tile, scales))| {
                let start = number * self.tile_rows;
                (
                    start..(start + self.tile_rows).min(self.rows.len()),
                    tile,
                    scales,
                )
            })
    }
}
