//! One piece of work: a few panels against one block, reduced while the scores are in registers
//! or in the first-level cache. The matrix of scores between two prompts is never written.

use std::ops::Range;

use super::Reduction;
use super::best::{Best, Piece, within};
use super::block::{Block, PART, in_parts};
use super::lanes::Lanes;
use crate::linalg::simd::{Path, Tile, With};
use crate::similarity::reduce::{mean_of_largest, soft_maximum};

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

    // What tile number `at.1` fetches while panel number `at.0` passes: a stretch of the panel after
    // it, coordinates `part`.
    fn ahead(&self, at: (usize, usize), part: &Range<usize>) -> &'a [f32] {
        let next = self.first_panel + at.0 + 1;
        if next == self.lanes.n_panels() {
            return &[];
        }
        let start = part.start * self.path.lanes() + at.1 * self.path.fetched(part.len());
        self.lanes.panel(next).get(start..).unwrap_or_default()
    }

    fn words(&self) -> Range<usize> {
        0..self.lanes.panel(0).len() / self.path.lanes()
    }

    /// Best score `[piece][lane]` of every lane in every piece.
    pub fn best(&self) -> Vec<f32> {
        let mut best = Best::new(self.path, self.n_lanes(), self.pieces);
        let sums = self.sums();
        let words = self.words();
        for (number, panel) in self.panels() {
            let (lane, mut piece) = (number * self.path.lanes(), 0);
            for (index, (rows, tile, scales)) in self.block.tiles().enumerate() {
                let ahead = self.ahead((number, index), &words);
                piece = match self.summed(&sums, (number, index)) {
                    Some(scores) => best.keep(lane, &rows, (scores, scales), piece),
                    None => best.add(panel, lane, (rows, tile, With { scales, ahead }), piece),
                }
            }
        }
        best.found
    }

    // Products `[panel][tile][row][lane]`, part after part of the coordinates; empty where a tile
    // is multiplied in one go.
    fn sums(&self) -> Vec<f32> {
        let (width, height) = (self.path.lanes(), self.path.rows());
        let words = self.words();
        if !in_parts(self.path, words.end, self.lanes.n_panels()) {
            return Vec::new();
        }
        let packed = |tile| match tile {
            Tile::Packed(tile) => Some(tile),
            Tile::Lying(_) => None,
        };
        let tiles = self.block.tiles().filter_map(|(_, tile, _)| packed(tile));
        let tiles: Vec<&[f32]> = tiles.collect();
        let mut sums = vec![0.0; self.n_panels * tiles.len() * width * height];
        for from in words.clone().step_by(PART) {
            let part = from..(from + PART).min(words.end);
            let next = part.end..(part.end + PART).min(words.end);
            let mut sums = sums.chunks_exact_mut(width * height);
            for (number, panel) in self.panels() {
                let panel = &panel[part.start * width..part.end * width];
                for (index, (tile, sums)) in tiles.iter().zip(&mut sums).enumerate() {
                    let tile = &tile[part.start * height..part.end * height];
                    let ahead = self.ahead_in_parts((number, index), &part, (&tiles, &next));
                    self.path.add(panel, tile, ahead, sums);
                }
            }
        }
        sums
    }

    // The same in parts: once the next panel is on its way, what all panels will meet next. Left to the
    // processor, the first panel of every part waits for each tile.
    fn ahead_in_parts(
        &self,
        (number, index): (usize, usize),
        part: &Range<usize>,
        (tiles, next): (&[&'a [f32]], &Range<usize>),
    ) -> &'a [f32] {
        let at_a_time = self.path.fetched(part.len()).max(1);
        let for_panel = (self.path.lanes() * part.len()).div_ceil(at_a_time);
        if index < for_panel || next.is_empty() {
            return self.ahead((number, index), part);
        }
        let start = (number * (tiles.len() - for_panel) + index - for_panel) * at_a_time;
        let size = self.path.rows() * next.len();
        match tiles.get(start / size) {
            Some(tile) => &tile[self.path.rows() * next.start + start % size..],
            None => &[],
        }
    }

    // Products `[row][lane]` of panel and tile number `at`, where they are made in parts.
    fn summed<'s>(&self, sums: &'s [f32], at: (usize, usize)) -> Option<&'s [f32]> {
        let size = self.path.lanes() * self.path.rows();
        let start = (at.0 * self.block.tiles().count() + at.1) * size;
        sums.get(start..start + size)
    }

    // Products `[row][lane]` of panel and tile number `at`, found in `sums` or made in `scratch`.
    fn products<'s>(
        &self,
        sums: &'s [f32],
        at: (usize, usize),
        tile: Tile<'_>,
        scratch: &'s mut [f32],
    ) -> &'s [f32] {
        if let Some(found) = self.summed(sums, at) {
            return found;
        }
        let (ahead, panel) = (
            self.ahead(at, &self.words()),
            self.lanes.panel(self.first_panel + at.0),
        );
        self.path.scores(panel, tile, ahead, scratch);
        scratch
    }

    /// As `best`, and the best score `[seeker][row]` of every row in every prompt of the lanes,
    /// multiplied by `lane_scales` instead of the row's.
    pub fn best_both(&self, seekers: &[Piece], lane_scales: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let (width, n_rows) = (self.path.lanes(), self.block.rows.len());
        let mut best = Best::new(self.path, self.n_lanes(), self.pieces);
        let mut best_back = vec![f32::NEG_INFINITY; seekers.len() * n_rows];
        let mut scratch = vec![0.0; width * self.path.rows()];
        let sums = self.sums();
        for number in 0..self.n_panels {
            let here = number * width..(number + 1) * width;
            let owners = within(seekers.iter().map(|piece| &piece.rows), &here);
            let lane_scales = &lane_scales[here.clone()];
            let mut piece = 0;
            for (index, (rows, tile, scales)) in self.block.tiles().enumerate() {
                let products = self.products(&sums, (number, index), tile, &mut scratch);
                piece = best.keep(here.start, &rows, (products, scales), piece);
                let products = &products[..rows.len() * width];
                for (owner, lanes) in &owners {
                    let slots = &mut best_back[owner * n_rows..][rows.clone()];
                    self.path
                        .across(products, lane_scales, lanes.clone(), slots);
                }
            }
        }
        (best.found, best_back)
    }

    /// What `reduction` makes of all scores of a lane in a piece, `[piece][lane]`; `scales` are
    /// those of the lanes that hold a token. A piece must be a whole prompt.
    pub fn reduced(&self, reduction: &Reduction, scales: &[f64]) -> Vec<f64> {
        let (width, n_lanes) = (self.path.lanes(), self.n_lanes());
        let tile = width * self.path.rows();
        let _held = self.path.hold();
        let mut reduced = vec![0.0; self.pieces.len() * n_lanes];
        let mut strip = vec![0.0; self.block.rows.len().div_ceil(self.path.rows()) * tile];
        let (mut scores, mut spare) = (Vec::new(), Vec::new());
        let sums = self.sums();
        let mut scratch = vec![0.0; tile];
        for number in 0..self.n_panels {
            let strips = strip.chunks_exact_mut(tile).enumerate();
            for ((_, tile, scales), (index, scores)) in self.block.tiles().zip(strips) {
                let products = self.products(&sums, (number, index), tile, &mut scratch);
                let rows = products.chunks_exact(width).zip(scales);
                for (scores, (row, scale)) in scores.chunks_exact_mut(width).zip(rows) {
                    for (score, product) in scores.iter_mut().zip(row) {
                        *score = product * scale;
                    }
                }
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
                        Reduction::Largest(k) => mean_of_largest(&scores, k, &mut spare),
                        Reduction::Soft(temperature) => soft_maximum(&scores, temperature),
                    };
                }
            }
        }
        reduced
    }
}
