//! AVX-512-BF16: 32 lanes (two registers) x 14 rows of bfloat16, as `avx512`, with two coordinates
//! to a step. A sum takes one product of each word after the other, each with one rounding; what
//! falls below 2^-126 becomes zero.
//!
//! In registers alone, `vdpbf16ps` does 84 GFLOP/s on a core of the Xeon where a fused multiply-add
//! of `f32` does 160 and AMX 2,861: this path is for processors that run it at full rate.

use std::arch::asm;

use super::kernel::{Kernel, Operands};
use super::reduce::avx512::{across, keep};
use super::transpose::avx512 as transpose;

pub const KERNEL: Kernel = Kernel {
    name: "avx512bf16",
    lanes: 32,
    rows: 14,
    in_pairs: true,
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

macro_rules! row {
    ($lo:literal, $hi:literal, $at:literal) => {
        concat!(
            "vbroadcastss zmm30, dword ptr [",
            $at,
            "]\n",
            "vdpbf16ps zmm",
            $lo,
            ", zmm28, zmm30\n",
            "vdpbf16ps zmm",
            $hi,
            ", zmm29, zmm30\n"
        )
    };
}

macro_rules! every_sum {
    ($each:literal) => {
        concat!(
            ".irp r,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27\n",
            $each,
            "\n.endr\n"
        )
    };
}

// `out[row][lane]`, 14 x 32.
#[target_feature(enable = "avx512f")]
unsafe fn product(tile: &Operands<'_>, out: *mut f32) {
    let (start, stride) = (tile.rows.as_ptr(), tile.dim);
    // SAFETY: `Kernel` checked that the panel holds dim x 32 words, dim at least 1, and rows
    // 14 x dim; callers hand 14 x 32 numbers to write.
    unsafe {
        asm!(
            every_sum!("vpxord zmm\\r, zmm\\r, zmm\\r"),
            "2:",
            "vmovups zmm28, [{panel}]\nvmovups zmm29, [{panel} + 64]",
            row!(0, 1, "{b0}"),
            row!(2, 3, "{b0} + {stride}"),
            row!(4, 5, "{b0} + 2*{stride}"),
            row!(6, 7, "{b1}"),
            row!(8, 9, "{b1} + {stride}"),
            row!(10, 11, "{b1} + 2*{stride}"),
            row!(12, 13, "{b2}"),
            row!(14, 15, "{b2} + {stride}"),
            row!(16, 17, "{b2} + 2*{stride}"),
            row!(18, 19, "{b3}"),
            row!(20, 21, "{b3} + {stride}"),
            row!(22, 23, "{b3} + 2*{stride}"),
            row!(24, 25, "{b4}"),
            row!(26, 27, "{b4} + {stride}"),
            "add {panel}, 128",
            "add {b0}, 4\nadd {b1}, 4\nadd {b2}, 4\nadd {b3}, 4\nadd {b4}, 4",
            "dec {words}\njnz 2b",
            every_sum!("vmovups [{out} + 64*\\r], zmm\\r"),
            "vzeroupper",
            panel = inout(reg) tile.panel.as_ptr() => _,
            b0 = inout(reg) start => _,
            b1 = inout(reg) start.wrapping_add(3 * stride) => _,
            b2 = inout(reg) start.wrapping_add(6 * stride) => _,
            b3 = inout(reg) start.wrapping_add(9 * stride) => _,
            b4 = inout(reg) start.wrapping_add(12 * stride) => _,
            stride = in(reg) 4 * stride,
            words = inout(reg) tile.dim => _,
            out = in(reg) out,
            out("zmm0") _, out("zmm1") _, out("zmm2") _, out("zmm3") _, out("zmm4") _,
            out("zmm5") _, out("zmm6") _, out("zmm7") _, out("zmm8") _, out("zmm9") _,
            out("zmm10") _, out("zmm11") _, out("zmm12") _, out("zmm13") _, out("zmm14") _,
            out("zmm15") _, out("zmm16") _, out("zmm17") _, out("zmm18") _, out("zmm19") _,
            out("zmm20") _, out("zmm21") _, out("zmm22") _, out("zmm23") _, out("zmm24") _,
            out("zmm25") _, out("zmm26") _, out("zmm27") _, out("zmm28") _, out("zmm29") _,
            out("zmm30") _,
            options(nostack),
        );
    }
}

#[target_feature(enable = "avx512f")]
unsafe fn best(tile: Operands<'_>) {
    let mut found = [0.0; 14 * 32];
    // SAFETY: as many numbers as `product` writes; sizes are those of `Kernel`.
    unsafe {
        product(&tile, found.as_mut_ptr());
        keep(&found, tile.scales, tile.out);
    }
}

#[target_feature(enable = "avx512f")]
unsafe fn scores(tile: Operands<'_>) {
    let out = tile.out.as_mut_ptr();
    // SAFETY: `Kernel` checked that 14 x 32 numbers may be written.
    unsafe { product(&tile, out) }
}
