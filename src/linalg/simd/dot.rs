//! One tile of AVX-512 dot-product instructions: 32 lanes (two registers) x 14 rows, as `avx512`, with
//! several coordinates to a word and step. What an instruction multiplies and adds up is its own
//! affair; sums start from zero bits and are handed on as they are.

// `out[row][lane]`, 14 x 32, of the first `words` words of every token.
macro_rules! product {
    ($instruction:literal) => {
        #[target_feature(enable = "avx512f")]
        unsafe fn product(tile: &$crate::linalg::simd::kernel::Operands<'_>, words: usize, out: *mut f32) {
            let (start, stride) = (tile.rows.as_ptr(), tile.dim);
            assert!(0 < words && words <= tile.dim);
            // SAFETY: `Kernel` checked that the panel holds dim x 32 words and rows 14 x dim;
            // callers hand 14 x 32 numbers to write.
            unsafe {
                std::arch::asm!(
                    every_sum!("vpxord zmm\\r, zmm\\r, zmm\\r"),
                    "2:",
                    "vmovups zmm28, [{panel}]\nvmovups zmm29, [{panel} + 64]",
                    row!($instruction, 0, 1, "{b0}"),
                    row!($instruction, 2, 3, "{b0} + {stride}"),
                    row!($instruction, 4, 5, "{b0} + 2*{stride}"),
                    row!($instruction, 6, 7, "{b1}"),
                    row!($instruction, 8, 9, "{b1} + {stride}"),
                    row!($instruction, 10, 11, "{b1} + 2*{stride}"),
                    row!($instruction, 12, 13, "{b2}"),
                    row!($instruction, 14, 15, "{b2} + {stride}"),
                    row!($instruction, 16, 17, "{b2} + 2*{stride}"),
                    row!($instruction, 18, 19, "{b3}"),
                    row!($instruction, 20, 21, "{b3} + {stride}"),
                    row!($instruction, 22, 23, "{b3} + 2*{stride}"),
                    row!($instruction, 24, 25, "{b4}"),
                    row!($instruction, 26, 27, "{b4} + {stride}"),
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
                    words = inout(reg) words => _,
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
    };
}

macro_rules! row {
    ($instruction:literal, $lo:literal, $hi:literal, $at:literal) => {
        concat!(
            "vbroadcastss zmm30, dword ptr [",
            $at,
            "]\n",
            $instruction,
            " zmm",
            $lo,
            ", zmm28, zmm30\n",
            $instruction,
            " zmm",
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

pub(super) use {every_sum, product, row};
