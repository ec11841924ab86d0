//! How many multiplications and additions a core can do at all: the ceiling that shares of peak
//! are measured against.

use std::hint::black_box;
use std::time::Instant;

use super::Path;

// Half a millisecond, shorter than a busy machine's time slice; tiles take sixteen times as long.
const TURNS: usize = 200_000;

/// GFLOP/s of one core with nothing but the products of `path` in registers, independent of each
/// other, the best of `rounds` short runs. The portable path has no such ceiling of its own and answers None.
pub fn peak(path: Path, rounds: usize) -> Option<f64> {
    let (run, work, turns) = loop_of(path)?;
    let work = (work * turns) as f64;
    let seconds = (0..rounds.max(1)).map(|_| {
        let start = Instant::now();
        // SAFETY: a `Path` exists only where the processor has its instructions.
        unsafe { run(black_box(turns)) };
        start.elapsed().as_secs_f64()
    });
    Some(work / seconds.fold(f64::INFINITY, f64::min) / 1e9)
}

// A loop, operations in a turn, turns.
type Loop = (unsafe fn(usize), usize, usize);

fn loop_of(path: Path) -> Option<Loop> {
    match path.name() {
        #[cfg(target_arch = "x86_64")]
        "avx512" => Some((x86::avx512, 2 * 12 * 16, TURNS)),
        #[cfg(target_arch = "x86_64")]
        "avx2" => Some((x86::avx2, 2 * 12 * 8, TURNS)),
        // Two products a lane.
        #[cfg(target_arch = "x86_64")]
        "avx512bf16" => Some((x86::avx512bf16, 4 * 12 * 16, TURNS)),
        #[cfg(target_arch = "x86_64")]
        "amx" => Some((super::amx::multiply, 4 * 2 * 16 * 16 * 32, TURNS / 16)),
        #[cfg(target_arch = "x86_64")]
        "avx512vnni" => Some((x86::avx512vnni, 8 * 12 * 16, TURNS)),
        #[cfg(target_arch = "aarch64")]
        "neon" => Some((arm::neon, 2 * 24 * 4, TURNS)),
        _ => None,
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use std::arch::asm;

    // Twenty-four chains: what a latency of 4 on four ports needs, and half as many again.
    #[target_feature(enable = "neon")]
    pub unsafe fn neon(turns: usize) {
        // SAFETY: registers only.
        unsafe {
            asm!(
                ".irp r,0,1,2,3,4,5,6,7,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
                "movi v\\r\\().4s, #0",
                ".endr",
                "2:",
                ".irp r,0,1,2,3,4,5,6,7,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
                "fmla v\\r\\().4s, v\\r\\().4s, v\\r\\().4s",
                ".endr",
                "subs {turns}, {turns}, #1",
                "b.ne 2b",
                turns = inout(reg) turns.max(1) => _,
                out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _, out("v5") _,
                out("v6") _, out("v7") _, out("v16") _, out("v17") _, out("v18") _, out("v19") _,
                out("v20") _, out("v21") _, out("v22") _, out("v23") _, out("v24") _,
                out("v25") _, out("v26") _, out("v27") _, out("v28") _, out("v29") _,
                out("v30") _, out("v31") _,
                options(nostack, nomem),
            );
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::asm;

    // Twelve chains: three times what a latency of 4 on two ports needs.
    macro_rules! chains {
        ($name:ident, $features:literal, $register:literal, $operation:literal) => {
            #[target_feature(enable = $features)]
            pub unsafe fn $name(turns: usize) {
                // SAFETY: registers only.
                unsafe {
                    asm!(
                        ".irp r,0,1,2,3,4,5,6,7,8,9,10,11,12,13",
                        concat!("vxorps ", $register, "\\r, ", $register, "\\r, ", $register, "\\r"),
                        ".endr",
                        "2:",
                        ".irp r,0,1,2,3,4,5,6,7,8,9,10,11",
                        concat!($operation, " ", $register, "\\r, ", $register, "12, ", $register, "13"),
                        ".endr",
                        "dec {turns}",
                        "jnz 2b",
                        "vzeroupper",
                        turns = inout(reg) turns.max(1) => _,
                        out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
                        out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
                        out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
                        out("xmm12") _, out("xmm13") _,
                        options(nostack, nomem),
                    );
                }
            }
        };
    }

    chains!(avx512, "avx512f,avx512dq", "zmm", "vfmadd231ps");
    chains!(avx2, "avx2,fma", "ymm", "vfmadd231ps");
    chains!(avx512bf16, "avx512f,avx512dq", "zmm", "vdpbf16ps");
    chains!(avx512vnni, "avx512f,avx512dq", "zmm", "vpdpbusd");
}
