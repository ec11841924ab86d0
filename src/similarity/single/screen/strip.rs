//! A stretch of lanes against a stretch of rows, small enough for its scores to stay in the
//! second-level cache while they are looked at twice.

use std::ops::Range;

use super::super::best::within;
use super::bound::reach;
use super::side::Side;
use crate::linalg::Aligned;
use crate::linalg::simd::Path;

/// A lane and a row, counted from the first of the strip.
pub type Pair = (u32, u32);

/// What the screen found, and everything that turns it into bounds.
pub struct Strip<'a> {
    pub lanes: &'a Side<'a>,
    pub rows: &'a Side<'a>,
    /// Lanes of the strip, counted from the first of the side; all but the last panel are full.
    pub lane_range: Range<usize>,
    /// Rows of the strip, likewise.
    pub row_range: Range<usize>,
    /// Prompts that the rows belong to, each with its rows here.
    pub partners: Vec<(usize, Range<usize>)>,
    /// Prompts that the lanes belong to, each with its lanes here.
    pub seekers: Vec<(usize, Range<usize>)>,
    /// Lanes of a panel.
    pub width: usize,
    /// Products `[panel][padded row][lane]`; minus infinity where they are decided.
    pub raw: Aligned,
    /// Rows of a panel with those that fill up the last tile.
    pub padded: usize,
    /// What bounds each row, and each lane where rows look for partners too.
    pub row_reach: Vec<f32>,
    pub lane_reach: Vec<f32>,
}

impl<'a> Strip<'a> {
    /// Multiplies the rounded tokens of panels `panels` and tiles `tiles`.
    pub fn new(
        screen: Path,
        (lanes, rows): (&'a Side<'a>, &'a Side<'a>),
        (seekers, partners): (&[Range<usize>], &[Range<usize>]),
        (panels, tiles): (Range<usize>, Range<usize>),
        gamma: f64,
    ) -> Self {
        let (width, height) = (screen.lanes(), screen.rows());
        let lane_range = panels.start * width..(panels.end * width).min(lanes.rows.len());
        let row_range = tiles.start * height..(tiles.end * height).min(rows.rows.len());
        let padded = tiles.len() * height;
        let mut raw = Aligned::unset(panels.len() * padded * width);
        let _held = screen.hold();
        let mut scores = raw.as_mut_slice().chunks_exact_mut(width * height);
        for panel in panels {
            let panel = lanes.packed(panel);
            for (tile, scores) in tiles.clone().zip(&mut scores) {
                screen.scores(panel, rows.tile(tile), &[], scores);
            }
        }
        Self {
            row_reach: reaches(rows, &row_range, lanes.most_moved, gamma),
            lane_reach: reaches(lanes, &lane_range, rows.most_moved, gamma),
            partners: within(partners.iter(), &row_range),
            seekers: within(seekers.iter(), &lane_range),
            lanes,
            rows,
            lane_range,
            row_range,
            width,
            raw,
            padded,
        }
    }

    /// Panels of the strip.
    pub fn n_panels(&self) -> usize {
        self.lane_range.len().div_ceil(self.width)
    }

    /// Lanes of panel `panel` that hold a token, counted from the first of the strip.
    pub fn lanes_of(&self, panel: usize) -> Range<usize> {
        panel * self.width..((panel + 1) * self.width).min(self.lane_range.len())
    }

    /// Rows `rows` of panel `panel`, `[row][lane]`.
    pub fn scores(&self, panel: usize, rows: &Range<usize>) -> &[f32] {
        let start = (panel * self.padded + rows.start) * self.width;
        &self.raw.as_slice()[start..start + rows.len() * self.width]
    }

    /// A pair's lane and row, counted from the first of their sides.
    pub fn place(&self, (lane, row): Pair) -> (usize, usize) {
        (
            self.lane_range.start + lane as usize,
            self.row_range.start + row as usize,
        )
    }

    /// Leaves a pair out of every later look.
    pub fn settle(&mut self, (lane, row): Pair) {
        let (panel, lane) = (lane as usize / self.width, lane as usize % self.width);
        let at = (panel * self.padded + row as usize) * self.width + lane;
        self.raw.as_mut_slice()[at] = f32::NEG_INFINITY;
    }

    /// How many pairs of some lanes of one panel and some rows are left out.
    pub fn n_settled(&self, lanes: &Range<usize>, rows: &Range<usize>) -> usize {
        let panel = lanes.start / self.width;
        let scores = self.scores(panel, rows).chunks_exact(self.width);
        let settled = scores.flat_map(|row| &row[..lanes.len()]);
        settled.filter(|&&score| score == f32::NEG_INFINITY).count()
    }

    /// Scales of the rows here, as tiles use them.
    pub fn row_scales(&self) -> &[f32] {
        &self.rows.scales[self.row_range.clone()]
    }

    /// Scales of the lanes here.
    pub fn lane_scales(&self) -> &[f32] {
        &self.lanes.scales[self.lane_range.clone()]
    }
}

fn reaches(side: &Side<'_>, range: &Range<usize>, most: f32, gamma: f64) -> Vec<f32> {
    let each = |at: usize| {
        reach(
            side.scales[at],
            side.lengths[at],
            side.moved[at],
            most,
            gamma,
        )
    };
    range.clone().map(each).collect()
}
