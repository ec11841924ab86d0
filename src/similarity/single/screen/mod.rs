//! Maxima without most of the products: a screen of tokens rounded to bfloat16 or to integers of 8 bits,
//! which processors with AMX or VNNI multiply several times as fast, bounds every pair of tokens from
//! above; only pairs that could be the largest are multiplied in `f32`.
//!
//! ```text
//! rounded tokens --> scores of the screen  [panel][row][lane], in the second-level cache
//!                        | leader of each token in each prompt
//!                        v
//!                    exact chain: a lower bound of the maximum
//!                        | every other pair: score + bound > that?
//!                        v
//!                    sums in any order: could they be above?
//!                        v
//!                    exact chains; or the plain tile, where many prompts' tokens are nearly one
//! ```
//!
//! The chain is that of the tile (`linalg::simd::chains`) and what is left out lies below a maximum
//! that was found, so that the scores are those of the plain kernel, bit for bit, for any screen, and
//! choosing one is a matter of speed (`cost`). The bound (`bound`) takes every rounding on either way.
//!
//! Screens of integers of 8 bits are for processors without AMX: a token moves by 0.8 % of its norm
//! rather than 0.17 %, and 2.3 rather than 0.28 pairs beside the leader survive of 100 Gaussian tokens of 768
//! coordinates; each costs as much as a tenth of the tile's work for that token and prompt.

mod bound;
mod cost;
mod scan;
mod side;
mod strip;
mod unit;

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::gather::mean_of_best;
use super::norms::Norms;
use super::order::stretches;
use super::pairs::{AllPairs, BATCH_BYTES, CELLS, CHUNK_BYTES, Found};
use super::rows::Rows;
use crate::error::Result;
use crate::linalg::simd::{Path, quads};
use side::{Role, Side};
use unit::{TOKENS, Unit};

/// A screen, and what it saw.
#[derive(Debug)]
pub struct Screen {
    /// What multiplies rounded tokens.
    pub path: Path,
    /// Whether it is used whatever it costs.
    pub is_forced: bool,
    /// Whether all pairs that could be the largest are multiplied in `f32`, or the leader alone.
    pub is_certified: bool,
    n_pairs: AtomicU64,
    n_exact: AtomicU64,
}

impl Screen {
    /// A screen that has seen nothing.
    pub fn new(path: Path, is_forced: bool, is_certified: bool) -> Self {
        let (n_pairs, n_exact) = (AtomicU64::new(0), AtomicU64::new(0));
        Self {
            path,
            is_forced,
            is_certified,
            n_pairs,
            n_exact,
        }
    }

    /// Pairs of tokens screened, and those of them multiplied in `f32`; None if it was not used.
    pub fn seen(&self) -> Option<(u64, u64)> {
        let counts = [&self.n_pairs, &self.n_exact].map(|count| count.load(Ordering::Relaxed));
        (counts[0] > 0).then_some((counts[0], counts[1]))
    }
}

/// As `AllPairs::run`; None where the plain kernel is expected to be faster.
pub fn run(pairs: &AllPairs<'_>, screen: &Screen) -> Result<Option<Found>> {
    let dim = pairs.seekers.dim();
    // Beyond some ten million coordinates no bound holds.
    let is_too_wide =
        (screen.path.reads_quads() && dim > quads::WIDEST) || !bound::gamma(dim).is_finite();
    if is_too_wide || (!screen.is_forced && !cost::suits(pairs, screen.path)) {
        return Ok(None);
    }
    let n_seekers = pairs.seekers.n_tasks();
    let size = n_seekers * pairs.partners.n_tasks();
    let mut found = Found {
        forth: vec![0.0; size],
        back: vec![
            0.0;
            if pairs.both && !pairs.mirrored {
                size
            } else {
                0
            }
        ],
        largest: (0.0, 0.0),
        moved: (0.0, 0.0),
        extraordinary: (Vec::new(), Vec::new()),
    };
    let mut is_first = true;
    for batch in stretches(pairs.seekers.offsets(), BATCH_BYTES / (4 * dim), usize::MAX) {
        let groups = prepared(screen.path, &pairs.seekers, &batch, Role::Lanes);
        let n_lanes: usize = groups.iter().map(|group| group.rows.len()).sum();
        let first = if pairs.mirrored { batch.start } else { 0 };
        let offsets = &pairs.partners.offsets()[first..];
        for tasks in stretches(offsets, CHUNK_BYTES / (4 * dim), (CELLS / n_lanes).max(1)) {
            let tasks = tasks.start + first..tasks.end + first;
            let blocks = prepared(screen.path, &pairs.partners, &tasks, Role::Tiles);
            let work = Work {
                pairs,
                screen,
                groups: &groups,
                blocks: &blocks,
            };
            if is_first && !screen.is_forced && !work.pays()? {
                return Ok(None);
            }
            is_first = false;
            for cell in work.scores()?.into_iter().flatten() {
                let at = cell.partner * n_seekers + cell.seeker;
                found.forth[at] = cell.forth;
                if pairs.mirrored {
                    found.forth[cell.seeker * n_seekers + cell.partner] = cell.back;
                } else if pairs.both {
                    found.back[at] = cell.back;
                }
            }
            see(
                &blocks,
                &mut found.largest.1,
                &mut found.moved.1,
                &mut found.extraordinary.1,
            );
        }
        see(
            &groups,
            &mut found.largest.0,
            &mut found.moved.0,
            &mut found.extraordinary.0,
        );
    }
    for tasks in [&mut found.extraordinary.0, &mut found.extraordinary.1] {
        tasks.sort_unstable();
        tasks.dedup();
    }
    Ok(Some(found))
}

