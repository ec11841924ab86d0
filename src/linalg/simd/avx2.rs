//! AVX2 with FMA: 16 lanes (two registers) x 6 rows. 12 of the 16 registers hold sums, two a
//! column of the panel, two the broadcast numbers.

use std::arch::asm;

use super::kernel::{Kernel, Numbers, Operands};
use super::reduce::avx2::{across, keep};
use super::transpose::avx2 as transpose;

pub const KERNEL: Kernel = Kernel {
    name: "avx2",
    lanes: 16,
    rows: 6,
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
            "vbroadcastss ymm",
            $value,
            ", dword ptr [",
            $at,
            "]\n",
            "vfmadd231ps ymm",
            $lo,
            ", ymm",
            $value,
            ", ymm12\n",
            "vfmadd231ps ymm",
            $hi,
            ", ymm",
            $value,
            ", ymm13\n"
        )
    };
}

macro_rules! lying_step {
    () => {
        concat!(
            "vmovups ymm12, [{panel} + 64*\\s]\n",
            "vmovups ymm13, [{panel} + 64*\\s + 32]\n",
            "prefetcht0 [{ahead} + 64*\\s]\n",
            row!(0, 1, 14, "{b0} + 4*\\s"),
            row!(2, 3, 15, "{b0} + {stride} + 4*\\s"),
            row!(4, 5, 14, "{b0} + 2*{stride} + 4*\\s"),
            row!(6, 7, 15, "{b1} + 4*\\s"),
            row!(8, 9, 14, "{b1} + {stride} + 4*\\s"),
            row!(10, 11, 15, "{b1} + 2*{stride} + 4*\\s"),
        )
    };
}

macro_rules! packed_step {
    () => {
        concat!(
            "vmovups ymm12, [{panel} + 64*\\s]\n",
            "vmovups ymm13, [{panel} + 64*\\s + 32]\n",
            row!(0, 1, 14, "{b0} + 24*\\s"),
            row!(2, 3, 15, "{b0} + 24*\\s + 4"),
            row!(4, 5, 14, "{b0} + 24*\\s + 8"),
            row!(6, 7, 15, "{b0} + 24*\\s + 12"),
            row!(8, 9, 14, "{b0} + 24*\\s + 16"),
            row!(10, 11, 15, "{b0} + 24*\\s + 20"),
        )
    };
}

macro_rules! scaled {
    ($lo:literal, $hi:literal, $row:literal) => {
        concat!(
            "vbroadcastss ymm14, dword ptr [{scales} + 4*",
            $row,
            "]\n",
            "vmulps ymm",
            $lo,
            ", ymm",
            $lo,
            ", ymm14\n",
            "vmulps ymm",
            $hi,
            ", ymm",
            $hi,
            ", ymm14\n"
        )
    };
}

macro_rules! best {
    ($lo:literal, $hi:literal, $row:literal) => {
        concat!(
            scaled!($lo, $hi, $row),
            "vmaxps ymm12, ymm12, ymm",
            $lo,
            "\n",
            "vmaxps ymm13, ymm13, ymm",
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
            $each!(10, 11, 5)
        )
    };
}

macro_rules! best_end {
    () => {
        concat!(
            "vmovups ymm12, [{out}]\nvmovups ymm13, [{out} + 32]\n",
            every_row!(best),
            "vmovups [{out}], ymm12\nvmovups [{out} + 32], ymm13\n"
        )
    };
}

// The assembler insists that every operand is named.
macro_rules! sums_end {
    () => {
        ".irp r,0,1,2,3,4,5,6,7,8,9,10,11\nvmovups [{out} + 32*\\r], ymm\\r\n.endr\n/* {scales} */\n"
    };
}

macro_rules! zero_sums {
    () => {
        ".irp r,0,1,2,3,4,5,6,7,8,9,10,11\nvxorps ymm\\r, ymm\\r, ymm\\r\n.endr\n"
    };
}

