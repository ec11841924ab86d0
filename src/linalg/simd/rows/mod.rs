//! Stored tokens as mean-type kernels see them: sums of their squares, and their scaled sum, in
//! `f64`, while they pass from memory once.
//!
//! ```text
//! rows      [ROWS][dim]  as stored, anywhere
//!    squares: 32 running sums a row, then 16, 8, 4, 2, 1
//!    add:     sums[i] = ((sums[i] + row0[i] * scale0) + row1[i] * scale1) + ...
//! ahead     what is wanted next: each of the two asks for one half of it
//! ```
//!
//! Every path adds in this order by separate multiplications and additions, except that squares
//! of 32 bits or less are exact in `f64` and may be fused: no bit depends on the processor.
//!
//! Widening 8 numbers takes two of the three slots that their squares cost on an Intel Xeon, and two
//! of the four that their sum costs. From L1 that core makes 19.4 GB/s of `f32` tokens this way. Four
//! rows far apart, instead of four neighbours, raised plain reading from 11 to 16 GB/s there,
//! because its prefetcher runs 20 lines ahead in each; asking for what comes next in both
//! passes, instead of the second alone, raised the whole from 12.3 to 14.9.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;
mod wide;

pub use wide::Wide;

use super::Path;

/// Running sums of one row's squares: one alone would wait for itself and read 3 GB/s.
const SUMS: usize = 32;

/// Squares and sums of rows, by the instructions of one path.
#[derive(Debug, Clone, Copy)]
pub struct RowSums(Way);

#[derive(Debug, Clone, Copy)]
enum Way {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

impl RowSums {
    /// By the instructions of `path`.
    pub fn of(path: Path) -> Self {
        Self(match path.name() {
            #[cfg(target_arch = "x86_64")]
            "avx512" => Way::Avx512,
            #[cfg(target_arch = "x86_64")]
            "avx2" => Way::Avx2,
            _ => Way::Portable,
        })
    }

    /// Sums of squares of rows of one width. `ahead` is never read, only fetched into the cache.
    #[cfg_attr(
        not(target_arch = "x86_64"),
        expect(unused_variables, reason = "left to the processor")
    )]
    pub fn squares<E: Wide, const ROWS: usize>(
        self,
        rows: [&[E]; ROWS],
        ahead: [*const E; ROWS],
    ) -> [f64; ROWS] {
        assert!(rows.iter().all(|row| row.len() == rows[0].len()));
        match self.0 {
            // SAFETY: these paths exist only where the processor has the instructions, and rows
            // are of one width.
            #[cfg(target_arch = "x86_64")]
            Way::Avx512 => unsafe { avx512::squares(rows, ahead) },
            #[cfg(target_arch = "x86_64")]
            Way::Avx2 => unsafe { avx2::squares(rows, ahead) },
            Way::Portable => rows.map(portable::squares),
        }
    }

    /// Adds rows, each multiplied by its scale, to `sums`.
    #[cfg_attr(
        not(target_arch = "x86_64"),
        expect(unused_variables, reason = "left to the processor")
    )]
    pub fn add<E: Wide, const ROWS: usize>(
        self,
        rows: [&[E]; ROWS],
        ahead: [*const E; ROWS],
        scales: [f64; ROWS],
        sums: &mut [f64],
    ) {
        assert!(rows.iter().all(|row| row.len() == sums.len()));
        match self.0 {
            // SAFETY: as above, and there are as many sums.
            #[cfg(target_arch = "x86_64")]
            Way::Avx512 => unsafe { avx512::add(rows, ahead, scales, sums) },
            #[cfg(target_arch = "x86_64")]
            Way::Avx2 => unsafe { avx2::add(rows, ahead, scales, sums) },
            Way::Portable => portable::add(rows, scales, sums),
        }
    }
}

// Asks for that half of `SUMS` numbers, `at` numbers after the start of a row, which is `half`'s
// turn: 0 for the first pass over a row, 1 for the second.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn fetch<E>(ahead: *const E, half: usize, (at, dim): (usize, usize)) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    let start = ahead.wrapping_add((half * dim + at) / 2).cast::<i8>();
    for line in (0..size_of::<E>() * SUMS / 2).step_by(64) {
        // SAFETY: fetching reads nothing, wherever it points.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(start.wrapping_add(line)) };
    }
}

// The numbers after the last whole `SUMS`, with zeros behind them.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn filled_up<E: Copy + Default>(rest: &[E]) -> [E; SUMS] {
    let mut filled = [E::default(); SUMS];
    filled[..rest.len()].copy_from_slice(rest);
    filled
}

#[cfg(test)]
mod tests;
