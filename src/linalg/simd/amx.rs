//! AMX: 32 lanes x 32 rows of bfloat16. Four of the eight tile registers hold 16 x 16 sums, two
//! hold rows, two hold lanes; the sums then pass through the first-level cache, scaled and reduced
//! with AVX-512.
//!
//! Sixteen words at a time, products of the low halves and of the high halves are two chains of
//! fused additions from zero; their sum is added to what was there. What falls below 2^-126 on the
//! way becomes zero.
//!
//! Loads of tiles are the limit. On an Intel Xeon whose core other guests use for seconds at a time,
//! GFLOP/s of 16 panels and 20 tiles of 384 words, left alone and disturbed: tile registers alone 2,240
//! and 2,030; everything from the first level 1,840 and 560; from the second 1,320 and 360 with rows
//! packed step by step, 1,200 and 320 with rows in place, 1,090 and 310 with registers configured for
//! every tile. Fetching rows two steps ahead makes 1,305 and 380, and disturbed 440 with each sixteen
//! lanes of a panel by themselves, which is what happens here; fetching panels too loses a tenth
//! undisturbed. Parts of 64 to 192 words, whose sums stay in memory, make no more than the whole.

use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count};
use std::cell::Cell;
use std::mem::MaybeUninit;
use std::sync::OnceLock;

use super::kernel::{Kernel, Numbers, Operands};
use super::reduce::avx512::{across, keep};
use super::transpose::avx512 as transpose;

pub const KERNEL: Kernel = Kernel {
    name: "amx",
    lanes: 32,
    rows: 32,
    numbers: Numbers::Pairs,
    side: Some(STEP),
    best_lying: best::<true>,
    best_packed: best::<false>,
    scores_lying: scores::<true>,
    scores_packed: scores::<false>,
    sums_packed: None,
    transpose,
    keep,
    across,
    fetched: |words| 2 * words,
    registers: Some((hold, release)),
};

const SIDE: usize = 32;
// Words of a row, and rows, in a tile register.
const STEP: usize = 16;

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

thread_local! {
    static HOLDERS: Cell<u32> = const { Cell::new(0) };
}

// Configures the tile registers of this thread unless somebody has.
unsafe fn hold() {
    let holders = HOLDERS.get();
    if holders == 0 {
        // SAFETY: the processor has them.
        unsafe { asm!("ldtilecfg [{config}]", config = in(reg) &CONFIG, options(nostack)) };
    }
    HOLDERS.set(holders + 1);
}

// So that no thread is left with tile registers in use.
unsafe fn release() {
    let holders = HOLDERS.get() - 1;
    if holders == 0 {
        // SAFETY: `hold` configured them.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
    HOLDERS.set(holders);
}

// Bytes from row to row of a tile, from one sixteen words of a row to the next, and from the start
// to what is fetched into the first level meanwhile.
struct Layout {
    row: usize,
    step: usize,
    later: usize,
}

impl Layout {
    fn new(lies: bool, words: usize) -> Self {
        match lies {
            // And the tile that lies behind: its norms are added up next.
            true => Self {
                row: 4 * words,
                step: 4 * STEP,
                later: 4 * SIDE * words,
            },
            // And two steps ahead.
            false => Self {
                row: 4 * STEP,
                step: 4 * STEP * SIDE,
                later: 2 * 4 * STEP * SIDE,
            },
        }
    }
}

// `out[row][lane]`, 32 x 32.
unsafe fn product(tile: &Operands<'_>, layout: Layout, out: *mut f32) {
    let (rows, words) = (tile.rows.as_ptr(), tile.dim);
    assert!(words > 0 && words.is_multiple_of(STEP));
    // SAFETY: `Kernel` checked that the panel holds words x 32 numbers and the tile 32 x words;
    // callers hand 32 x 32 numbers to write; prefetching reads nothing.
    unsafe {
        hold();
        asm!(
            "tilezero tmm0\ntilezero tmm1\ntilezero tmm2\ntilezero tmm3",
            "2:",
            "tileloadd tmm4, [{upper} + {row}]",
            "tileloadd tmm6, [{first} + {square}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm7, [{second} + {square}]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{lower} + {row}]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            ".irp at,0,64,128,192,256,320,384,448,512,576,640,704,768,832,896,960,1024,1088,1152,1216,\
             1280,1344,1408,1472,1536,1600,1664,1728,1792,1856,1920,1984\n\
             prefetcht0 [{later} + \\at]\n.endr\nadd {later}, 2048",
            "prefetcht1 [{ahead}]\nprefetcht1 [{ahead} + 64]\nadd {ahead}, 128",
            "add {upper}, {step}\nadd {lower}, {step}\nadd {first}, 1024\nadd {second}, 1024",
            "dec {steps}\njnz 2b",
            "tilestored [{out} + {wide}], tmm0",
            "tilestored [{out} + {wide} + 64], tmm1",
            "tilestored [{out} + {wide} + 2048], tmm2",
            "tilestored [{out} + {wide} + 2112], tmm3",
            upper = inout(reg) rows => _,
            lower = inout(reg) rows.wrapping_byte_add(16 * layout.row) => _,
            later = inout(reg) rows.wrapping_byte_add(layout.later) => _,
            row = in(reg) layout.row,
            step = in(reg) layout.step,
            first = inout(reg) tile.panel.as_ptr() => _,
            second = inout(reg) tile.panel.as_ptr().wrapping_add(STEP * words) => _,
            square = in(reg) 4 * STEP,
            ahead = inout(reg) tile.ahead.as_ptr() => _,
            wide = in(reg) 4 * SIDE,
            steps = inout(reg) words / STEP => _,
            out = in(reg) out,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
        release();
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
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}

#[target_feature(enable = "avx512f")]
unsafe fn best<const LIES: bool>(tile: Operands<'_>) {
    #[repr(C, align(64))]
    struct Scores([f32; SIDE * SIDE]);
    let mut found = MaybeUninit::<Scores>::uninit();
    // SAFETY: `product` writes as many numbers; sizes are those of `Kernel`.
    unsafe {
        product(
            &tile,
            Layout::new(LIES, tile.dim),
            found.as_mut_ptr().cast(),
        );
        keep(&found.assume_init_ref().0, tile.scales, tile.out);
    }
}

unsafe fn scores<const LIES: bool>(tile: Operands<'_>) {
    let out = tile.out.as_mut_ptr();
    // SAFETY: `Kernel` checked that 32 x 32 numbers may be written.
    unsafe { product(&tile, Layout::new(LIES, tile.dim), out) }
}
