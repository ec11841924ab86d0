//! All pairs of two sides. Seekers stand in lanes, batch by batch; the other side passes in
//! chunks of blocks; rayon runs over (block, group of panels) and then over prompts.
//!
//! Nothing a neighbour does reaches a score: a product is one chain of additions over `dim` that
//! belongs to one pair of tokens, whatever the tile; a maximum is exact in any order; a mean adds
//! the tokens of one prompt in an order that their numbers within the prompt fix.

use std::ops::Range;

use rayon::prelude::*;

use super::Reduction;
use super::best::{Piece, pieces};
use super::block::{Block, PANELS_WORTH_PACKING, conflicts, in_parts, rows_in_block};
use super::gather::{Cells, Chunk, Gather};
use super::item::Item;
use super::lanes::Lanes;
use super::norms::Norms;
use super::order::{Order, stretches};
use super::rows::Rows;
use super::stream::Stream;
use crate::error::Result;
use crate::linalg::simd::Path;
use crate::threads::Monitor;

/// Bytes of packed seekers at a time.
pub const BATCH_BYTES: usize = 24 << 20;
/// Bytes of the other side at a time.
pub const CHUNK_BYTES: usize = 12 << 20;
/// The same where nothing of it is copied: so much that waiting for the last block costs nothing.
const STREAM_BYTES: usize = 128 << 20;
/// Intermediate numbers, one per seeking token and prompt, at a time.
pub const CELLS: usize = 4 << 20;
/// Panels of one item: 4 x 24 tiles of 14 x 32 x 768 take half a millisecond.
const GROUP: usize = 4;
/// The same where products are made in parts, and a block is several times what a cache holds.
const GROUP_IN_PARTS: usize = 8;
/// Items a thread should have, so that the last one to finish is not waited for.
const ITEMS_PER_THREAD: usize = 16;

/// A comparison of two sides by one reduction.
#[derive(Debug, Clone, Copy)]
pub struct AllPairs<'a> {
    pub path: Path,
    pub seekers: Rows<'a>,
    pub partners: Rows<'a>,
    pub reduction: Reduction,
    /// Scores of tokens are cosines, and rounding must not carry them beyond 1.
    pub is_cosine: bool,
    /// Whether partners look for seekers too.
    pub both: bool,
    /// Partners are the seekers themselves and `both` holds: pairs whose seeker comes after its
    /// partner are left out, `forth` and `back` of the others fill both halves of `forth`.
    pub mirrored: bool,
    /// Whether finished pairs are counted.
    pub counts: bool,
    pub monitor: &'a Monitor,
}

/// Scores `[partner prompt][seeker prompt]` of seekers, and those of partners where asked for.
#[derive(Debug)]
pub struct Found {
    pub forth: Vec<f64>,
    pub back: Vec<f64>,
    /// The largest norms of a seeker and of a partner.
    pub largest: (f64, f64),
    /// The same of the parts of norms that rounding to bfloat16 moved tokens by.
    pub moved: (f64, f64),
    /// Numbers of the prompts that `f32` cannot multiply, in order.
    pub extraordinary: (Vec<usize>, Vec<usize>),
}

