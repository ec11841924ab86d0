//! Some whole prompts against some others: screened, decided, and brought to one score a pair.

use std::ops::Range;

use super::bound::apart;
use super::scan::{Known, leaders, survivors};
use super::side::Side;
use super::strip::{Pair, Strip};
use crate::error::Result;
use crate::linalg::for_each_near;
use crate::linalg::simd::{PAIRS, PairRows, Path, Tile};
use crate::threads::Monitor;

/// Panels of a strip at most where only lanes look for partners: with all rows of a unit 260 KB of scores.
const PANELS: usize = 4;
/// The same where rows look too, whose prompts are better not cut. On 30 x 30 prompts of 100 x 768, in
/// turns on a busy machine, 16 took 188 ms, 8 190 and 4 203.
const STRIP: usize = 16;
/// Tokens of a unit, if its prompts are no longer: those of 16 panels.
pub const TOKENS: usize = 512;

/// A panel and a prompt are left to the plain tile where more than one in so many of their pairs of
/// tokens survive the screen: a sum in any order, or a chain, costs as much as 12 pairs of a tile do.
const MOST_SURVIVORS: usize = 12;

/// Whole prompts against whole prompts.
pub struct Unit<'a> {
    pub exact: Path,
    pub screen: Path,
    pub lanes: &'a Side<'a>,
    pub rows: &'a Side<'a>,
    /// Rows of the prompts, counted from the first of the side.
    pub seekers: &'a [Range<usize>],
    pub partners: &'a [Range<usize>],
    pub both: bool,
    /// False where the leaders of the screen are the answer.
    pub is_certified: bool,
    pub gamma: f64,
}

/// The largest scores `[partner prompt][lane]` and `[seeking prompt][row]`, before the scale of the
/// token that looks, and pairs of tokens that were multiplied in `f32`.
pub struct Decided {
    pub best: Vec<f32>,
    pub back: Vec<f32>,
    pub n_leaders: usize,
    pub n_survivors: usize,
    pub n_tiled: usize,
}

