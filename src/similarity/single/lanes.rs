//! The tokens that look for partners, packed once and shared by all their pairs: tokens of many
//! prompts stand in the lanes of one panel, so that short prompts leave none idle.

use std::ops::Range;

use rayon::prelude::*;

use super::norms::Norms;
use super::rows::Rows;
use crate::linalg::Aligned;
use crate::linalg::simd::Path;

/// Consecutive prompts of one side, `[panel][dim][lanes]`.
#[derive(Debug)]
pub struct Lanes {
    /// Numbers of the prompts.
    pub tasks: Range<usize>,
    /// Their rows.
    pub rows: Range<usize>,
    panels: Aligned,
    panel_size: usize,
    width: usize,
}

impl Lanes {
    /// Packs prompts `tasks`, and what was seen of their rows.
    pub fn pack(path: Path, side: &Rows<'_>, tasks: Range<usize>) -> (Self, Norms) {
        let (dim, width) = (side.dim(), path.lanes());
        let rows = side.offsets()[tasks.start]..side.offsets()[tasks.end];
        let panel_size = width * path.words(dim);
        let mut panels = Aligned::unset(rows.len().div_ceil(width) * panel_size);
        let seen: Vec<Norms> = panels
            .as_mut_slice()
            .par_chunks_exact_mut(panel_size)
            .enumerate()
            .map_init(Vec::new, |scratch, (number, panel)| {
                let start = rows.start + number * width;
                let taken = start..(start + width).min(rows.end);
                let mut norms = Norms::default();
                let task = side.task_of(start);
                let (values, _) = side.take(&taken, task, &mut norms, scratch);
                path.pack_panel(values, dim, panel);
                norms
            })
            .collect();
        let mut norms = Norms::default();
        seen.iter().for_each(|seen| norms.join(seen));
        let lanes = Self {
            tasks,
            rows,
            panels,
            panel_size,
            width,
        };
        (lanes, norms)
    }

    /// Number of panels.
    pub fn n_panels(&self) -> usize {
        self.rows.len().div_ceil(self.width)
    }

    /// Panel `[words][lanes]` number `index`.
    pub fn panel(&self, index: usize) -> &[f32] {
        &self.panels.as_slice()[index * self.panel_size..][..self.panel_size]
    }

    /// Rows that stand in panel `index`; what the panel holds beyond them is no token.
    pub fn rows_of(&self, index: usize) -> Range<usize> {
        let start = self.rows.start + index * self.width;
        start..(start + self.width).min(self.rows.end)
    }
}
