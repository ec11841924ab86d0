//! Numbers that vector instructions widen to `f64`, exactly.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use half::{bf16, f16};

use crate::element::Element;

/// A stored number, several of which are widened at a time.
pub trait Wide: Element + Default {
    /// Whether its square is exact in `f64`.
    const SQUARES_ARE_EXACT: bool;

    /// Eight numbers from `at` on.
    ///
    /// # Safety
    /// They can be read, and the processor has AVX-512.
    #[cfg(target_arch = "x86_64")]
    unsafe fn eight(at: *const Self) -> __m512d;

    /// Four numbers from `at` on.
    ///
    /// # Safety
    /// They can be read, and the processor has AVX2 and F16C.
    #[cfg(target_arch = "x86_64")]
    unsafe fn four(at: *const Self) -> __m256d;
}

impl Wide for f64 {
    const SQUARES_ARE_EXACT: bool = false;

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn eight(at: *const Self) -> __m512d {
        // SAFETY: as promised by the caller; unaligned loads everywhere below.
        unsafe { _mm512_loadu_pd(at) }
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn four(at: *const Self) -> __m256d {
        // SAFETY: as above.
        unsafe { _mm256_loadu_pd(at) }
    }
}

impl Wide for f32 {
    const SQUARES_ARE_EXACT: bool = true;

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn eight(at: *const Self) -> __m512d {
        // SAFETY: as above.
        unsafe { _mm512_cvtps_pd(_mm256_loadu_ps(at)) }
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn four(at: *const Self) -> __m256d {
        // SAFETY: as above.
        unsafe { _mm256_cvtps_pd(_mm_loadu_ps(at)) }
    }
}

impl Wide for f16 {
    const SQUARES_ARE_EXACT: bool = true;

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn eight(at: *const Self) -> __m512d {
        // SAFETY: as above; AVX-512 brings F16C.
        unsafe { _mm512_cvtps_pd(_mm256_cvtph_ps(_mm_loadu_si128(at.cast()))) }
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn four(at: *const Self) -> __m256d {
        // SAFETY: as above.
        unsafe { _mm256_cvtps_pd(_mm_cvtph_ps(_mm_loadl_epi64(at.cast()))) }
    }
}

// The upper half of an `f32`.
impl Wide for bf16 {
    const SQUARES_ARE_EXACT: bool = true;

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn eight(at: *const Self) -> __m512d {
        // SAFETY: as above.
        unsafe {
            let words = _mm256_cvtepu16_epi32(_mm_loadu_si128(at.cast()));
            _mm512_cvtps_pd(_mm256_castsi256_ps(_mm256_slli_epi32::<16>(words)))
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn four(at: *const Self) -> __m256d {
        // SAFETY: as above.
        unsafe {
            let words = _mm_cvtepu16_epi32(_mm_loadl_epi64(at.cast()));
            _mm256_cvtps_pd(_mm_castsi128_ps(_mm_slli_epi32::<16>(words)))
        }
    }
}
