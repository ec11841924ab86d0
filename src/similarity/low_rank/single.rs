//! Stacked factors in single precision: register tiles of `f32`, added up in `f64` after every
//! stretch of columns.
//!
//! Every factor is divided by a power of two, which is exact, so that its largest number lies
//! between 1 and 2 and no product leaves `f32`. With `n` columns at most in a stretch, `u` half the
//! spacing of `f32` and `g = n u / (1 - n u)`, `n` grown by 2 for factors rounded to `f32`, an
//! element of a product is off by at most `g |p| |q|` (Higham 2002, section 3.1), and the inner
//! product of two updates by `(2 g + g^2) s1 |A1| |B1| s2 |A2| |B2|`, by Cauchy and Schwarz.

use super::Numbers;
use crate::linalg::Aligned;
use crate::linalg::simd::{Path, Tile};

/// Columns multiplied before sums become `f64`: a panel of 32 x 1024 takes 128 KB of L2.
const STRETCH: usize = 1024;

/// Rows of one side, packed for both places at the register tile.
pub struct Narrow {
    path: Path,
    panels: Vec<Aligned>,
    tiles: Vec<Aligned>,
    n_rows: usize,
}

impl Narrow {
    /// Packs `rows [n_rows, dim]`.
    pub fn pack(path: Path, rows: &[f32], dim: usize) -> Self {
        let n_rows = rows.len() / dim;
        let (mut panels, mut tiles) = (Vec::new(), Vec::new());
        for first in (0..dim).step_by(STRETCH) {
            let width = STRETCH.min(dim - first);
            let part: Vec<f32> = rows
                .chunks_exact(dim)
                .flat_map(|row| &row[first..first + width])
                .copied()
                .collect();
            panels.push(packed(&part, width, path.lanes(), |rows, panel| {
                path.pack_panel(rows, width, panel);
            }));
            tiles.push(packed(&part, width, path.rows(), |rows, tile| {
                path.pack_tile(rows, width, tile);
            }));
        }
        Self {
            path,
            panels,
            tiles,
            n_rows,
        }
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// `[n_rows, columns.n_rows]` inner products.
    pub fn cross(&self, columns: &Self, products: &mut Vec<f64>) {
        let (lanes, height) = (self.path.lanes(), self.path.rows());
        let width = columns.n_rows;
        products.clear();
        products.resize(self.n_rows * width, 0.0);
        let mut scores = vec![0.0; height * lanes];
        let n_panels = width.div_ceil(lanes);
        let n_tiles = self.n_rows.div_ceil(height);
        for (panels, tiles) in columns.panels.iter().zip(&self.tiles) {
            let panels = panels
                .as_slice()
                .chunks_exact(panels.as_slice().len() / n_panels);
            for (panel, first) in panels.zip((0..).step_by(lanes)) {
                let here = first..(first + lanes).min(width);
                let tiles = tiles
                    .as_slice()
                    .chunks_exact(tiles.as_slice().len() / n_tiles);
                for (tile, start) in tiles.zip((0..).step_by(height)) {
                    self.path
                        .scores(panel, Tile::Packed(tile), &[], &mut scores);
                    for (row, scores) in (start..self.n_rows).zip(scores.chunks_exact(lanes)) {
                        let sums = &mut products[row * width..][here.clone()];
                        for (sum, &score) in sums.iter_mut().zip(scores) {
                            *sum += f64::from(score);
                        }
                    }
                }
            }
        }
    }
}

fn packed(rows: &[f32], dim: usize, height: usize, pack: impl Fn(&[f32], &mut [f32])) -> Aligned {
    let n_rows = rows.len() / dim;
    let mut found = Aligned::unset(n_rows.next_multiple_of(height) * dim);
    let parts = found.as_mut_slice().chunks_exact_mut(height * dim);
    for (rows, part) in rows.chunks(height * dim).zip(parts) {
        pack(rows, part);
    }
    found
}

/// Numbers over a power of two, and that power.
pub fn narrowed(numbers: Numbers<'_>) -> (Vec<f32>, f64) {
    let wide = numbers.widen();
    let largest = wide
        .iter()
        .fold(0.0, |best: f64, value| best.max(value.abs()));
    // The exponent as it is stored; what is too small to have one is small whatever the power.
    let exponent = ((largest.to_bits() >> 52) as i32 - 1023).clamp(-1000, 1000);
    let power = 2f64.powi(exponent);
    let part = 2f64.powi(-exponent);
    (
        wide.iter().map(|value| (value * part) as f32).collect(),
        power,
    )
}
