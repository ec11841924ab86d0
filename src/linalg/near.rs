//! Products of single tokens near to what a chain of additions makes of them, at the speed of reading
//! them: 64 sums run beside each other.

use pulp::{Arch, Simd, WithSimd};

const SUMS: usize = 64;

/// Shows for each pair of tokens, numbered, the sum of their products in some order.
pub fn for_each_near<'a>(
    pairs: impl Iterator<Item = (&'a [f32], &'a [f32])>,
    visit: impl FnMut(usize, f32),
) {
    Arch::new().dispatch(Near { pairs, visit });
}

struct Near<I, V> {
    pairs: I,
    visit: V,
}

impl<'a, I, V> WithSimd for Near<I, V>
where
    I: Iterator<Item = (&'a [f32], &'a [f32])>,
    V: FnMut(usize, f32),
{
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let mut visit = self.visit;
        for (number, (left, right)) in self.pairs.enumerate() {
            visit(number, near(left, right));
        }
    }
}

#[inline(always)]
fn near(left: &[f32], right: &[f32]) -> f32 {
    let (lefts, left_rest) = left.as_chunks::<SUMS>();
    let (rights, right_rest) = right.as_chunks::<SUMS>();
    let mut sums = [0.0f32; SUMS];
    for (left, right) in lefts.iter().zip(rights) {
        add(&mut sums, left, right);
    }
    let (mut left, mut right) = ([0.0; SUMS], [0.0; SUMS]);
    left[..left_rest.len()].copy_from_slice(left_rest);
    right[..right_rest.len()].copy_from_slice(right_rest);
    add(&mut sums, &left, &right);
    let mut half = SUMS / 2;
    while half > 0 {
        for at in 0..half {
            sums[at] += sums[at + half];
        }
        half /= 2;
    }
    sums[0]
}

// Two roundings, so that no processor needs a fused multiplication.
#[inline(always)]
fn add(sums: &mut [f32; SUMS], left: &[f32; SUMS], right: &[f32; SUMS]) {
    for at in 0..SUMS {
        sums[at] += left[at] * right[at];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_summed_exactly_whatever_the_width() {
        let row = |from: usize, dim: usize| -> Vec<f32> {
            (from..from + dim)
                .map(|value| (value % 11) as f32)
                .collect()
        };
        for dim in [1, 63, 64, 65, 200] {
            let rows = [row(1, dim), row(5, dim), row(2, dim)];
            let pairs = [(0, 1), (2, 2)];
            let mut found = Vec::new();
            for_each_near(
                pairs
                    .iter()
                    .map(|&(l, r)| (rows[l].as_slice(), rows[r].as_slice())),
                |number, sum| found.push((number, sum)),
            );
            let exact = |(l, r): (usize, usize)| -> f32 {
                rows[l].iter().zip(&rows[r]).map(|(l, r)| l * r).sum()
            };
            assert_eq!(found, [(0, exact(pairs[0])), (1, exact(pairs[1]))]);
        }
    }
}
