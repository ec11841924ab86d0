//! Two looks at the scores of the screen: who leads, and who could still be above what is known.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::strip::{Pair, Strip};

/// The largest score of the screen for every lane in every partner prompt, `[prompt][lane]` as a
/// row; where `both`, also that of every row in every seeking prompt, unless it leads there already.
pub fn leaders(strip: &Strip<'_>, both: bool) -> Vec<Pair> {
    Arch::new().dispatch(Leaders { strip, both })
}

/// What has been decided so far, `[partner prompt][lane]` and `[seeking prompt][row]`, counted from
/// the first of the sides.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    pub best: &'a [f32],
    pub back: &'a [f32],
    pub both: bool,
}

/// Pairs of panel `panel` and partner prompt `piece` whose upper bound is above what is known.
pub fn survivors(
    strip: &Strip<'_>,
    panel: usize,
    piece: &(usize, Range<usize>),
    known: Known<'_>,
    found: &mut Vec<Pair>,
) {
    Arch::new().dispatch(Survivors {
        strip,
        panel,
        piece,
        known,
        found,
    });
}

struct Leaders<'a> {
    strip: &'a Strip<'a>,
    both: bool,
}

impl WithSimd for Leaders<'_> {
    type Output = Vec<Pair>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Vec<Pair> {
        match self.strip.width {
            8 => self.run::<8>(),
            16 => self.run::<16>(),
            _ => self.run::<32>(),
        }
    }
}

impl Leaders<'_> {
    #[inline(always)]
    fn run<const W: usize>(self) -> Vec<Pair> {
        let strip = self.strip;
        let n_lanes = strip.lane_range.len();
        let mut found = Vec::with_capacity(strip.partners.len() * n_lanes);
        for (_, rows) in &strip.partners {
            for panel in 0..strip.n_panels() {
                let scales = &strip.row_scales()[rows.clone()];
                let at = first_largest::<W>(strip.scores(panel, rows), scales);
                let lanes = strip.lanes_of(panel);
                let pairs = lanes.zip(at);
                found.extend(pairs.map(|(lane, at)| (lane as u32, rows.start as u32 + at)));
            }
        }
        if self.both {
            self.back::<W>(&mut found);
        }
        found
    }

    #[inline(always)]
    fn back<const W: usize>(&self, found: &mut Vec<Pair>) {
        let (strip, n_lanes) = (self.strip, self.strip.lane_range.len());
        for (_, lanes) in &strip.seekers {
            let panels = lanes.start / W..(lanes.end - 1) / W + 1;
            let weights: Vec<[[f32; W]; 2]> = panels
                .clone()
                .map(|panel| weights(strip.lane_scales(), panel * W, lanes))
                .collect();
            for (number, (_, rows)) in strip.partners.iter().enumerate() {
                for row in rows.clone() {
                    let mut best = [f32::NEG_INFINITY; W];
                    let mut at = [panels.start as u32; W];
                    for (panel, [scales, minus]) in panels.clone().zip(&weights) {
                        for scores in strip.scores(panel, &(row..row + 1)).as_chunks::<W>().0 {
                            keep_larger(scores, scales, minus, panel as u32, &mut best, &mut at);
                        }
                    }
                    let lane = largest(&best);
                    // Where nothing is a number, any lane of the prompt will do.
                    let lane = (at[lane] as usize * W + lane).clamp(lanes.start, lanes.end - 1);
                    let pair = (lane as u32, row as u32);
                    // Each has one leader a prompt in the first part of the list.
                    if found[number * n_lanes + pair.0 as usize] != pair {
                        found.push(pair);
                    }
                }
            }
        }
    }
}

// The row of the largest scaled score of every lane; the first of equal ones.
#[inline(always)]
fn first_largest<const W: usize>(scores: &[f32], scales: &[f32]) -> [u32; W] {
    let mut best = [f32::NEG_INFINITY; W];
    let mut at = [0u32; W];
    for (row, (scores, &scale)) in scores.as_chunks::<W>().0.iter().zip(scales).enumerate() {
        for lane in 0..W {
            let score = scores[lane] * scale;
            let larger = score > best[lane];
            best[lane] = if larger { score } else { best[lane] };
            at[lane] = if larger { row as u32 } else { at[lane] };
        }
    }
    at
}

