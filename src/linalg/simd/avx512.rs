//! AVX-512: 32 lanes (two registers) x 14 rows. 28 registers hold sums, two a column of the panel,
//! two the broadcast numbers: all 32 are in use, which is why the loop is written out. Left to the
//! compiler, the 14 row addresses of tokens in place spill and half of the speed is lost.
//!
//! Two FMA per cycle need the latency of 4 covered by 8 sums and at most two loads a cycle:
//! 14 rows take 16 loads in 14 cycles, and one line in four steps can be fetched ahead.

use std::arch::asm;

use super::kernel::{Kernel, Numbers, Operands};
use super::reduce::avx512::{across, keep};
use super::transpose::avx512 as transpose;

pub const KERNEL: Kernel = Kernel {
    name: "avx512",
    lanes: 32,
    rows: 14,
    numbers: Numbers::Single,
    side: None,
    best_lying,
    best_packed,
    scores_lying,
    scores_packed,
    sums_packed: Some(sums_packed),
    transpose,
    keep,
    across,
    fetched: |dim| 4 * dim,
    registers: None,
};

macro_rules! row {
    ($lo:literal, $hi:literal, $value:literal, $at:literal) => {
        concat!(
            "vbroadcastss zmm",
            $value,
            ", dword ptr [",
            $at,
            "]\n",
            "vfmadd231ps zmm",
            $lo,
            ", zmm",
            $value,
            ", zmm28\n",
            "vfmadd231ps zmm",
            $hi,
            ", zmm",
            $value,
            ", zmm29\n"
        )
    };
}

// Five base registers reach fourteen rows: base, base + stride, base + 2 stride. The next tile is
// fetched to the first level, what lies 32 KB further to the second: memory takes longer than one
// tile of narrow tokens.
macro_rules! lying_step {
    () => {
        concat!(
            "vmovups zmm28, [{panel} + 128*\\s]\n",
            "vmovups zmm29, [{panel} + 128*\\s + 64]\n",
            "prefetcht0 [{ahead} + 64*\\s]\nprefetcht1 [{ahead} + 64*\\s + 32768]\n",
            row!(0, 1, 30, "{b0} + 4*\\s"),
            row!(2, 3, 31, "{b0} + {stride} + 4*\\s"),
            row!(4, 5, 30, "{b0} + 2*{stride} + 4*\\s"),
            row!(6, 7, 31, "{b1} + 4*\\s"),
            row!(8, 9, 30, "{b1} + {stride} + 4*\\s"),
            row!(10, 11, 31, "{b1} + 2*{stride} + 4*\\s"),
            row!(12, 13, 30, "{b2} + 4*\\s"),
            row!(14, 15, 31, "{b2} + {stride} + 4*\\s"),
            row!(16, 17, 30, "{b2} + 2*{stride} + 4*\\s"),
            row!(18, 19, 31, "{b3} + 4*\\s"),
            row!(20, 21, 30, "{b3} + {stride} + 4*\\s"),
            row!(22, 23, 31, "{b3} + 2*{stride} + 4*\\s"),
            row!(24, 25, 30, "{b4} + 4*\\s"),
            row!(26, 27, 31, "{b4} + {stride} + 4*\\s"),
        )
    };
}

macro_rules! packed_step {
    () => {
        concat!(
            "vmovups zmm28, [{panel} + 128*\\s]\n",
            "vmovups zmm29, [{panel} + 128*\\s + 64]\n",
            row!(0, 1, 30, "{b0} + 56*\\s"),
            row!(2, 3, 31, "{b0} + 56*\\s + 4"),
            row!(4, 5, 30, "{b0} + 56*\\s + 8"),
            row!(6, 7, 31, "{b0} + 56*\\s + 12"),
            row!(8, 9, 30, "{b0} + 56*\\s + 16"),
            row!(10, 11, 31, "{b0} + 56*\\s + 20"),
            row!(12, 13, 30, "{b0} + 56*\\s + 24"),
            row!(14, 15, 31, "{b0} + 56*\\s + 28"),
            row!(16, 17, 30, "{b0} + 56*\\s + 32"),
            row!(18, 19, 31, "{b0} + 56*\\s + 36"),
            row!(20, 21, 30, "{b0} + 56*\\s + 40"),
            row!(22, 23, 31, "{b0} + 56*\\s + 44"),
            row!(24, 25, 30, "{b0} + 56*\\s + 48"),
            row!(26, 27, 31, "{b0} + 56*\\s + 52"),
        )
    };
}

