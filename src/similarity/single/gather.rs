//! What the items found for one prompt, brought together: maxima over its pieces, then means.

use std::ops::Range;

use super::Reduction;
use super::best::Piece;
use super::block::Block;
use super::lanes::Lanes;
use super::norms::Norms;
use super::order::Order;
use super::pairs::AllPairs;

/// Partner prompts at hand, as blocks.
pub struct Chunk<'a> {
    pub tasks: Range<usize>,
    /// Of all seekers.
    pub scales: &'a [f64],
    pub blocks: Vec<Block<'a>>,
    /// Prompts of every block.
    pub pieces: Vec<Vec<Piece>>,
}

/// What one item found.
pub enum Cells {
    Best(Vec<f32>, Vec<f32>),
    Streamed(Vec<f32>, Norms),
    Reduced(Vec<f64>),
    LeftOut,
}

/// Brings together what the items found for one partner prompt.
pub struct Gather<'a> {
    pub pairs: &'a AllPairs<'a>,
    pub lanes: &'a Lanes,
    pub chunk: &'a Chunk<'a>,
    pub cells: &'a [Cells],
    pub order: Order,
    /// Prompts of every group of panels.
    pub seekers: &'a [Vec<Piece>],
    /// Lanes of every group but the last.
    pub group_lanes: usize,
    /// The partner prompt.
    pub task: usize,
}

impl Gather<'_> {
    /// Scores of every seeker of the batch, and of the partner looking at it where asked for.
    pub fn row(&self) -> Vec<(f64, f64)> {
        let first = self.lanes.rows.start;
        let offsets = self.pairs.seekers.offsets();
        let bounds = self
            .lanes
            .tasks
            .clone()
            .map(|task| offsets[task]..offsets[task + 1]);
        if self.pairs.reduction != Reduction::Best {
            let found = self.reduced();
            let mean = |rows: Range<usize>| mean(found[rows].iter().copied());
            return bounds
                .map(|rows| (mean(rows.start - first..rows.end - first), 0.0))
                .collect();
        }
        let best = self.best();
        let scales = self.chunk.scales;
        let wanted = if self.pairs.mirrored {
            (self.task + 1).min(self.lanes.tasks.end) - self.lanes.tasks.start
        } else {
            self.lanes.tasks.len()
        };
        bounds
            .take(wanted)
            .enumerate()
            .map(|(number, rows)| {
                let best = &best[rows.start - first..rows.end - first];
                let forth = self.mean_of_best(best, &scales[rows]);
                (
                    forth,
                    if self.pairs.both {
                        self.back(self.lanes.tasks.start + number)
                    } else {
                        0.0
                    },
                )
            })
            .collect()
    }

    fn mean_of_best(&self, best: &[f32], scales: &[f64]) -> f64 {
        mean_of_best(best, scales, self.pairs.is_cosine)
    }

    // Cells of this prompt and some groups: block, piece, group.
    fn parts(&self, groups: Range<usize>) -> impl Iterator<Item = (usize, usize, usize)> {
        let blocks = self.chunk.pieces.iter().enumerate();
        blocks.flat_map(move |(block, pieces)| {
            let piece = pieces.partition_point(|piece| piece.task < self.task);
            let is_here = pieces
                .get(piece)
                .is_some_and(|piece| piece.task == self.task);
            let groups = if is_here { groups.clone() } else { 0..0 };
            groups.map(move |group| (block, piece, group))
        })
    }

    fn best(&self) -> Vec<f32> {
        let mut merged = vec![f32::NEG_INFINITY; self.lanes.rows.len()];
        for (block, piece, group) in self.parts(0..self.seekers.len()) {
            let cells = &self.cells[self.order.number(block, group)];
            if let Cells::Best(best, _) | Cells::Streamed(best, _) = cells {
                let (into, from) = self.slots(&mut merged, best, block, piece, group);
                for (slot, &score) in into.iter_mut().zip(from) {
                    *slot = slot.max(score);
                }
            }
        }
        merged
    }

    fn reduced(&self) -> Vec<f64> {
        let mut merged = vec![0.0; self.lanes.rows.len()];
        for (block, piece, group) in self.parts(0..self.seekers.len()) {
            if let Cells::Reduced(reduced) = &self.cells[self.order.number(block, group)] {
                let (into, from) = self.slots(&mut merged, reduced, block, piece, group);
                into.copy_from_slice(&from[..into.len()]);
            }
        }
        merged
    }

    fn slots<'s, T>(
        &self,
        merged: &'s mut [T],
        cells: &'s [T],
        block: usize,
        piece: usize,
        group: usize,
    ) -> (&'s mut [T], &'s [T]) {
        let n_lanes = cells.len() / self.chunk.pieces[block].len();
        let start = group * self.group_lanes;
        let length = self.seekers[group].last().map_or(0, |piece| piece.rows.end);
        let from = &cells[piece * n_lanes..][..n_lanes];
        (&mut merged[start..start + length], from)
    }

    // The mean over this prompt's tokens of their best scores among those of one seeker.
    fn back(&self, seeker: usize) -> f64 {
        let rows = self.pairs.partners.task(self.task);
        let mut merged = vec![f32::NEG_INFINITY; rows.len()];
        let mut scales = vec![0.0; rows.len()];
        let lanes = self.pairs.seekers.task(seeker);
        let first = (lanes.start - self.lanes.rows.start) / self.group_lanes;
        let last = (lanes.end - 1 - self.lanes.rows.start) / self.group_lanes;
        for (block, piece, group) in self.parts(first..last + 1) {
            let owners = &self.seekers[group];
            let owner = owners.partition_point(|piece| piece.task < seeker);
            if owners.get(owner).is_none_or(|piece| piece.task != seeker) {
                continue;
            }
            if let Cells::Best(_, back) = &self.cells[self.order.number(block, group)] {
                let block_rows = &self.chunk.blocks[block].rows;
                let here = &self.chunk.pieces[block][piece].rows;
                let start = block_rows.start + here.start - rows.start;
                let norms = &self.chunk.blocks[block].norms.scales[here.clone()];
                scales[start..start + here.len()].copy_from_slice(norms);
                let from = &back[owner * block_rows.len()..][here.clone()];
                for (slot, &score) in merged[start..].iter_mut().zip(from) {
                    *slot = slot.max(score);
                }
            }
        }
        self.mean_of_best(&merged, &scales)
    }
}

/// Mean over the tokens of a prompt of their best scores, each multiplied by what belongs to the token.
pub fn mean_of_best(best: &[f32], scales: &[f64], is_cosine: bool) -> f64 {
    let bound = if is_cosine { 1.0 } else { f64::INFINITY };
    let scaled = best.iter().zip(scales);
    mean(scaled.map(|(&best, scale)| (f64::from(best) * scale).clamp(-bound, bound)))
}

/// Mean in eight running sums by position: an order that the prompt alone fixes.
fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    let mut sums = [0.0; 8];
    for (number, value) in values.enumerate() {
        sums[number % 8] += value;
    }
    sums.into_iter().sum::<f64>() / count
}
