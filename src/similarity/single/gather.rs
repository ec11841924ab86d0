//! What the items found for one prompt, brought together: maxima over its pieces, then means.

use std::ops::Range;

use super::Reduction;
use super::best::Piece;
use super::block::Block;
use super::lanes::Lanes;
use super::norms::Norms;
use super::order::Order;
use super::pairs::AllPairs;

// Running sums of a mean.
const SUMS: usize = 8;

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
            return bounds
                .map(|rows| (mean(&found[rows.start - first..rows.end - first]), 0.0))
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
        let pieces = &self.chunk.pieces;
        let is_before =
            |pieces: &Vec<Piece>| pieces.last().is_some_and(|last| last.task < self.task);
        let blocks = pieces.partition_point(is_before)..pieces.len();
        let blocks = blocks.take_while(|&block| {
            pieces[block]
                .first()
                .is_some_and(|first| first.task <= self.task)
        });
        blocks.flat_map(move |block| {
            let piece = pieces[block].partition_point(|piece| piece.task < self.task);
            groups.clone().map(move |group| (block, piece, group))
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
    let held = |score: f64| {
        let below = if score > bound { bound } else { score };
        if below < -bound { -bound } else { below }
    };
    let (eights, rest) = best.as_chunks::<SUMS>();
    let (their_scales, rest_scales) = scales.as_chunks::<SUMS>();
    let mut sums = [0.0; SUMS];
    // Apart from the rest, because the compiler then takes several at a time.
    for (best, scales) in eights.iter().zip(their_scales) {
        for at in 0..SUMS {
            sums[at] += held(f64::from(best[at]) * scales[at]);
        }
    }
    for ((sum, &best), scale) in sums.iter_mut().zip(rest).zip(rest_scales) {
        *sum += held(f64::from(best) * scale);
    }
    sums.into_iter().sum::<f64>() / best.len() as f64
}

/// Mean in running sums by position: an order that the prompt alone fixes.
fn mean(values: &[f64]) -> f64 {
    let mut sums = [0.0; SUMS];
    for values in values.chunks(SUMS) {
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += value;
        }
    }
    sums.into_iter().sum::<f64>() / values.len() as f64
}
