//! One piece of work: a few panels against one block, reduced while the scores are in registers
//! or in the first-level cache. The matrix of scores between two prompts is never written.

use std::ops::Range;

use super::Reduction;
use super::block::{Block, PART, in_parts};
use super::lanes::Lanes;
use crate::linalg::simd::{Path, Tile};
use crate::similarity::reduce::{mean_of_largest, soft_maximum};

/// A stretch of one prompt inside something larger.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// Number of the prompt.
    pub task: usize,
    /// Rows, counted from the start of what it is a piece of.
    pub rows: Range<usize>,
}

/// The prompts that rows `rows` belong to, in order.
pub fn pieces(offsets: &[usize], rows: &Range<usize>) -> Vec<Piece> {
    let mut found = Vec::new();
    let mut task = offsets.partition_point(|&start| start <= rows.start) - 1;
    let mut start = rows.start;
    while start < rows.end {
        let end = offsets[task + 1].min(rows.end);
        found.push(Piece {
            task,
            rows: start - rows.start..end - rows.start,
        });
        start = end;
        task += 1;
    }
    found
}

/// A few panels against one block.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    pub path: Path,
    pub lanes: &'a Lanes,
    pub first_panel: usize,
    pub n_panels: usize,
    pub block: &'a Block<'a>,
    pub pieces: &'a [Piece],
}

impl<'a> Item<'a> {
    /// Lanes of the item, those without a token among them.
    pub fn n_lanes(&self) -> usize {
        self.n_panels * self.path.lanes()
    }

    fn panels(&self) -> impl Iterator<Item = (usize, &'a [f32])> + use<'a> {
        let (lanes, first) = (self.lanes, self.first_panel);
        (0..self.n_panels).map(move |number| (number, lanes.panel(first + number)))
    }

    /// Best score `[piece][lane]` of every lane in every piece.
    pub fn best(&self) -> Vec<f32> {
        let mut best = Best::new(self.path, self.n_lanes(), self.pieces);
        let sums = self.sums();
        for (number, panel) in self.panels() {
            let (lane, mut piece) = (number * self.path.lanes(), 0);
            for (index, tile) in self.block.tiles().enumerate() {
                piece = if sums.is_empty() {
                    best.add(panel, lane, tile, piece)
                } else {
                    let mut scores = std::mem::take(&mut best.scores);
                    self.scores(&sums, (number, index), tile.1, tile.2, &mut scores);
                    best.scores = scores;
                    best.keep(lane, &tile.0, piece)
                }
            }
        }
        best.found
    }

    // Products `[panel][tile][row][lane]`, part after part of the coordinates; empty where a tile
    // is multiplied in one go.
    fn sums(&self) -> Vec<f32> {
        let (width, height) = (self.path.lanes(), self.path.rows());
        let dim = self.lanes.panel(0).len() / width;
        if !in_parts(self.path, dim, self.lanes.n_panels()) {
            return Vec::new();
        }
        let mut sums = vec![0.0; self.n_panels * self.block.tiles().count() * width * height];
        for from in (0..dim).step_by(PART) {
            let to = (from + PART).min(dim);
            let mut sums = sums.chunks_exact_mut(width * height);
            for (_, panel) in self.panels() {
                let panel = &panel[from * width..to * width];
                for ((_, tile, _), sums) in self.block.tiles().zip(&mut sums) {
                    if let Tile::Packed(tile) = tile {
                        let tile = &tile[from * height..to * height];
                        self.path.add(panel, tile, sums);
                    }
                }
            }
        }
        sums
    }

    // Scores of panel and tile number `at`, from `sums` where there are any.
    fn scores(
        &self,
        sums: &[f32],
        at: (usize, usize),
        tile: Tile<'_>,
        scales: &[f32],
        scores: &mut [f32],
    ) {
        if sums.is_empty() {
            let panel = self.lanes.panel(self.first_panel + at.0);
            return self.path.scores(panel, tile, scales, scores);
        }
        let size = scores.len();
        let start = (at.0 * self.block.tiles().count() + at.1) * size;
        let width = self.path.lanes();
        let rows = sums[start..start + size].chunks_exact(width);
        for ((scores, sums), scale) in scores.chunks_exact_mut(width).zip(rows).zip(scales) {
            for (score, sum) in scores.iter_mut().zip(sums) {
                *score = sum * scale;
            }
        }
    }

    /// As `best`, and the best score `[seeker][row]` of every row in every prompt of the lanes,
    /// multiplied by `lane_scales` instead of the row's.
    pub fn best_both(&self, seekers: &[Piece], lane_scales: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let (width, n_lanes) = (self.path.lanes(), self.n_lanes());
        let (n_rows, tile_rows) = (self.block.rows.len(), self.path.rows());
        let mut best = vec![f32::NEG_INFINITY; self.pieces.len() * n_lanes];
        let mut best_back = vec![f32::NEG_INFINITY; seekers.len() * n_rows];
        let ones = vec![1.0; tile_rows];
        let mut scores = vec![0.0; width * tile_rows];
        let mut scaled = vec![0.0; width];
        let sums = self.sums();
        for number in 0..self.n_panels {
            let here = number * width..(number + 1) * width;
            let owners = within(seekers, &here);
            for (index, (rows, tile, scales)) in self.block.tiles().enumerate() {
                self.scores(&sums, (number, index), tile, &ones, &mut scores);
                let mut piece = self
                    .pieces
                    .partition_point(|piece| piece.rows.end <= rows.start);
                for ((row, scores), &scale) in rows.zip(scores.chunks_exact(width)).zip(scales) {
                    if row == self.pieces[piece].rows.end {
                        piece += 1;
                    }
                    for (scaled, &score) in scaled.iter_mut().zip(scores) {
                        *scaled = score * scale;
                    }
                    let at = piece * n_lanes + here.start;
                    keep_larger(&mut best[at..at + width], &scaled);
                    for (scaled, (&score, &scale)) in scaled
                        .iter_mut()
                        .zip(scores.iter().zip(&lane_scales[here.clone()]))
                    {
                        *scaled = score * scale;
                    }
                    for (owner, lanes) in &owners {
                        let slot = &mut best_back[owner * n_rows + row];
                        *slot = largest(&scaled[lanes.clone()], *slot);
                    }
                }
            }
        }
        (best, best_back)
    }

    /// What `reduction` makes of all scores of a lane in a piece, `[piece][lane]`; `scales` are
    /// those of the lanes that hold a token. A piece must be a whole prompt.
    pub fn reduced(&self, reduction: &Reduction, scales: &[f64]) -> Vec<f64> {
        let (width, n_lanes) = (self.path.lanes(), self.n_lanes());
        let tile = width * self.path.rows();
        let mut reduced = vec![0.0; self.pieces.len() * n_lanes];
        let mut strip = vec![0.0; self.block.rows.len().div_ceil(self.path.rows()) * tile];
        let (mut scores, mut scratch) = (Vec::new(), Vec::new());
        let sums = self.sums();
        for number in 0..self.n_panels {
            let strips = strip.chunks_exact_mut(tile).enumerate();
            for ((_, tile, scales), (index, scores)) in self.block.tiles().zip(strips) {
                self.scores(&sums, (number, index), tile, scales, scores);
            }
            let first = number * width;
            for (index, piece) in self.pieces.iter().enumerate() {
                for (lane, &scale) in scales[first..].iter().take(width).enumerate() {
                    let rows = strip.chunks_exact(width).map(|row| row[lane]);
                    let rows = rows.skip(piece.rows.start).take(piece.rows.len());
                    scores.clear();
                    scores.extend(rows.map(|score| f64::from(score) * scale));
                    reduced[index * n_lanes + first + lane] = match *reduction {
                        Reduction::Best => f64::NAN,
                        Reduction::Largest(k) => mean_of_largest(&scores, k, &mut scratch),
                        Reduction::Soft(temperature) => soft_maximum(&scores, temperature),
                    };
                }
            }
        }
        reduced
    }
}

/// Running maxima `[piece][lane]`.
pub struct Best<'a> {
    pub found: Vec<f32>,
    path: Path,
    n_lanes: usize,
    pieces: &'a [Piece],
    scores: Vec<f32>,
}

