//! How much the tops of two orders share, as the exact expectation over random tie breaking.
//!
//! ```text
//! Formula   X_d = sum_i P(i in first d of a) P(i in first d of b)
//!           rbo = X_n / n p^n + (1 - p) / p sum_{d=1..n} p^d X_d / d
//!           jaccard@k = E[ |A n B| / (2 k - |A n B|) ],  best = P(same best)
//! Shapes    two lists [n] -> one number
//! Range     0 ..= 1
//! Promises  symmetric; order-free; unchanged by increasing maps
//! Zero rows equal scores: exactly the chance level
//! NaN       refused by the order
//! Precision sums of at most n terms
//! Cost      n^2 for rbo, k^3 for jaccard with ties
//! ```
//!
//! Source: Webber, Moffat and Zobel (2010), equation 30, for lists that rank the same candidates;
//! averaging over ties as in Corsi and Urbano (2024), RBO^a. Chance of a random order:
//! X_d = d^2 / n, and |A n B| hypergeometric.

use crate::error::Result;
use crate::selection::Order;

/// Rank-biased overlap with persistence `p` in (0, 1).
pub fn rbo(first: &[f64], second: &[f64], p: f64) -> Result<f64> {
    let (a, b) = (Depths::new(first)?, Depths::new(second)?);
    let n = first.len();
    let overlap =
        |depth: usize| -> f64 { (0..n).map(|i| a.share(i, depth) * b.share(i, depth)).sum() };
    Ok(extrapolated(n, p, overlap))
}

/// Expected rank-biased overlap of two independent random orders of `n`.
pub fn rbo_chance(n: usize, p: f64) -> f64 {
    extrapolated(n, p, |depth| (depth * depth) as f64 / n as f64)
}

fn extrapolated(n: usize, p: f64, overlap: impl Fn(usize) -> f64) -> f64 {
    let mut sum = 0.0;
    let mut power = 1.0;
    for depth in 1..=n {
        power *= p;
        sum += power * overlap(depth) / depth as f64;
    }
    overlap(n) / n as f64 * power + (1.0 - p) / p * sum
}

/// Probability that both orders have the same best candidate.
pub fn best_agreement(first: &[f64], second: &[f64]) -> Result<f64> {
    let (a, b) = (Depths::new(first)?, Depths::new(second)?);
    Ok((0..first.len())
        .map(|i| a.share(i, 1) * b.share(i, 1))
        .sum())
}

/// Expected Jaccard index of the best `k` of both orders; `k` at most the number of candidates.
pub fn jaccard(first: &[f64], second: &[f64], k: usize) -> Result<f64> {
    let (a, b) = (Depths::new(first)?, Depths::new(second)?);
    let (inside_a, tied_a) = a.cut(k);
    let (inside_b, tied_b) = b.cut(k);
    let count = |is_in: &dyn Fn(usize) -> bool| (0..first.len()).filter(|&i| is_in(i)).count();
    let sure = count(&|i| inside_a[i] && inside_b[i]);
    let only_b = count(&|i| tied_a[i] && inside_b[i]);
    let only_a = count(&|i| tied_b[i] && inside_a[i]);
    let both = count(&|i| tied_a[i] && tied_b[i]);
    let (size_a, size_b) = (count(&|i| tied_a[i]), count(&|i| tied_b[i]));
    let picks_a = k - count(&|i| inside_a[i]);
    let picks_b = k - count(&|i| inside_b[i]);
    // a picks `hit` of those already in b and `shared` of those tied in both; b then picks.
    let mut expected = 0.0;
    for hit in 0..=only_b.min(picks_a) {
        for shared in 0..=both.min(picks_a - hit) {
            let rest = size_a - only_b - both;
            let ways =
                choose(only_b, hit) * choose(both, shared) * choose(rest, picks_a - hit - shared);
            let chance = ways / choose(size_a, picks_a);
            if chance > 0.0 {
                let wanted = only_a + shared;
                expected += chance
                    * hypergeometric(size_b, wanted, picks_b, |more| index(sure + hit + more, k));
            }
        }
    }
    Ok(expected)
}

/// Expected Jaccard index of the best `k` of two independent random orders of `n`.
pub fn jaccard_chance(n: usize, k: usize) -> f64 {
    hypergeometric(n, k, k, |common| index(common, k))
}

fn index(common: usize, k: usize) -> f64 {
    common as f64 / (2 * k - common) as f64
}

// Mean of `value` over how many of `wanted` are among `picks` out of `size`.
fn hypergeometric(size: usize, wanted: usize, picks: usize, value: impl Fn(usize) -> f64) -> f64 {
    let all = choose(size, picks);
    (0..=wanted.min(picks))
        .map(|found| {
            choose(wanted, found) * choose(size - wanted, picks - found) / all * value(found)
        })
        .sum()
}

fn choose(n: usize, k: usize) -> f64 {
    if k > n {
        return 0.0;
    }
    (0..k.min(n - k)).fold(1.0, |ways, at| ways * (n - at) as f64 / (at + 1) as f64)
}

// For each candidate, how many are strictly better and how many equal, itself included.
struct Depths {
    better: Vec<usize>,
    equal: Vec<usize>,
}

impl Depths {
    fn new(scores: &[f64]) -> Result<Self> {
        let order = Order::descending(scores, scores)?;
        let (mut better, mut equal) = (vec![0; scores.len()], vec![1; scores.len()]);
        for group in order.groups() {
            for &at in &order.indices()[group.clone()] {
                better[at] = group.start;
                equal[at] = group.len();
            }
        }
        Ok(Self { better, equal })
    }

    // Probability to be among the first `depth`.
    fn share(&self, at: usize, depth: usize) -> f64 {
        let room = depth.saturating_sub(self.better[at]).min(self.equal[at]);
        room as f64 / self.equal[at] as f64
    }

    // Who is surely among the first k, and who is tied across the cut.
    fn cut(&self, k: usize) -> (Vec<bool>, Vec<bool>) {
        let ends = self.better.iter().zip(&self.equal);
        ends.map(|(better, equal)| {
            let is_inside = better + equal <= k;
            (is_inside, !is_inside && *better < k)
        })
        .unzip()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_orders_overlap_wholly_and_tied_ones_by_chance() {
        let (up, flat) = ([1.0, 2.0, 3.0], [0.0; 3]);
        assert!((rbo(&up, &up, 0.9).unwrap() - 1.0).abs() < 1e-14);
        assert!((rbo(&up, &flat, 0.9).unwrap() - rbo_chance(3, 0.9)).abs() < 1e-14);
        assert_eq!(jaccard(&up, &up, 2).unwrap(), 1.0);
        assert!((jaccard(&up, &flat, 2).unwrap() - jaccard_chance(3, 2)).abs() < 1e-14);
        assert!((jaccard(&flat, &flat, 2).unwrap() - jaccard_chance(3, 2)).abs() < 1e-14);
        assert!((best_agreement(&flat, &up).unwrap() - 1.0 / 3.0).abs() < 1e-15);
    }

    #[test]
    fn two_of_three_share_one_or_both() {
        // Of the three pairs one is the same (1), two share one of three (1/3): mean 5/9.
        assert!((jaccard_chance(3, 2) - 5.0 / 9.0).abs() < 1e-15);
    }
}
