//! The four number types a token may be stored in. All arithmetic widens to `f64` first,
//! which is exact for every one of them.

use half::{bf16, f16};

/// A stored floating-point number that widens exactly to `f64`.
pub trait Element: Copy + Send + Sync + 'static {
    /// The name users see, equal to NumPy's where NumPy has the type.
    const NAME: &'static str;

    /// The same value as `f64`, exactly. Inlined always, or loops over tokens are not vectorised.
    fn widen(self) -> f64;
}

impl Element for f16 {
    const NAME: &'static str = "float16";

    #[inline(always)]
    fn widen(self) -> f64 {
        self.to_f64()
    }
}

impl Element for bf16 {
    const NAME: &'static str = "bfloat16";

    #[inline(always)]
    fn widen(self) -> f64 {
        self.to_f64()
    }
}

impl Element for f32 {
    const NAME: &'static str = "float32";

    #[inline(always)]
    fn widen(self) -> f64 {
        f64::from(self)
    }
}

impl Element for f64 {
    const NAME: &'static str = "float64";

    #[inline(always)]
    fn widen(self) -> f64 {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widening_keeps_every_value_exactly() {
        assert_eq!(f16::from_f32(1.5).widen(), 1.5);
        assert_eq!(bf16::from_f32(-2.0).widen(), -2.0);
        assert_eq!(f16::from_bits(1).widen(), 2f64.powi(-24));
        assert_eq!(0.1f32.widen() as f32, 0.1f32);
        assert_eq!(0.1f64.widen(), 0.1);
    }
}
