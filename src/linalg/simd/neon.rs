//! NEON: 8 lanes (two registers) x 12 rows. Of 32 registers 24 hold sums, two or four columns of the
//! panel, and one instruction multiplies a register by one number of another, so that rows need not be
//! broadcast: three loads bring twelve rows that are packed, twelve bring two coordinates of twelve in
//! place.

use std::arch::aarch64::*;
use std::arch::asm;

use super::kernel::{Kernel, Numbers, Operands};
use super::reduce::{across, keep};

const LANES: usize = 8;
const ROWS: usize = 12;
// Numbers of a register.
const FOUR: usize = 4;

pub const KERNEL: Kernel = Kernel {
    name: "neon",
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
    fetched: |dim| 4 * dim,
    registers: None,
};

type Sums = [[float32x4_t; 2]; ROWS];

// `N` numbers of a column or row, register after register.
#[target_feature(enable = "neon")]
unsafe fn load<const N: usize>(from: *const f32) -> [float32x4_t; N] {
    // SAFETY: the caller answers for 4 N numbers.
    std::array::from_fn(|at| unsafe { vld1q_f32(from.add(FOUR * at)) })
}

#[target_feature(enable = "neon")]
fn zeros() -> Sums {
    [[vdupq_n_f32(0.0); 2]; ROWS]
}

#[target_feature(enable = "neon")]
unsafe fn lying(tile: &Operands<'_>) -> Sums {
    let (panel, rows, dim) = (tile.panel.as_ptr(), tile.rows.as_ptr(), tile.dim);
    let (mut sums, mut at) = (zeros(), 0);
    // SAFETY: `Kernel` checked that the panel holds dim x 8 numbers and rows 12 x dim.
    unsafe {
        while at + 2 <= dim {
            let [low, high, next_low, next_high] = load(panel.add(LANES * at));
            for (row, sums) in sums.iter_mut().enumerate() {
                let two = vld1_f32(rows.add(row * dim + at));
                sums[0] = vfmaq_lane_f32::<0>(sums[0], low, two);
                sums[1] = vfmaq_lane_f32::<0>(sums[1], high, two);
                sums[0] = vfmaq_lane_f32::<1>(sums[0], next_low, two);
                sums[1] = vfmaq_lane_f32::<1>(sums[1], next_high, two);
            }
            at += 2;
        }
        if at < dim {
            let [low, high] = load(panel.add(LANES * at));
            for (row, sums) in sums.iter_mut().enumerate() {
                let one = *rows.add(row * dim + at);
                sums[0] = vfmaq_n_f32(sums[0], low, one);
                sums[1] = vfmaq_n_f32(sums[1], high, one);
            }
        }
    }
    sums
}

// Four rows, by the numbers of one register.
macro_rules! four_rows {
    ($sums:ident, $first:literal, $low:ident, $high:ident, $numbers:expr, $($row:literal)*) => {
        $(
            $sums[$first + $row][0] = vfmaq_laneq_f32::<$row>($sums[$first + $row][0], $low, $numbers);
            $sums[$first + $row][1] = vfmaq_laneq_f32::<$row>($sums[$first + $row][1], $high, $numbers);
        )*
    };
}

#[target_feature(enable = "neon")]
unsafe fn packed(tile: &Operands<'_>, mut sums: Sums) -> Sums {
    let (panel, rows) = (tile.panel.as_ptr(), tile.rows.as_ptr());
    for at in 0..tile.dim {
        if at % FOUR == 0 {
            let next = tile.ahead.as_ptr().wrapping_add(FOUR * at);
            // SAFETY: fetching reads nothing, wherever it points.
            unsafe { asm!("prfm pldl2keep, [{}]", in(reg) next, options(nostack, readonly)) };
        }
        // SAFETY: as above, with rows laid out [dim][12].
        let ([low, high], numbers): (_, [float32x4_t; 3]) =
            unsafe { (load(panel.add(LANES * at)), load(rows.add(ROWS * at))) };
        four_rows!(sums, 0, low, high, numbers[0], 0 1 2 3);
        four_rows!(sums, 4, low, high, numbers[1], 0 1 2 3);
        four_rows!(sums, 8, low, high, numbers[2], 0 1 2 3);
    }
    sums
}

