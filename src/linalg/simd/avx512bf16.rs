//! AVX-512-BF16: `dot` with two coordinates to a word. A sum takes one product of each word after the
//! other, each with one rounding; what falls below 2^-126 becomes zero.
//!
//! In registers alone, `vdpbf16ps` does 84 GFLOP/s on a core of the Xeon where a fused multiply-add
//! of `f32` does 160 and AMX 2,861: this path is for processors that run it at full rate.

use super::dot::{every_sum, product, row};
use super::kernel::{Kernel, Numbers, Operands};
use super::reduce::avx512::{across, keep};
use super::transpose::avx512 as transpose;

pub const KERNEL: Kernel = Kernel {
    name: "avx512bf16",
    lanes: 32,
    rows: 14,
    numbers: Numbers::Pairs,
    side: None,
    best_lying: best,
    best_packed: best,
    scores_lying: scores,
    scores_packed: scores,
    sums_packed: None,
    transpose,
    keep,
    across,
    fetched: |_| 0,
    registers: None,
};

product!("vdpbf16ps");

#[target_feature(enable = "avx512f")]
unsafe fn best(tile: Operands<'_>) {
    let mut found = [0.0; 14 * 32];
    // SAFETY: as many numbers as `product` writes; sizes are those of `Kernel`.
    unsafe {
        product(&tile, tile.dim, found.as_mut_ptr());
        keep(&found, tile.scales, tile.out);
    }
}

#[target_feature(enable = "avx512f")]
unsafe fn scores(tile: Operands<'_>) {
    let out = tile.out.as_mut_ptr();
    // SAFETY: `Kernel` checked that 14 x 32 numbers may be written.
    unsafe { product(&tile, tile.dim, out) }
}
