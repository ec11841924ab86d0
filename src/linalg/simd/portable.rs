//! Any processor: plain arrays, which the compiler turns into whatever vector instructions the
//! target has for certain (SSE2, NEON). The twin of the paths written out by hand.

use super::kernel::{Kernel, Numbers, Operands};
use super::reduce::{across, keep};

/// SSE2 has 16 registers: 8 hold sums, 4 a column of the panel, and with rows of their own the
/// loops below leave no room for more. One core of an Intel Xeon, tiles in L1, dim 768, GFLOP/s:
/// 16 x 2 19.8, 16 x 3 19.2, 12 x 3 17.6, 8 x 4 16.4, 8 x 3 15.4, 8 x 6 12.1, 4 x 10 5.2; a multiplication
/// and an addition a cycle would make about 20. arm64 has 32 registers and fuses: 12 sums there.
const LANES: usize = if cfg!(target_arch = "aarch64") { 8 } else { 16 };
const ROWS: usize = if cfg!(target_arch = "aarch64") { 6 } else { 2 };

pub const KERNEL: Kernel = Kernel {
    name: "portable",
    lanes: LANES,
    rows: ROWS,
    numbers: Numbers::Single,
    side: None,
    best_lying,
    best_packed,
    scores_lying,
    scores_packed,
    sums_packed: Some(sums_packed),
    transpose,
    keep: keep::<LANES>,
    across: across::<LANES>,
    fetched: |_| 0,
    registers: None,
};

// Fused where the target fuses in hardware; the library's software version would be far slower.
#[inline(always)]
pub fn multiply_add(sum: f32, left: f32, right: f32) -> f32 {
    if cfg!(any(target_arch = "aarch64", target_feature = "fma")) {
        left.mul_add(right, sum)
    } else {
        sum + left * right
    }
}

type Sums = [[f32; LANES]; ROWS];

const ZEROS: Sums = [[0.0; LANES]; ROWS];

// Counted, because iterators over arrays stay calls where units of code are small.
#[inline(always)]
fn add(sums: &mut Sums, lanes: &[f32; LANES], values: &[f32; ROWS]) {
    for row in 0..ROWS {
        for lane in 0..LANES {
            sums[row][lane] = multiply_add(sums[row][lane], lanes[lane], values[row]);
        }
    }
}

#[inline(always)]
fn lying(tile: &Operands<'_>) -> Sums {
    let mut sums = ZEROS;
    let row = |number: usize| &tile.rows[number * tile.dim..][..tile.dim];
    let rows: [&[f32]; ROWS] = std::array::from_fn(row);
    let panel = &tile.panel.as_chunks::<LANES>().0[..tile.dim];
    for (at, lanes) in panel.iter().enumerate() {
        add(&mut sums, lanes, &rows.map(|row| row[at]));
    }
    sums
}

#[inline(always)]
fn packed(tile: &Operands<'_>, mut sums: Sums) -> Sums {
    let panel = tile.panel.as_chunks::<LANES>().0;
    for (lanes, values) in panel.iter().zip(tile.rows.as_chunks::<ROWS>().0) {
        add(&mut sums, lanes, values);
    }
    sums
}

fn scaled(sums: Sums, scales: &[f32]) -> Sums {
    let mut sums = sums;
    for (row, scale) in sums.iter_mut().zip(scales) {
        for score in row {
            *score *= scale;
        }
    }
    sums
}

fn keep_best(sums: Sums, tile: Operands<'_>) {
    for row in scaled(sums, tile.scales) {
        for (best, score) in tile.out.iter_mut().zip(row) {
            *best = if score > *best { score } else { *best };
        }
    }
}

fn best_lying(tile: Operands<'_>) {
    keep_best(lying(&tile), tile);
}

fn best_packed(tile: Operands<'_>) {
    keep_best(packed(&tile, ZEROS), tile);
}

fn scores_lying(tile: Operands<'_>) {
    tile.out.copy_from_slice(lying(&tile).as_flattened());
}

fn scores_packed(tile: Operands<'_>) {
    tile.out
        .copy_from_slice(packed(&tile, ZEROS).as_flattened());
}

fn sums_packed(tile: Operands<'_>) {
    let mut sums = ZEROS;
    sums.as_flattened_mut().copy_from_slice(tile.out);
    let sums = packed(&tile, sums);
    tile.out.copy_from_slice(sums.as_flattened());
}

/// `out[k][lane] = rows[lane][k]`; lanes beyond the last row repeat it.
pub fn transpose(rows: &[f32], dim: usize, width: usize, out: &mut [f32]) {
    let last = rows.len() / dim - 1;
    for lane in 0..width {
        let row = &rows[lane.min(last) * dim..][..dim];
        for (slot, &value) in out[lane..].iter_mut().step_by(width).zip(row) {
            *slot = value;
        }
    }
}