// Prompts `tasks`, some at a time.
fn prepared<'a>(screen: Path, side: &Rows<'a>, tasks: &Range<usize>, role: Role) -> Vec<Side<'a>> {
    let within = &side.offsets()[tasks.start..=tasks.end];
    stretches(within, TOKENS, usize::MAX)
        .into_par_iter()
        .map(|some| tasks.start + some.start..tasks.start + some.end)
        .map(|some| Side::new(screen, side, some, role))
        .collect()
}

fn see(sides: &[Side<'_>], largest: &mut f64, moved: &mut f64, extraordinary: &mut Vec<usize>) {
    for side in sides {
        let norms: &Norms = &side.norms;
        *largest = largest.max(norms.largest);
        *moved = moved.max(f64::from(side.most_moved));
        extraordinary.extend_from_slice(&norms.extraordinary);
    }
}

// Scores of two prompts, by their numbers.
struct Cell {
    partner: usize,
    seeker: usize,
    forth: f64,
    back: f64,
}

// Every group against every block.
struct Work<'a> {
    pairs: &'a AllPairs<'a>,
    screen: &'a Screen,
    groups: &'a [Side<'a>],
    blocks: &'a [Side<'a>],
}

impl Work<'_> {
    fn scores(&self) -> Result<Vec<Vec<Cell>>> {
        let pairs = self.pairs;
        (0..self.groups.len() * self.blocks.len())
            .into_par_iter()
            .map(|number| {
                pairs.monitor.tick(0)?;
                let block = &self.blocks[number / self.groups.len()];
                let cells = self.cells(&self.groups[number % self.groups.len()], block)?;
                let own = |cell: &&Cell| cell.seeker == cell.partner;
                let finished = match (pairs.counts, pairs.mirrored) {
                    (false, _) => 0,
                    (true, false) => cells.len(),
                    (true, true) => 2 * cells.len() - cells.iter().filter(own).count(),
                };
                pairs.monitor.tick(finished)?;
                Ok(cells)
            })
            .collect()
    }

    // A part of one unit decides whether the rest is worth it; its place is fixed, and so is the choice.
    fn pays(&self) -> Result<bool> {
        let (Some(group), Some(block)) = (self.groups.first(), self.blocks.last()) else {
            return Ok(true);
        };
        if !cost::is_worth_probing(self.groups.len(), self.blocks.len(), self.pairs.both) {
            return Ok(true);
        }
        let (seekers, partners) = self.prompts(group, block);
        let unit = self.unit(group, block, &seekers, &partners);
        let (decided, n_pairs) = unit.probe(self.pairs.monitor)?;
        Ok(cost::pays(&unit, &decided, n_pairs))
    }

    fn prompts(
        &self,
        group: &Side<'_>,
        block: &Side<'_>,
    ) -> (Vec<Range<usize>>, Vec<Range<usize>>) {
        let seekers = group.prompts(self.pairs.seekers.offsets());
        (seekers, block.prompts(self.pairs.partners.offsets()))
    }

    fn unit<'u>(
        &self,
        lanes: &'u Side<'u>,
        rows: &'u Side<'u>,
        seekers: &'u [Range<usize>],
        partners: &'u [Range<usize>],
    ) -> Unit<'u> {
        Unit {
            exact: self.pairs.path,
            screen: self.screen.path,
            lanes,
            rows,
            seekers,
            partners,
            both: self.pairs.both,
            is_certified: self.screen.is_certified,
            gamma: bound::gamma(self.pairs.seekers.dim()),
        }
    }

    fn cells(&self, group: &Side<'_>, block: &Side<'_>) -> Result<Vec<Cell>> {
        let pairs = self.pairs;
        if pairs.mirrored && block.tasks.end <= group.tasks.start {
            return Ok(Vec::new());
        }
        let (seekers, partners) = self.prompts(group, block);
        let unit = self.unit(group, block, &seekers, &partners);
        let decided = unit.decide(pairs.monitor)?;
        let (n_lanes, n_rows) = (group.rows.len(), block.rows.len());
        let n_exact = decided.n_leaders + decided.n_survivors + decided.n_tiled;
        self.screen
            .n_pairs
            .fetch_add((n_lanes * n_rows) as u64, Ordering::Relaxed);
        self.screen
            .n_exact
            .fetch_add(n_exact as u64, Ordering::Relaxed);
        let mut cells = Vec::with_capacity(seekers.len() * partners.len());
        for (partner, rows) in partners.iter().enumerate() {
            for (seeker, lanes) in seekers.iter().enumerate() {
                let mean = |best: &[f32], start: usize, of: &Range<usize>, scales: &[f64]| {
                    let best = &best[start + of.start..start + of.end];
                    mean_of_best(best, &scales[of.clone()], pairs.is_cosine)
                };
                let (task, other) = (block.tasks.start + partner, group.tasks.start + seeker);
                if pairs.mirrored && other > task {
                    break;
                }
                let forth = mean(&decided.best, partner * n_lanes, lanes, &group.norms.scales);
                let back = match pairs.both {
                    true => mean(&decided.back, seeker * n_rows, rows, &block.norms.scales),
                    false => 0.0,
                };
                cells.push(Cell {
                    partner: task,
                    seeker: other,
                    forth,
                    back,
                });
            }
        }
        Ok(cells)
    }
}

#[cfg(test)]
mod tests;