#[inline(always)]
fn keep_larger<const W: usize>(
    scores: &[f32; W],
    scales: &[f32; W],
    minus: &[f32; W],
    place: u32,
    best: &mut [f32; W],
    at: &mut [u32; W],
) {
    for lane in 0..W {
        let score = scores[lane] * scales[lane] + minus[lane];
        let larger = score > best[lane];
        best[lane] = if larger { score } else { best[lane] };
        at[lane] = if larger { place } else { at[lane] };
    }
}

// The place of the largest number: halves against halves, so that no number waits for its neighbour.
#[inline(always)]
fn largest<const W: usize>(numbers: &[f32; W]) -> usize {
    let mut running = *numbers;
    let mut half = W / 2;
    while half > 0 {
        for at in 0..half {
            let (left, right) = (running[at], running[at + half]);
            running[at] = if right > left { right } else { left };
        }
        half /= 2;
    }
    let mut mask = 0u32;
    for (at, &number) in numbers.iter().enumerate() {
        mask |= u32::from(number == running[0]) << at;
    }
    (mask.trailing_zeros() as usize).min(W - 1)
}

// Values of the lanes from `first` on; what lies outside `lanes` counts 0 and minus infinity more.
#[inline(always)]
fn weights<const W: usize>(values: &[f32], first: usize, lanes: &Range<usize>) -> [[f32; W]; 2] {
    let mut found = [[0.0; W], [f32::NEG_INFINITY; W]];
    for lane in 0..W {
        if lanes.contains(&(first + lane)) {
            found[0][lane] = values[first + lane];
            found[1][lane] = 0.0;
        }
    }
    found
}

struct Survivors<'a> {
    strip: &'a Strip<'a>,
    panel: usize,
    piece: &'a (usize, Range<usize>),
    known: Known<'a>,
    found: &'a mut Vec<Pair>,
}

// Rows of a panel that look for a lane of one prompt.
struct Segment<const W: usize> {
    seeker: usize,
    scales: [[f32; W]; 2],
    reach: [[f32; W]; 2],
}

impl WithSimd for Survivors<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        match self.strip.width {
            8 => self.run::<8>(),
            16 => self.run::<16>(),
            _ => self.run::<32>(),
        }
    }
}

impl Survivors<'_> {
    #[inline(always)]
    fn run<const W: usize>(self) {
        let (strip, (partner, rows)) = (self.strip, self.piece);
        let first = self.panel * W;
        let known = partner * strip.lanes.rows.len() + strip.lane_range.start;
        let mut lengths = [0.0; W];
        let mut best = [f32::INFINITY; W];
        for lane in strip.lanes_of(self.panel) {
            lengths[lane - first] = strip.lanes.lengths[strip.lane_range.start + lane];
            best[lane - first] = self.known.best[known + lane];
        }
        let segments: Vec<Segment<W>> = if self.known.both {
            self.segments()
        } else {
            Vec::new()
        };
        let scores = strip.scores(self.panel, rows).as_chunks::<W>().0;
        for (row, scores) in rows.clone().zip(scores) {
            let (scale, reach) = (strip.row_scales()[row], strip.row_reach[row]);
            let mut is_above = [false; W];
            for lane in 0..W {
                is_above[lane] = scores[lane] * scale + lengths[lane] * reach > best[lane];
            }
            for segment in &segments {
                let place = strip.row_range.start + row;
                let length = strip.rows.lengths[place];
                let back = self.known.back[segment.seeker * strip.rows.rows.len() + place];
                let ([scales, minus], [reach, _]) = (&segment.scales, &segment.reach);
                for lane in 0..W {
                    let score = scores[lane] * scales[lane] + minus[lane];
                    is_above[lane] |= score + length * reach[lane] > back;
                }
            }
            if is_above.iter().fold(false, |any, &above| any | above) {
                let lanes = (0..W).filter(|&lane| is_above[lane]);
                self.found
                    .extend(lanes.map(|lane| ((first + lane) as u32, row as u32)));
            }
        }
    }

    #[inline(always)]
    fn segments<const W: usize>(&self) -> Vec<Segment<W>> {
        let (strip, first) = (self.strip, self.panel * W);
        let overlaps = |lanes: &Range<usize>| lanes.start < first + W && lanes.end > first;
        let here = strip.seekers.iter().filter(|(_, lanes)| overlaps(lanes));
        here.map(|(seeker, lanes)| Segment {
            seeker: *seeker,
            scales: weights(strip.lane_scales(), first, lanes),
            reach: weights(&strip.lane_reach, first, lanes),
        })
        .collect()
    }
}