macro_rules! old_sums {
    () => {
        ".irp r,0,1,2,3,4,5,6,7,8,9,10,11\nvmovups ymm\\r, [{out} + 32*\\r]\n.endr\n"
    };
}

macro_rules! whole {
    ($start:ident, $step:ident, $advance:literal, $advance_one:literal, $end:ident) => {
        concat!(
            $start!(),
            "test {fours}, {fours}\njz 3f\n.p2align 6\n2:\n.irp s,0,1,2,3\n",
            $step!(),
            ".endr\n",
            "add {panel}, 256\n",
            $advance,
            "dec {fours}\njnz 2b\n",
            "3:\ntest {ones}, {ones}\njz 5f\n4:\n.irp s,0\n",
            $step!(),
            ".endr\n",
            "add {panel}, 64\n",
            $advance_one,
            "dec {ones}\njnz 4b\n5:\n",
            $end!(),
            "vzeroupper\n"
        )
    };
}

macro_rules! lying {
    ($name:ident, $end:ident) => {
        #[target_feature(enable = "avx2,fma")]
        unsafe fn $name(tile: Operands<'_>) {
            let (start, stride) = (tile.rows.as_ptr(), tile.dim);
            // SAFETY: `Kernel` checked that the panel holds dim x 16 numbers, rows 6 x dim,
            // scales 6 and out what the end writes; prefetching reads nothing.
            unsafe {
                asm!(
                    whole!(
                        zero_sums,
                        lying_step,
                        "add {b0}, 16\nadd {b1}, 16\nadd {ahead}, 256\n",
                        "add {b0}, 4\nadd {b1}, 4\n",
                        $end
                    ),
                    panel = inout(reg) tile.panel.as_ptr() => _,
                    ahead = inout(reg) start.wrapping_add(6 * stride) => _,
                    b0 = inout(reg) start => _,
                    b1 = inout(reg) start.wrapping_add(3 * stride) => _,
                    stride = in(reg) 4 * stride,
                    fours = inout(reg) tile.dim / 4 => _,
                    ones = inout(reg) tile.dim % 4 => _,
                    scales = in(reg) tile.scales.as_ptr(),
                    out = in(reg) tile.out.as_mut_ptr(),
                    out("ymm0") _, out("ymm1") _, out("ymm2") _, out("ymm3") _, out("ymm4") _,
                    out("ymm5") _, out("ymm6") _, out("ymm7") _, out("ymm8") _, out("ymm9") _,
                    out("ymm10") _, out("ymm11") _, out("ymm12") _, out("ymm13") _,
                    out("ymm14") _, out("ymm15") _,
                    options(nostack),
                );
            }
        }
    };
}

macro_rules! packed {
    ($name:ident, $start:ident, $end:ident) => {
        #[target_feature(enable = "avx2,fma")]
        unsafe fn $name(tile: Operands<'_>) {
            // SAFETY: as above, with rows laid out [dim][6].
            unsafe {
                asm!(
                    whole!($start, packed_step, "add {b0}, 96\nprefetcht1 [{ahead}]\nadd {ahead}, 64\n", "add {b0}, 24\n", $end),
                    panel = inout(reg) tile.panel.as_ptr() => _,
                    b0 = inout(reg) tile.rows.as_ptr() => _,
                    ahead = inout(reg) tile.ahead.as_ptr() => _,
                    fours = inout(reg) tile.dim / 4 => _,
                    ones = inout(reg) tile.dim % 4 => _,
                    scales = in(reg) tile.scales.as_ptr(),
                    out = in(reg) tile.out.as_mut_ptr(),
                    out("ymm0") _, out("ymm1") _, out("ymm2") _, out("ymm3") _, out("ymm4") _,
                    out("ymm5") _, out("ymm6") _, out("ymm7") _, out("ymm8") _, out("ymm9") _,
                    out("ymm10") _, out("ymm11") _, out("ymm12") _, out("ymm13") _,
                    out("ymm14") _, out("ymm15") _,
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