impl Unit<'_> {
    /// Screens strip after strip; what one has decided need not be looked at in the next.
    pub fn decide(&self, monitor: &Monitor) -> Result<Decided> {
        let n_panels = self.lanes.rows.len().div_ceil(self.screen.lanes());
        self.of_panels(cut(n_panels, self.most_panels()), monitor)
    }

    /// The same of the first strips, and the pairs of tokens that were looked at.
    pub fn probe(&self, monitor: &Monitor) -> Result<(Decided, usize)> {
        let most = self.most_panels() * self.screen.lanes();
        let n_lanes = self.lanes.rows.len().min(most);
        let panels = 0..n_lanes.div_ceil(self.screen.lanes());
        let decided = self.of_panels([panels].into_iter(), monitor)?;
        Ok((decided, n_lanes * self.rows.rows.len()))
    }

    fn most_panels(&self) -> usize {
        if self.both { STRIP } else { PANELS }
    }

    fn of_panels(
        &self,
        stretches: impl Iterator<Item = Range<usize>>,
        monitor: &Monitor,
    ) -> Result<Decided> {
        let (n_lanes, n_rows) = (self.lanes.rows.len(), self.rows.rows.len());
        let n_back = if self.both {
            self.seekers.len() * n_rows
        } else {
            0
        };
        let mut decided = Decided {
            best: vec![f32::NEG_INFINITY; self.partners.len() * n_lanes],
            back: vec![f32::NEG_INFINITY; n_back],
            n_leaders: 0,
            n_survivors: 0,
            n_tiled: 0,
        };
        let n_tiles = n_rows.div_ceil(self.screen.rows());
        let most_tiles = (TOKENS / self.screen.rows()).max(1);
        for panels in stretches {
            for tiles in cut(n_tiles, most_tiles) {
                monitor.tick(0)?;
                let sides = (self.lanes, self.rows);
                let prompts = (self.seekers, self.partners);
                let ranges = (panels.clone(), tiles);
                let strip = Strip::new(self.screen, sides, prompts, ranges, self.gamma);
                self.settle(strip, &mut decided);
            }
        }
        Ok(decided)
    }

    fn settle(&self, mut strip: Strip<'_>, decided: &mut Decided) {
        let leading = leaders(&strip, self.both);
        self.multiply(&strip, &leading, decided);
        decided.n_leaders += leading.len();
        if !self.is_certified {
            return;
        }
        for &pair in &leading {
            strip.settle(pair);
        }
        let mut found = Vec::new();
        for piece in &strip.partners {
            for panel in 0..strip.n_panels() {
                let known = Known {
                    best: &decided.best,
                    back: &decided.back,
                    both: self.both,
                };
                let before = found.len();
                survivors(&strip, panel, piece, known, &mut found);
                let n_survivors = found.len() - before;
                let n_pairs = strip.lanes_of(panel).len() * piece.1.len();
                if MOST_SURVIVORS * n_survivors > n_pairs {
                    found.truncate(before);
                    self.tile(&strip, &strip.lanes_of(panel), piece, decided);
                } else {
                    decided.n_survivors += n_survivors;
                    self.keep_contenders(&strip, before, &mut found, decided);
                }
            }
        }
        self.multiply(&strip, &found, decided);
    }

    // Of the pairs from `first` on, those whose chain could be above what is known.
    fn keep_contenders(
        &self,
        strip: &Strip<'_>,
        first: usize,
        found: &mut Vec<Pair>,
        decided: &Decided,
    ) {
        let pairs = found.split_off(first);
        let tokens = pairs.iter().map(|&pair| {
            let (lane, row) = strip.place(pair);
            (self.lanes.token(lane), self.rows.token(row))
        });
        for_each_near(tokens, |number, sum| {
            let (lane, row) = strip.place(pairs[number]);
            let apart = apart(self.lanes.lengths[lane], self.rows.lengths[row], self.gamma);
            let most = f64::from(sum) + apart;
            let is_above = |scale: f32, best: f32| most * f64::from(scale) > f64::from(best);
            let known = decided.best[self.best_at(lane, row)];
            if is_above(self.rows.scales[row], known)
                || self.both
                    && is_above(
                        self.lanes.scales[lane],
                        decided.back[self.back_at(lane, row)],
                    )
            {
                found.push(pairs[number]);
            }
        });
    }

    // Where the largest score of a lane in the prompt of a row stands, and that of a row.
    fn best_at(&self, lane: usize, row: usize) -> usize {
        let partner = self.partners.partition_point(|rows| rows.end <= row);
        partner * self.lanes.rows.len() + lane
    }

    fn back_at(&self, lane: usize, row: usize) -> usize {
        let seeker = self.seekers.partition_point(|lanes| lanes.end <= lane);
        seeker * self.rows.rows.len() + row
    }

    // Exact chains of some pairs, into what is decided.
    fn multiply(&self, strip: &Strip<'_>, pairs: &[Pair], decided: &mut Decided) {
        for sixteen in pairs.chunks(PAIRS) {
            let at = |number: usize| sixteen[number.min(sixteen.len() - 1)];
            let places: [_; PAIRS] = std::array::from_fn(|number| strip.place(at(number)));
            let left: PairRows<'_> = places.map(|(lane, _)| self.lanes.token(lane));
            let right: PairRows<'_> = places.map(|(_, row)| self.rows.token(row));
            let sums = self.exact.chains(&left, &right);
            for (&pair, sum) in sixteen.iter().zip(sums) {
                self.keep(strip.place(pair), sum, decided);
            }
        }
    }

    fn keep(&self, (lane, row): (usize, usize), sum: f32, decided: &mut Decided) {
        let at = self.best_at(lane, row);
        keep_larger(&mut decided.best[at], sum * self.rows.scales[row]);
        if self.both {
            let at = self.back_at(lane, row);
            keep_larger(&mut decided.back[at], sum * self.lanes.scales[lane]);
        }
    }

    // Products of consecutive lanes and a row of one partner, into what is decided.
    fn keep_row(
        &self,
        partner: usize,
        lanes: &Range<usize>,
        row: usize,
        sums: &[f32],
        decided: &mut Decided,
    ) {
        let start = partner * self.lanes.rows.len();
        let best = &mut decided.best[start + lanes.start..start + lanes.end];
        let scale = self.rows.scales[row];
        for (best, sum) in best.iter_mut().zip(sums) {
            keep_larger(best, sum * scale);
        }
        if self.both {
            let mut seeker = self.seekers.partition_point(|rows| rows.end <= lanes.start);
            for (lane, sum) in lanes.clone().zip(sums) {
                seeker += usize::from(lane >= self.seekers[seeker].end);
                let back = &mut decided.back[seeker * self.rows.rows.len() + row];
                keep_larger(back, sum * self.lanes.scales[lane]);
            }
        }
    }

    // All pairs of some lanes and the rows of a prompt, by the plain tile.
    fn tile(
        &self,
        strip: &Strip<'_>,
        lanes: &Range<usize>,
        (partner, rows): &(usize, Range<usize>),
        decided: &mut Decided,
    ) {
        let (dim, width, height) = (
            self.lanes.token(0).len(),
            self.exact.lanes(),
            self.exact.rows(),
        );
        let first_lane = strip.lane_range.start + lanes.start;
        let first_row = strip.row_range.start + rows.start;
        let tokens = &self.lanes.values()[first_lane * dim..(first_lane + lanes.len()) * dim];
        let others = &self.rows.values()[first_row * dim..(first_row + rows.len()) * dim];
        let (mut panel, mut packed) = (vec![0.0; width * dim], vec![0.0; height * dim]);
        let mut sums = vec![0.0; width * height];
        for (number, tokens) in tokens.chunks(width * dim).enumerate() {
            self.exact.pack_panel(tokens, dim, &mut panel);
            for (index, others) in others.chunks(height * dim).enumerate() {
                let tile = if others.len() == height * dim {
                    Tile::Lying(others)
                } else {
                    self.exact.pack_tile(others, dim, &mut packed);
                    Tile::Packed(&packed)
                };
                self.exact.scores(&panel, tile, &[], &mut sums);
                let n_rows = others.len() / dim;
                let here =
                    first_lane + number * width..first_lane + number * width + tokens.len() / dim;
                for (row, sums) in sums.chunks_exact(width).take(n_rows).enumerate() {
                    let row = first_row + index * height + row;
                    self.keep_row(*partner, &here, row, sums, decided);
                }
            }
        }
        decided.n_tiled += lanes.len() * rows.len() - strip.n_settled(lanes, rows);
    }
}

fn keep_larger(best: &mut f32, score: f32) {
    if score > *best {
        *best = score;
    }
}

fn cut(count: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    let pieces = count.div_ceil(most);
    (0..pieces).map(move |piece| piece * count / pieces..(piece + 1) * count / pieces)
}
