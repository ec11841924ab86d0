//! The number type of a head: `f32` to train and serve, `f64` so that tests can differentiate.

use faer::traits::RealField;

/// `f32` or `f64`. Transcendental functions come from `libm`, the same bits on every platform.
pub trait Real: RealField + Copy + Send + Sync + Default + 'static {
    /// The nearest number.
    fn of(value: f64) -> Self;
    /// The same value, exactly.
    fn widen(self) -> f64;
    /// `e^self`
    fn exponential(self) -> Self;
    /// Natural logarithm.
    fn logarithm(self) -> Self;
    /// Square root.
    fn root(self) -> Self;
}

impl Real for f32 {
    #[inline(always)]
    fn of(value: f64) -> Self {
        value as f32
    }

    #[inline(always)]
    fn widen(self) -> f64 {
        f64::from(self)
    }

    #[inline(always)]
    fn exponential(self) -> Self {
        libm::expf(self)
    }

    #[inline(always)]
    fn logarithm(self) -> Self {
        libm::logf(self)
    }

    #[inline(always)]
    fn root(self) -> Self {
        self.sqrt()
    }
}

impl Real for f64 {
    #[inline(always)]
    fn of(value: f64) -> Self {
        value
    }

    #[inline(always)]
    fn widen(self) -> f64 {
        self
    }

    #[inline(always)]
    fn exponential(self) -> Self {
        libm::exp(self)
    }

    #[inline(always)]
    fn logarithm(self) -> Self {
        libm::log(self)
    }

    #[inline(always)]
    fn root(self) -> Self {
        self.sqrt()
    }
}
