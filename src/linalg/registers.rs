//! Registers as the rest of the code expects them.

use pulp::{Arch, Simd, WithSimd};

/// To be called after faer has multiplied: its AVX-512 products (private-gemm-x86 0.1) return with
/// the upper halves of the registers in use, and our baseline SSE code then runs about eight times
/// slower on that thread (100,000 prompts with 64 replicates: 18.5 s instead of 1.0 s). A function
/// that uses wide registers of its own clears them all on return.
pub fn clear_registers() {
    std::hint::black_box(Arch::new().dispatch(Wide(std::hint::black_box(1.0))));
}

struct Wide(f64);

impl WithSimd for Wide {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let wide = std::hint::black_box(simd.splat_f64s(self.0));
        simd.reduce_sum_f64s(wide)
    }
}
