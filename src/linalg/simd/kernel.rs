//! One instruction set's register tile, and the checks that make it safe to call.

use std::marker::PhantomData;
use std::ops::Range;

/// Everything one tile reads and writes. `rows` is `[rows][dim]` in place or `[dim][rows]` packed.
pub struct Operands<'a> {
    pub panel: &'a [f32],
    pub rows: &'a [f32],
    pub dim: usize,
    pub scales: &'a [f32],
    /// What is fetched into the second-level cache meanwhile; it may end anywhere.
    pub ahead: &'a [f32],
    pub out: &'a mut [f32],
}

/// A tile function; callers promise that the processor has the instructions it was built of, and
/// the lengths that `Kernel` checks.
type TileFn = unsafe fn(Operands<'_>);

/// Rows `[n][dim]` to columns `[dim][width]`; as above.
type TransposeFn = unsafe fn(&[f32], usize, usize, &mut [f32]);

/// Rows of scores, a scale for each, the largest of every lane so far; as above.
type KeepFn = unsafe fn(&[f32], &[f32], &mut [f32]);

/// Rows of scores, a scale for each lane, lanes, the largest of every row so far; as above.
type AcrossFn = unsafe fn(&[f32], &[f32], Range<usize>, &mut [f32]);

/// Something done to the registers of the calling thread; as above.
type ThreadFn = unsafe fn();

/// What a word of 32 bits holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// One `f32`.
    Single,
    /// Two of bfloat16.
    Pairs,
    /// Four integers of 8 bits.
    Quads,
}

/// `lanes` tokens of one side against `rows` tokens of the other, every sum in a register.
pub struct Kernel {
    pub name: &'static str,
    pub lanes: usize,
    pub rows: usize,
    /// What panels and tiles hold.
    pub numbers: Numbers,
    /// Side of the squares that pairs are packed in, if they are: tiles `[words / side][rows][side]`,
    /// panels `[lanes / side][words][side]`.
    pub side: Option<usize>,
    pub best_lying: TileFn,
    pub best_packed: TileFn,
    pub scores_lying: TileFn,
    pub scores_packed: TileFn,
    /// None where products are made in one go.
    pub sums_packed: Option<TileFn>,
    pub transpose: TransposeFn,
    pub keep: KeepFn,
    pub across: AcrossFn,
    /// Numbers that one tile fetches ahead, by the width of panels and tiles.
    pub fetched: fn(usize) -> usize,
    /// Makes the calling thread ready for many tiles, and ends that; as above, and in pairs. Tiles
    /// run without it too, each for itself.
    pub registers: Option<(ThreadFn, ThreadFn)>,
}

/// As long as it lives, its thread is ready for the tiles of one kernel.
pub struct Held {
    release: Option<ThreadFn>,
    // Registers belong to a thread.
    _thread: PhantomData<*const ()>,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: held by this thread, once for each of these.
            unsafe { release() }
        }
    }
}

/// Tokens that are broadcast, as many as a tile has rows.
#[derive(Debug, Clone, Copy)]
pub enum Tile<'a> {
    /// Row after row, where they lie: `[rows][dim]`.
    Lying(&'a [f32]),
    /// Column after column: `[dim][rows]`.
    Packed(&'a [f32]),
}

impl<'a> Tile<'a> {
    fn values(self) -> &'a [f32] {
        match self {
            Tile::Lying(values) | Tile::Packed(values) => values,
        }
    }
}

/// What a tile needs besides its operands.
#[derive(Debug, Clone, Copy)]
pub struct With<'a> {
    /// What the scores of each row are multiplied by.
    pub scales: &'a [f32],
    /// What comes next, to be fetched while this tile is multiplied.
    pub ahead: &'a [f32],
}

// Scales that nothing reads.
const UNUSED: [f32; 32] = [1.0; 32];

