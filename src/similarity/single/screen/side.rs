//! Whole prompts of one side, twice: as the exact chain reads them, and rounded and packed as the
//! screen multiplies them, with what rounding did to each token.

use std::ops::Range;

use super::super::norms::Norms;
use super::super::rows::{Rows, is_ordinary};
use crate::linalg::simd::{Path, Tile};
use crate::linalg::{Aligned, quantize_row, round_row};

/// Norms and moves are rounded up, by more than all roundings on the way to them together.
const UP: f64 = 1.00002;

/// How the screen packs a side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Role {
    /// Tokens in lanes, `[panel][words][lanes]`.
    Lanes,
    /// Tokens that are broadcast, tile after tile.
    Tiles,
}

/// Consecutive whole prompts.
#[derive(Debug)]
pub struct Side<'a> {
    /// Numbers of the prompts.
    pub tasks: Range<usize>,
    /// Their rows.
    pub rows: Range<usize>,
    /// What was seen of them.
    pub norms: Norms,
    /// What scores are multiplied by, as tiles do.
    pub scales: Vec<f32>,
    /// Norms, rounded up.
    pub lengths: Vec<f32>,
    /// Parts of norms by which rounding moved tokens, rounded up.
    pub moved: Vec<f32>,
    /// The largest of them.
    pub most_moved: f32,
    lying: Option<&'a [f32]>,
    copied: Vec<f32>,
    packed: Aligned,
    piece: usize,
    dim: usize,
}

impl<'a> Side<'a> {
    /// Looks at prompts `tasks`, rounds and packs them.
    pub fn new(screen: Path, side: &Rows<'a>, tasks: Range<usize>, role: Role) -> Self {
        let dim = side.dim();
        let rows = side.offsets()[tasks.start]..side.offsets()[tasks.end];
        let (mut norms, mut copied) = (Norms::default(), Vec::new());
        let first = side.task_of(rows.start);
        let (values, _) = side.take(&rows, first, &mut norms, &mut copied);
        let height = match role {
            Role::Lanes => screen.lanes(),
            Role::Tiles => screen.rows(),
        };
        let piece = height * screen.words(dim);
        let mut packed = Aligned::unset(rows.len().div_ceil(height) * piece);
        let mut moved = Vec::with_capacity(rows.len());
        let mut rounded = Vec::new();
        let pieces = packed.as_mut_slice().chunks_exact_mut(piece);
        for (values, packed) in values.chunks(height * dim).zip(pieces) {
            rounded.clear();
            rounded.extend_from_slice(values);
            for row in rounded.chunks_exact_mut(dim) {
                let square = norms.squares[moved.len()];
                let error = match screen.reads_quads() {
                    true => quantize_row(row),
                    false => round_row(row),
                };
                moved.push(part(error, square));
            }
            match role {
                Role::Lanes => screen.pack_panel(&rounded, dim, packed),
                Role::Tiles => screen.pack_tile(&rounded, dim, packed),
            }
        }
        Self {
            tasks,
            scales: norms.scales.iter().map(|&scale| scale as f32).collect(),
            lengths: norms
                .squares
                .iter()
                .map(|square| (square.sqrt() * UP) as f32)
                .collect(),
            most_moved: moved.iter().copied().fold(0.0, f32::max),
            moved,
            norms,
            lying: side.lying(&rows),
            rows,
            copied,
            packed,
            piece,
            dim,
        }
    }

    /// The token of row `row`, counted from the first.
    pub fn token(&self, row: usize) -> &[f32] {
        &self.values()[row * self.dim..][..self.dim]
    }

    /// All tokens.
    pub fn values(&self) -> &[f32] {
        self.lying.unwrap_or(&self.copied)
    }

    /// Panel or tile number `index`.
    pub fn packed(&self, index: usize) -> &[f32] {
        &self.packed.as_slice()[index * self.piece..][..self.piece]
    }

    /// The same for the multiplying side.
    pub fn tile(&self, index: usize) -> Tile<'_> {
        Tile::Packed(self.packed(index))
    }

    /// Rows of every prompt, counted from the first.
    pub fn prompts(&self, offsets: &[usize]) -> Vec<Range<usize>> {
        let bounds = &offsets[self.tasks.start..=self.tasks.end];
        let first = self.rows.start;
        bounds
            .windows(2)
            .map(|pair| pair[0] - first..pair[1] - first)
            .collect()
    }
}

// The prompts of tokens out of the ordinary range are compared in `f64`; they should not widen the
// bounds of others.
fn part(error: f64, square: f64) -> f32 {
    if is_ordinary(square) {
        ((error / square).sqrt() * UP) as f32
    } else {
        0.0
    }
}
