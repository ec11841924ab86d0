//! Running maxima of lanes over prompts, and where a prompt lies inside blocks and panels.

use std::ops::Range;

use crate::linalg::simd::{Held, Path, Tile, With};

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

/// Prompts that have something in `here`: their numbers, and where, counted from its start.
pub fn within<'a>(
    prompts: impl Iterator<Item = &'a Range<usize>>,
    here: &Range<usize>,
) -> Vec<(usize, Range<usize>)> {
    let clipped = prompts.enumerate().map(|(number, rows)| {
        let start = rows.start.clamp(here.start, here.end);
        let end = rows.end.clamp(here.start, here.end);
        (number, start - here.start..end - here.start)
    });
    clipped.filter(|(_, rows)| !rows.is_empty()).collect()
}

/// Running maxima `[piece][lane]`.
pub struct Best<'a> {
    pub found: Vec<f32>,
    path: Path,
    n_lanes: usize,
    pieces: &'a [Piece],
    products: Vec<f32>,
    _held: Held,
}

impl<'a> Best<'a> {
    /// Nothing found yet.
    pub fn new(path: Path, n_lanes: usize, pieces: &'a [Piece]) -> Self {
        Self {
            found: vec![f32::NEG_INFINITY; pieces.len() * n_lanes],
            path,
            n_lanes,
            pieces,
            products: vec![0.0; path.lanes() * path.rows()],
            _held: path.hold(),
        }
    }

    /// Adds one panel, whose first lane is `lane`, against one tile, whose first row is in
    /// `piece`. Returns the piece of the row after its last.
    pub fn add(
        &mut self,
        panel: &[f32],
        lane: usize,
        (rows, tile, with): (Range<usize>, Tile<'_>, With<'_>),
        piece: usize,
    ) -> usize {
        let width = self.path.lanes();
        if rows.start + self.path.rows() > self.pieces[piece].rows.end {
            let mut products = std::mem::take(&mut self.products);
            self.path.scores(panel, tile, with.ahead, &mut products);
            let after = self.keep(lane, &rows, (&products, with.scales), piece);
            self.products = products;
            return after;
        }
        let at = piece * self.n_lanes + lane;
        self.path
            .best(panel, tile, with, &mut self.found[at..at + width]);
        piece + usize::from(rows.end == self.pieces[piece].rows.end)
    }

    /// As `add`, of products `[row][lane]` at hand and a scale for each row.
    pub fn keep(
        &mut self,
        lane: usize,
        rows: &Range<usize>,
        (products, scales): (&[f32], &[f32]),
        mut piece: usize,
    ) -> usize {
        let width = self.path.lanes();
        let mut start = rows.start;
        while start < rows.end {
            let end = self.pieces[piece].rows.end.min(rows.end);
            let here = start - rows.start..end - rows.start;
            let at = piece * self.n_lanes + lane;
            self.path.keep(
                &products[here.start * width..here.end * width],
                &scales[here],
                &mut self.found[at..at + width],
            );
            piece += usize::from(end == self.pieces[piece].rows.end);
            start = end;
        }
        piece
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_of_rows_is_cut_at_the_borders_of_prompts() {
        let found = pieces(&[0, 3, 5, 9], &(2..8));
        let plain: Vec<_> = found.iter().map(|p| (p.task, p.rows.clone())).collect();
        assert_eq!(plain, [(0, 0..1), (1, 1..3), (2, 3..6)]);
        let rows = found.iter().map(|piece| &piece.rows);
        assert_eq!(within(rows, &(2..4)), [(1, 0..1), (2, 1..2)]);
    }
}
