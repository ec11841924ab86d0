//! Numbers that vector instructions widen to `f64`, exactly.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

use crate::element::Element;

/// A stored number, several of which are widened at a time.
pub trait Wide: Element + Default {
    /// Whether its square is exact in `f64`.
    const SQUARES_ARE_EXACT: bool;

    /// Some numbers at once, without vector instructions of our own.
    #[inline(always)]
    fn widened<const N: usize>(values: &[Self; N]) -> [f64; N] {
        values.map(Element::widen)
    }

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

    // Asks for the processor's own conversion once for all.
    #[inline(always)]
    fn widened<const N: usize>(values: &[Self; N]) -> [f64; N] {
        let mut single = [0.0; N];
        values.convert_to_f32_slice(&mut single);
        single.map(f64::from)
    }

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

    #[inline(always)]
    fn widened<const N: usize>(values: &[Self; N]) -> [f64; N] {
        values.map(|value| f64::from(f32::from_bits(u32::from(value.to_bits()) << 16)))
    }

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