#[target_feature(enable = "neon")]
unsafe fn keep_best(sums: Sums, scales: &[f32], out: &mut [f32]) {
    // SAFETY: `Kernel` checked that there are 8 maxima.
    let mut best: [float32x4_t; 2] = unsafe { load(out.as_ptr()) };
    for (sums, &scale) in sums.into_iter().zip(scales) {
        for (best, sum) in best.iter_mut().zip(sums) {
            let score = vmulq_n_f32(sum, scale);
            *best = vbslq_f32(vcgtq_f32(score, *best), score, *best);
        }
    }
    // SAFETY: as above.
    unsafe { store(&best, out.as_mut_ptr()) }
}

#[target_feature(enable = "neon")]
unsafe fn store(registers: &[float32x4_t], to: *mut f32) {
    for (at, &register) in registers.iter().enumerate() {
        // SAFETY: the caller answers for four numbers a register.
        unsafe { vst1q_f32(to.add(FOUR * at), register) };
    }
}

#[target_feature(enable = "neon")]
unsafe fn best_lying(tile: Operands<'_>) {
    // SAFETY: lengths are those of `Kernel`.
    unsafe { keep_best(lying(&tile), tile.scales, tile.out) }
}

#[target_feature(enable = "neon")]
unsafe fn best_packed(tile: Operands<'_>) {
    // SAFETY: as above.
    unsafe { keep_best(packed(&tile, zeros()), tile.scales, tile.out) }
}

#[target_feature(enable = "neon")]
unsafe fn scores_lying(tile: Operands<'_>) {
    // SAFETY: `Kernel` checked that 12 x 8 numbers may be written.
    unsafe { store(lying(&tile).as_flattened(), tile.out.as_mut_ptr()) }
}

#[target_feature(enable = "neon")]
unsafe fn scores_packed(tile: Operands<'_>) {
    // SAFETY: as above.
    unsafe { store(packed(&tile, zeros()).as_flattened(), tile.out.as_mut_ptr()) }
}

#[target_feature(enable = "neon")]
unsafe fn sums_packed(tile: Operands<'_>) {
    let out = tile.out.as_mut_ptr();
    // SAFETY: as above, and they may be read.
    unsafe {
        let sums = std::array::from_fn(|row| load(out.add(LANES * row)));
        store(packed(&tile, sums).as_flattened(), out);
    }
}

// Four rows by four coordinates at a time; widths are multiples of four.
#[target_feature(enable = "neon")]
unsafe fn transpose(rows: &[f32], dim: usize, width: usize, out: &mut [f32]) {
    let last = rows.len() / dim - 1;
    for first in (0..width).step_by(FOUR) {
        let row: [&[f32]; FOUR] =
            std::array::from_fn(|lane| &rows[(first + lane).min(last) * dim..][..dim]);
        let whole = dim / FOUR * FOUR;
        for at in (0..whole).step_by(FOUR) {
            // SAFETY: at + 4 <= dim, and out holds dim x width numbers.
            unsafe {
                let columns = square(row.map(|row| vld1q_f32(row.as_ptr().add(at))));
                for (offset, column) in columns.into_iter().enumerate() {
                    vst1q_f32(out.as_mut_ptr().add((at + offset) * width + first), column);
                }
            }
        }
        for at in whole..dim {
            for (slot, row) in out[at * width + first..][..FOUR].iter_mut().zip(row) {
                *slot = row[at];
            }
        }
    }
}

#[target_feature(enable = "neon")]
fn square([a, b, c, d]: [float32x4_t; FOUR]) -> [float32x4_t; FOUR] {
    let wide = |values: float32x4_t| vreinterpretq_f64_f32(values);
    let narrow = |values: float64x2_t| vreinterpretq_f32_f64(values);
    let (even, odd) = (vtrn1q_f32(a, b), vtrn2q_f32(a, b));
    let (next_even, next_odd) = (vtrn1q_f32(c, d), vtrn2q_f32(c, d));
    [
        narrow(vtrn1q_f64(wide(even), wide(next_even))),
        narrow(vtrn1q_f64(wide(odd), wide(next_odd))),
        narrow(vtrn2q_f64(wide(even), wide(next_even))),
        narrow(vtrn2q_f64(wide(odd), wide(next_odd))),
    ]
}