impl<'a> Best<'a> {
    /// Nothing found yet.
    pub fn new(path: Path, n_lanes: usize, pieces: &'a [Piece]) -> Self {
        Self {
            found: vec![f32::NEG_INFINITY; pieces.len() * n_lanes],
            path,
            n_lanes,
            pieces,
            scores: vec![0.0; path.lanes() * path.rows()],
        }
    }

    /// Adds one panel, whose first lane is `lane`, against one tile, whose first row is in
    /// `piece`. Returns the piece of the row after its last.
    pub fn add(
        &mut self,
        panel: &[f32],
        lane: usize,
        (rows, tile, scales): (Range<usize>, Tile<'_>, &[f32]),
        piece: usize,
    ) -> usize {
        let width = self.path.lanes();
        let at = piece * self.n_lanes + lane;
        if rows.start + self.path.rows() <= self.pieces[piece].rows.end {
            let best = &mut self.found[at..at + width];
            self.path.best(panel, tile, scales, best);
        } else {
            self.path.scores(panel, tile, scales, &mut self.scores);
            return self.keep(lane, &rows, piece);
        }
        piece + usize::from(rows.end == self.pieces[piece].rows.end)
    }

    // As `add`, of the scores at hand.
    fn keep(&mut self, lane: usize, rows: &Range<usize>, mut piece: usize) -> usize {
        let width = self.path.lanes();
        for (row, scores) in rows.clone().zip(self.scores.chunks_exact(width)) {
            if row == self.pieces[piece].rows.end {
                piece += 1;
            }
            let at = piece * self.n_lanes + lane;
            keep_larger(&mut self.found[at..at + width], scores);
        }
        piece + usize::from(rows.end == self.pieces[piece].rows.end)
    }
}

// Pieces that have lanes in `here`: their numbers, and these lanes counted from its start.
fn within(pieces: &[Piece], here: &Range<usize>) -> Vec<(usize, Range<usize>)> {
    let clipped = pieces.iter().enumerate().map(|(number, piece)| {
        let start = piece.rows.start.clamp(here.start, here.end);
        let end = piece.rows.end.clamp(here.start, here.end);
        (number, start - here.start..end - here.start)
    });
    clipped.filter(|(_, lanes)| !lanes.is_empty()).collect()
}

fn keep_larger(best: &mut [f32], scores: &[f32]) {
    for (best, &score) in best.iter_mut().zip(scores) {
        *best = if score > *best { score } else { *best };
    }
}

// Eight running maxima, because one would wait for itself.
fn largest(scores: &[f32], best: f32) -> f32 {
    let (chunks, rest) = scores.as_chunks::<8>();
    let mut running = [best; 8];
    for chunk in chunks {
        keep_larger(&mut running, chunk);
    }
    keep_larger(&mut running, rest);
    running.into_iter().fold(best, f32::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_of_rows_is_cut_at_the_borders_of_prompts() {
        let found = pieces(&[0, 3, 5, 9], &(2..8));
        let plain: Vec<_> = found.iter().map(|p| (p.task, p.rows.clone())).collect();
        assert_eq!(plain, [(0, 0..1), (1, 1..3), (2, 3..6)]);
        assert_eq!(within(&found, &(2..4)), [(1, 0..1), (2, 1..2)]);
    }
}