impl AllPairs<'_> {
    /// Compares everything with everything.
    pub fn run(&self) -> Result<Found> {
        let n_seekers = self.seekers.n_tasks();
        let size = n_seekers * self.partners.n_tasks();
        let back_size = if self.both && !self.mirrored { size } else { 0 };
        let (mut forth, mut back) = (vec![0.0; size], vec![0.0; back_size]);
        let dim = self.seekers.dim();
        let mut norms = Norms::default();
        let (mut largest, mut moved, mut extraordinary) = (0.0f64, 0.0f64, Vec::new());
        let mut seen = |norms: &Norms| {
            largest = largest.max(norms.largest);
            moved = moved.max(norms.moved);
            extraordinary.extend_from_slice(&norms.extraordinary);
        };
        for batch in stretches(self.seekers.offsets(), BATCH_BYTES / (4 * dim), usize::MAX) {
            let (lanes, found) = Lanes::pack(self.path, &self.seekers, batch.clone());
            norms.join(&found);
            let most = (CELLS / lanes.rows.len()).max(1);
            let bytes = if self.streams(&lanes) {
                STREAM_BYTES
            } else {
                CHUNK_BYTES
            };
            let first = if self.mirrored { batch.start } else { 0 };
            for tasks in stretches(&self.partners.offsets()[first..], bytes / (4 * dim), most) {
                let tasks = tasks.start + first..tasks.end + first;
                let chunk = self.chunk(&lanes, tasks.clone(), &norms.scales);
                chunk.blocks.iter().for_each(|block| seen(&block.norms));
                for (task, row) in tasks.zip(self.rows(&lanes, &chunk, &mut seen)?) {
                    let start = task * n_seekers + batch.start;
                    for (slot, (there, here)) in row.into_iter().enumerate() {
                        forth[start + slot] = there;
                        if self.mirrored {
                            forth[(batch.start + slot) * n_seekers + task] = here;
                        } else if self.both {
                            back[start + slot] = here;
                        }
                    }
                }
            }
        }
        extraordinary.sort_unstable();
        extraordinary.dedup();
        Ok(Found {
            forth,
            back,
            largest: (norms.largest, largest),
            moved: (norms.moved, moved),
            extraordinary: (norms.extraordinary, extraordinary),
        })
    }

    fn chunk<'c>(&'c self, lanes: &Lanes, tasks: Range<usize>, scales: &'c [f64]) -> Chunk<'c> {
        let offsets = self.partners.offsets();
        let size = rows_in_block(self.path, self.partners.dim(), lanes.n_panels());
        let rows = offsets[tasks.start]..offsets[tasks.end];
        let stretches: Vec<Range<usize>> = if self.reduction == Reduction::Best {
            let starts = rows.clone().step_by(size);
            starts
                .map(|start| start..(start + size).min(rows.end))
                .collect()
        } else {
            let within = &offsets[tasks.start..=tasks.end];
            let whole = stretches(within, size, usize::MAX).into_iter();
            whole
                .map(|tasks| within[tasks.start]..within[tasks.end])
                .collect()
        };
        let streams = self.streams(lanes);
        let blocks: Vec<Block<'_>> = stretches
            .into_par_iter()
            .map(|rows| match streams {
                true => Block::unseen(self.path, &self.partners, rows),
                false => Block::new(self.path, &self.partners, rows, lanes.n_panels()),
            })
            .collect();
        let pieces = blocks
            .iter()
            .map(|block| pieces(offsets, &block.rows))
            .collect();
        Chunk {
            tasks,
            scales,
            blocks,
            pieces,
        }
    }

    // Whether so few panels pass that each token is looked at where it is multiplied.
    fn streams(&self, lanes: &Lanes) -> bool {
        self.reduction == Reduction::Best && !self.both && lanes.n_panels() < PANELS_WORTH_PACKING
    }

    // One row of scores per partner prompt of the chunk.
    fn rows(
        &self,
        lanes: &Lanes,
        chunk: &Chunk<'_>,
        seen: &mut impl FnMut(&Norms),
    ) -> Result<Vec<Vec<(f64, f64)>>> {
        let wanted = ITEMS_PER_THREAD * rayon::current_num_threads();
        let streams = self.streams(lanes);
        let group = match streams {
            true => lanes.n_panels(),
            false => {
                let most = match in_parts(self.path, self.partners.dim(), lanes.n_panels()) {
                    true => GROUP_IN_PARTS,
                    false => GROUP,
                };
                (lanes.n_panels() * chunk.blocks.len() / wanted).clamp(1, most)
            }
        };
        let n_groups = lanes.n_panels().div_ceil(group);
        let seekers: Vec<Vec<Piece>> = (0..n_groups)
            .map(|number| {
                pieces(
                    self.seekers.offsets(),
                    &self.lane_rows(lanes, number, group),
                )
            })
            .collect();
        let bytes = 4 * group * lanes.panel(0).len();
        let order = Order::new(chunk.blocks.len(), n_groups, bytes);
        let cells = (0..order.len())
            .into_par_iter()
            .map(|number| {
                self.monitor.tick(0)?;
                let (block, number) = order.pair(number);
                let last = chunk.pieces[block].last().map(|piece| piece.task);
                if self.mirrored && last < seekers[number].first().map(|piece| piece.task) {
                    return Ok(Cells::LeftOut);
                }
                if streams {
                    let stream = Stream {
                        path: self.path,
                        lanes,
                        side: &self.partners,
                        rows: &chunk.blocks[block].rows,
                        pieces: &chunk.pieces[block],
                        in_place: !conflicts(self.path, self.partners.dim()),
                    };
                    let (best, norms) = stream.best();
                    return Ok(Cells::Streamed(best, norms));
                }
                let item = Item {
                    path: self.path,
                    lanes,
                    first_panel: number * group,
                    n_panels: group.min(lanes.n_panels() - number * group),
                    block: &chunk.blocks[block],
                    pieces: &chunk.pieces[block],
                };
                let rows = self.lane_rows(lanes, number, group);
                Ok(self.cells(&item, &seekers[number], &chunk.scales[rows]))
            })
            .collect::<Result<Vec<Cells>>>()?;
        for cells in &cells {
            if let Cells::Streamed(_, norms) = cells {
                seen(norms);
            }
        }
        chunk
            .tasks
            .clone()
            .into_par_iter()
            .map(|task| {
                self.monitor.tick(self.finished(lanes, task))?;
                let gather = Gather {
                    pairs: self,
                    lanes,
                    chunk,
                    cells: &cells,
                    order,
                    seekers: &seekers,
                    group_lanes: group * self.path.lanes(),
                    task,
                };
                Ok(gather.row())
            })
            .collect()
    }

    // Pairs that one partner prompt finishes.
    fn finished(&self, lanes: &Lanes, task: usize) -> usize {
        match (self.counts, self.mirrored) {
            (false, _) => 0,
            (true, false) => lanes.tasks.len(),
            (true, true) => {
                let before = task.min(lanes.tasks.end) - lanes.tasks.start;
                2 * before + usize::from(lanes.tasks.contains(&task))
            }
        }
    }

    fn lane_rows(&self, lanes: &Lanes, group: usize, size: usize) -> Range<usize> {
        let last = (group * size + size).min(lanes.n_panels()) - 1;
        lanes.rows_of(group * size).start..lanes.rows_of(last).end
    }

    fn cells(&self, item: &Item<'_>, seekers: &[Piece], scales: &[f64]) -> Cells {
        match self.reduction {
            Reduction::Best if self.both => {
                let mut scales: Vec<f32> = scales.iter().map(|&scale| scale as f32).collect();
                scales.resize(item.n_lanes(), 0.0);
                let (best, back) = item.best_both(seekers, &scales);
                Cells::Best(best, back)
            }
            Reduction::Best => Cells::Best(item.best(), Vec::new()),
            _ => Cells::Reduced(item.reduced(&self.reduction, scales)),
        }
    }
}
