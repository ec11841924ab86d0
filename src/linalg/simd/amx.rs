//! AMX: 32 lanes x 32 rows of bfloat16. Four of the eight tile registers hold 16 x 16 sums, two
//! hold rows, two hold lanes; the sums then pass through the first-level cache, scaled and reduced
//! with AVX-512.
//!
//! Sixteen words at a time, products of the low halves and of the high halves are two chains of
//! fused additions from zero; their sum is added to what was there. What falls below 2^-126 on the
//! way becomes zero.
//!
//! On an Intel Xeon shared with other jobs, this core did 2,861 GFLOP/s in tile registers alone, 814
//! with two loads of either side for four products, all from the first-level cache: loads of tiles
//! are the limit. 60 x 60 prompts of 100 x 768 ran at 473 GFLOP/s, 20 x 20 of 100 x 4096, whose tiles
//! come from the second-level cache, at 183.

use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count};
use std::mem::MaybeUninit;
use std::sync::OnceLock;

use super::kernel::{Kernel, Operands};
use super::reduce::avx512::{across, keep, scale};
use super::transpose::avx512 as transpose;

pub const KERNEL: Kernel = Kernel {
    name: "amx",
    lanes: 32,
    rows: 32,
    in_pairs: true,
    best_lying: best,
    best_packed: best,
    scores_lying: scores,
    scores_packed: scores,
    sums_packed: None,
    transpose,
    keep,
    across,
    fetched: |words| 2 * words,
};

const SIDE: usize = 32;

#[repr(C, align(64))]
struct Config([u8; 64]);

// Palette 1; eight tiles of 16 rows of 64 bytes.
const CONFIG: Config = {
    let mut bytes = [0; 64];
    bytes[0] = 1;
    let mut tile = 0;
    while tile < 8 {
        bytes[16 + 2 * tile] = 64;
        bytes[48 + tile] = 16;
        tile += 1;
    }
    Config(bytes)
};

/// Whether the processor has the instructions and the system lets this process use them.
pub fn is_here() -> bool {
    static PERMITTED: OnceLock<bool> = OnceLock::new();
    *PERMITTED.get_or_init(|| {
        // Bits of AMX-BF16 and AMX-TILE.
        const NEEDED: u32 = 1 << 22 | 1 << 24;
        is_x86_feature_detected!("avx512f")
            && __cpuid(0).eax >= 7
            && __cpuid_count(7, 0).edx & NEEDED == NEEDED
            && is_permitted()
    })
}

// Linux hands the 8 KB of tile registers only to processes that ask; children inherit the leave.
#[cfg(target_os = "linux")]
fn is_permitted() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const REQUEST_PERMISSION: u64 = 0x1023;
    const TILE_DATA: u64 = 18;
    let refused: i64;
    // SAFETY: the call changes nothing but the permission asked for.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => refused,
            in("rdi") REQUEST_PERMISSION,
            in("rsi") TILE_DATA,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    refused == 0
}

#[cfg(not(target_os = "linux"))]
fn is_permitted() -> bool {
    false
}

// `out[row][lane]`, 32 x 32. Configured anew for each tile, so that no thread
// is left with tile registers in use.
unsafe fn product(tile: &Operands<'_>, out: *mut f32) {
    let (rows, words) = (tile.rows.as_ptr(), tile.dim);
    assert!(words > 0 && words.is_multiple_of(16));
    // SAFETY: `Kernel` checked that the panel holds words x 32 numbers and the tile 32 x words;
    // callers hand 32 x 32 numbers to write.
    unsafe {
        asm!(
            "ldtilecfg [{config}]",
            "tilezero tmm0\ntilezero tmm1\ntilezero tmm2\ntilezero tmm3",
            "2:",
            "tileloadd tmm4, [{upper} + {stride}]",
            "tileloadd tmm6, [{panel} + {wide}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm7, [{panel} + {wide} + 64]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{lower} + {stride}]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "prefetcht1 [{ahead}]\nprefetcht1 [{ahead} + 64]\nadd {ahead}, 128",
            "add {upper}, 64\nadd {lower}, 64\nadd {panel}, 2048",
            "dec {steps}\njnz 2b",
            "tilestored [{out} + {wide}], tmm0",
            "tilestored [{out} + {wide} + 64], tmm1",
            "tilestored [{out} + {wide} + 2048], tmm2",
            "tilestored [{out} + {wide} + 2112], tmm3",
            "tilerelease",
            config = in(reg) &CONFIG,
            upper = inout(reg) rows => _,
            lower = inout(reg) rows.wrapping_add(16 * words) => _,
            stride = in(reg) 4 * words,
            panel = inout(reg) tile.panel.as_ptr() => _,
            ahead = inout(reg) tile.ahead.as_ptr() => _,
            wide = in(reg) 4 * SIDE,
            steps = inout(reg) words / 16 => _,
            out = in(reg) out,
            options(nostack),
        );
    }
}

/// Four products a turn, of zeros, with nothing loaded.
pub unsafe fn multiply(turns: usize) {
    // SAFETY: tile registers only, configured and released here.
    unsafe {
        asm!(
            "ldtilecfg [{config}]",
            ".irp r,0,1,2,3,4,5,6,7\ntilezero tmm\\r\n.endr",
            "2:",
            "tdpbf16ps tmm0, tmm4, tmm6\ntdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6\ntdpbf16ps tmm3, tmm5, tmm7",
            "dec {turns}\njnz 2b",
            "tilerelease",
            config = in(reg) &CONFIG,
            turns = inout(reg) turns.max(1) => _,
            options(nostack),
        );
    }
}

#[target_feature(enable = "avx512f")]
unsafe fn best(tile: Operands<'_>) {
    #[repr(C, align(64))]
    struct Scores([f32; SIDE * SIDE]);
    let mut found = MaybeUninit::<Scores>::uninit();
    // SAFETY: `product` writes as many numbers; sizes are those of `Kernel`.
    unsafe {
        product(&tile, found.as_mut_ptr().cast());
        keep(&found.assume_init_ref().0, tile.scales, tile.out);
    }
}

#[target_feature(enable = "avx512f")]
unsafe fn scores(tile: Operands<'_>) {
    let out = tile.out.as_mut_ptr();
    // SAFETY: `Kernel` checked that 32 x 32 numbers may be written.
    unsafe {
        product(&tile, out);
        scale(tile.out, tile.scales);
    }
}