macro_rules! scaled {
    ($lo:literal, $hi:literal, $row:literal) => {
        concat!(
            "vbroadcastss zmm30, dword ptr [{scales} + 4*",
            $row,
            "]\n",
            "vmulps zmm",
            $lo,
            ", zmm",
            $lo,
            ", zmm30\n",
            "vmulps zmm",
            $hi,
            ", zmm",
            $hi,
            ", zmm30\n"
        )
    };
}

macro_rules! best {
    ($lo:literal, $hi:literal, $row:literal) => {
        concat!(
            scaled!($lo, $hi, $row),
            "vmaxps zmm28, zmm28, zmm",
            $lo,
            "\n",
            "vmaxps zmm29, zmm29, zmm",
            $hi,
            "\n"
        )
    };
}

macro_rules! every_row {
    ($each:ident) => {
        concat!(
            $each!(0, 1, 0),
            $each!(2, 3, 1),
            $each!(4, 5, 2),
            $each!(6, 7, 3),
            $each!(8, 9, 4),
            $each!(10, 11, 5),
            $each!(12, 13, 6),
            $each!(14, 15, 7),
            $each!(16, 17, 8),
            $each!(18, 19, 9),
            $each!(20, 21, 10),
            $each!(22, 23, 11),
            $each!(24, 25, 12),
            $each!(26, 27, 13)
        )
    };
}

macro_rules! best_end {
    () => {
        concat!(
            "vmovups zmm28, [{out}]\nvmovups zmm29, [{out} + 64]\n",
            every_row!(best),
            "vmovups [{out}], zmm28\nvmovups [{out} + 64], zmm29\n"
        )
    };
}

// The assembler insists that every operand is named.
macro_rules! sums_end {
    () => {
        ".irp r,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27\n\
         vmovups [{out} + 64*\\r], zmm\\r\n.endr\n/* {scales} */\n"
    };
}

macro_rules! old_sums {
    () => {
        ".irp r,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27\n\
         vmovups zmm\\r, [{out} + 64*\\r]\n.endr\n"
    };
}

macro_rules! zero_sums {
    () => {
        ".irp r,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27\n\
         vpxord zmm\\r, zmm\\r, zmm\\r\n.endr\n"
    };
}

// Four coordinates a turn, the last dim % 4 one by one; vzeroupper, because our baseline SSE code
// runs many times slower while upper halves are in use.
macro_rules! whole {
    ($start:ident, $step:ident, $advance:literal, $advance_one:literal, $end:ident) => {
        concat!(
            $start!(),
            "test {fours}, {fours}\njz 3f\n.p2align 6\n2:\n.irp s,0,1,2,3\n",
            $step!(),
            ".endr\n",
            "add {panel}, 512\n",
            $advance,
            "dec {fours}\njnz 2b\n",
            "3:\ntest {ones}, {ones}\njz 5f\n4:\n.irp s,0\n",
            $step!(),
            ".endr\n",
            "add {panel}, 128\n",
            $advance_one,
            "dec {ones}\njnz 4b\n5:\n",
            $end!(),
            "vzeroupper\n"
        )
    };
}

