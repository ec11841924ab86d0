//! Loops over short rows that the compiler turns into vector instructions.
//!
//! A sum is kept in `LANES` parts that are added in one fixed order at the end: the same bits
//! whatever the width of the processor's registers. Everything is inlined into a function that
//! `pulp` compiled for this processor.

use super::real::Real;

// Two AVX-512 or four AVX2 registers of f32: covers the latency of an addition.
const LANES: usize = 32;

#[inline(always)]
fn total<T: Real>(mut parts: [T; LANES], rest: T) -> T {
    let mut half = LANES / 2;
    while half > 0 {
        for at in 0..half {
            parts[at] += parts[at + half];
        }
        half /= 2;
    }
    parts[0] + rest
}

/// `sum of f(a_j, b_j)`, over rows of equal length.
#[inline(always)]
pub fn sum_of<T: Real>(a: &[T], b: &[T], f: impl Fn(T, T) -> T) -> T {
    let mut parts = [T::default(); LANES];
    let (a_lanes, a_rest) = a.as_chunks::<LANES>();
    let (b_lanes, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for at in 0..LANES {
            parts[at] += f(a[at], b[at]);
        }
    }
    let mut rest = T::default();
    for (&a, &b) in a_rest.iter().zip(b_rest) {
        rest += f(a, b);
    }
    total(parts, rest)
}

/// `sum of a_j b_j`
#[inline(always)]
pub fn dot<T: Real>(a: &[T], b: &[T]) -> T {
    sum_of(a, b, |a, b| a * b)
}

/// `sum of a_j`
#[inline(always)]
pub fn sum<T: Real>(a: &[T]) -> T {
    sum_of(a, a, |a, _| a)
}

/// `out_j += factor a_j`
#[inline(always)]
pub fn add_scaled<T: Real>(out: &mut [T], factor: T, a: &[T]) {
    for (out, &a) in out.iter_mut().zip(a) {
        *out += factor * a;
    }
}

/// `out_j = factor a_j`
#[inline(always)]
pub fn scale_into<T: Real>(out: &mut [T], factor: T, a: &[T]) {
    for (out, &a) in out.iter_mut().zip(a) {
        *out = factor * a;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_exact_where_numbers_are_whole() {
        for n in [0usize, 1, 31, 32, 33, 100] {
            let a: Vec<f32> = (0..n).map(|value| value as f32).collect();
            let wanted = (n * n.saturating_sub(1) / 2) as f32;
            assert_eq!(sum(&a), wanted, "{n}");
            assert_eq!(dot(&a, &vec![2.0; n]), 2.0 * wanted, "{n}");
        }
    }
}