impl Kernel {
    /// `best[lane] = max(best[lane], scale_row * product(lane, row))` over all rows.
    pub fn best(&self, panel: &[f32], tile: Tile<'_>, with: With<'_>, best: &mut [f32]) {
        let run = match tile {
            Tile::Lying(_) => self.best_lying,
            Tile::Packed(_) => self.best_packed,
        };
        self.run(run, panel, tile, with, best, self.lanes);
    }

    /// `scores[row][lane] = product(lane, row)`; `ahead` is what comes next, as in `With`.
    pub fn scores(&self, panel: &[f32], tile: Tile<'_>, ahead: &[f32], scores: &mut [f32]) {
        let run = match tile {
            Tile::Lying(_) => self.scores_lying,
            Tile::Packed(_) => self.scores_packed,
        };
        let with = self.unscaled(ahead);
        self.run(run, panel, tile, with, scores, self.lanes * self.rows);
    }

    /// `sums[row][lane] += product(lane, row)`, the same chain of additions as in one go.
    pub fn add(&self, panel: &[f32], packed: &[f32], ahead: &[f32], sums: &mut [f32]) {
        let expected = self.lanes * self.rows;
        if let Some(add) = self.sums_packed {
            let with = self.unscaled(ahead);
            self.run(add, panel, Tile::Packed(packed), with, sums, expected);
        }
    }

    /// Makes this thread ready for many tiles, once instead of tile by tile.
    pub fn hold(&self) -> Held {
        if let Some((hold, _)) = self.registers {
            // SAFETY: `Path` hands out a kernel only after asking the processor.
            unsafe { hold() }
        }
        Held {
            release: self.registers.map(|(_, release)| release),
            _thread: PhantomData,
        }
    }

    fn unscaled<'a>(&self, ahead: &'a [f32]) -> With<'a> {
        With {
            scales: &UNUSED[..self.rows],
            ahead,
        }
    }

    fn run(
        &self,
        run: TileFn,
        panel: &[f32],
        tile: Tile<'_>,
        With { scales, ahead }: With<'_>,
        out: &mut [f32],
        expected: usize,
    ) {
        let (rows, dim) = (tile.values(), panel.len() / self.lanes);
        // Looking for an address that nothing lies at would cost more than fetching nothing new.
        let ahead = if ahead.is_empty() { panel } else { ahead };
        assert!(panel.len() == dim * self.lanes && rows.len() == dim * self.rows);
        assert!(scales.len() == self.rows && out.len() == expected);
        let operands = Operands {
            panel,
            rows,
            dim,
            scales,
            ahead,
            out,
        };
        // SAFETY: the lengths were checked just now; `Path` hands out a kernel only after asking
        // the processor for its instructions.
        unsafe { run(operands) }
    }

    /// `best[lane] = max(best[lane], scale_row * scores[row][lane])` over all rows.
    pub fn keep(&self, scores: &[f32], scales: &[f32], best: &mut [f32]) {
        assert!(best.len() == self.lanes && scores.len() == scales.len() * self.lanes);
        // SAFETY: as above.
        unsafe { (self.keep)(scores, scales, best) }
    }

    /// `best[row] = max(best[row], scale_lane * scores[row][lane])` over some lanes.
    pub fn across(&self, scores: &[f32], scales: &[f32], lanes: Range<usize>, best: &mut [f32]) {
        assert!(lanes.start < lanes.end && lanes.end <= self.lanes);
        assert!(scales.len() == self.lanes && scores.len() == best.len() * self.lanes);
        // SAFETY: as above.
        unsafe { (self.across)(scores, scales, lanes, best) }
    }

    /// `out[k][lane] = rows[lane][k]` for `width` lanes; lanes beyond the last row repeat it.
    pub fn transpose(&self, rows: &[f32], dim: usize, width: usize, out: &mut [f32]) {
        assert!(dim > 0 && rows.len() >= dim && rows.len().is_multiple_of(dim));
        assert!(rows.len() <= width * dim && out.len() == width * dim);
        // SAFETY: as above.
        unsafe { (self.transpose)(rows, dim, width, out) }
    }
}