macro_rules! lying {
    ($name:ident, $end:ident) => {
        #[target_feature(enable = "avx512f")]
        unsafe fn $name(tile: Operands<'_>) {
            let (start, stride) = (tile.rows.as_ptr(), tile.dim);
            // SAFETY: `Kernel` checked that the panel holds dim x 32 numbers, rows 14 x dim,
            // scales 14 and out what the end writes; prefetching reads nothing.
            unsafe {
                asm!(
                    whole!(
                        zero_sums,
                        lying_step,
                        "add {b0}, 16\nadd {b1}, 16\nadd {b2}, 16\nadd {b3}, 16\nadd {b4}, 16\nadd {ahead}, 256\n",
                        "add {b0}, 4\nadd {b1}, 4\nadd {b2}, 4\nadd {b3}, 4\nadd {b4}, 4\n",
                        $end
                    ),
                    panel = inout(reg) tile.panel.as_ptr() => _,
                    ahead = inout(reg) start.wrapping_add(14 * stride) => _,
                    b0 = inout(reg) start => _,
                    b1 = inout(reg) start.wrapping_add(3 * stride) => _,
                    b2 = inout(reg) start.wrapping_add(6 * stride) => _,
                    b3 = inout(reg) start.wrapping_add(9 * stride) => _,
                    b4 = inout(reg) start.wrapping_add(12 * stride) => _,
                    stride = in(reg) 4 * stride,
                    fours = inout(reg) tile.dim / 4 => _,
                    ones = inout(reg) tile.dim % 4 => _,
                    scales = in(reg) tile.scales.as_ptr(),
                    out = in(reg) tile.out.as_mut_ptr(),
                    out("zmm0") _, out("zmm1") _, out("zmm2") _, out("zmm3") _, out("zmm4") _,
                    out("zmm5") _, out("zmm6") _, out("zmm7") _, out("zmm8") _, out("zmm9") _,
                    out("zmm10") _, out("zmm11") _, out("zmm12") _, out("zmm13") _,
                    out("zmm14") _, out("zmm15") _, out("zmm16") _, out("zmm17") _,
                    out("zmm18") _, out("zmm19") _, out("zmm20") _, out("zmm21") _,
                    out("zmm22") _, out("zmm23") _, out("zmm24") _, out("zmm25") _,
                    out("zmm26") _, out("zmm27") _, out("zmm28") _, out("zmm29") _,
                    out("zmm30") _, out("zmm31") _,
                    options(nostack),
                );
            }
        }
    };
}

macro_rules! packed {
    ($name:ident, $start:ident, $end:ident) => {
        #[target_feature(enable = "avx512f")]
        unsafe fn $name(tile: Operands<'_>) {
            // SAFETY: as above, with rows laid out [dim][14].
            unsafe {
                asm!(
                    whole!($start, packed_step, "add {b0}, 224\nprefetcht1 [{ahead}]\nadd {ahead}, 64\n", "add {b0}, 56\n", $end),
                    panel = inout(reg) tile.panel.as_ptr() => _,
                    b0 = inout(reg) tile.rows.as_ptr() => _,
                    ahead = inout(reg) tile.ahead.as_ptr() => _,
                    fours = inout(reg) tile.dim / 4 => _,
                    ones = inout(reg) tile.dim % 4 => _,
                    scales = in(reg) tile.scales.as_ptr(),
                    out = in(reg) tile.out.as_mut_ptr(),
                    out("zmm0") _, out("zmm1") _, out("zmm2") _, out("zmm3") _, out("zmm4") _,
                    out("zmm5") _, out("zmm6") _, out("zmm7") _, out("zmm8") _, out("zmm9") _,
                    out("zmm10") _, out("zmm11") _, out("zmm12") _, out("zmm13") _,
                    out("zmm14") _, out("zmm15") _, out("zmm16") _, out("zmm17") _,
                    out("zmm18") _, out("zmm19") _, out("zmm20") _, out("zmm21") _,
                    out("zmm22") _, out("zmm23") _, out("zmm24") _, out("zmm25") _,
                    out("zmm26") _, out("zmm27") _, out("zmm28") _, out("zmm29") _,
                    out("zmm30") _, out("zmm31") _,
                    options(nostack),
                );
            }
        }
    };
}

lying!(best_lying, best_end);
lying!(scores_lying, sums_end);
packed!(best_packed, zero_sums, best_end);
packed!(scores_packed, zero_sums, sums_end);
packed!(sums_packed, old_sums, sums_end);
