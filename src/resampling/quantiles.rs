//! Quantiles of replicates, linear between order statistics (type 7 of Hyndman and Fan 1996).
//!
//! A tail of 10 000 values is selected among the few hundred that a sample of every 32nd value says
//! lie there, from the end it is nearer to; where the sample misled, among all. The order statistic
//! is the same either way.

// One value in so many is looked at first.
const STRIDE: usize = 32;

/// Two quantiles of values, of which there must be one or more.
pub(super) fn quantiles(values: &[f64], levels: (f64, f64)) -> (f64, f64) {
    let last = values.len() - 1;
    let quantile = |level: f64| {
        let place = level.clamp(0.0, 1.0) * last as f64;
        let rank = place.floor() as usize;
        let (lower, upper) = if rank >= last {
            let most = smallest_two(values, -1, 0).0;
            (most, most)
        } else if 2 * rank < last {
            smallest_two(values, 0, rank)
        } else {
            let (upper, lower) = smallest_two(values, -1, last - rank - 1);
            (lower, upper)
        };
        // The same value on both sides must come back exactly.
        lower + place.fract() * (upper - lower)
    };
    (quantile(levels.0), quantile(levels.1))
}

// The values of `rank` and of the next one; with a flip of -1 the order is reversed.
fn smallest_two(values: &[f64], flip: i64, rank: usize) -> (f64, f64) {
    let key_of = |value: &f64| key(*value) ^ flip;
    // Twice as many as wanted, and some more where that is few.
    let enough = 2 * rank / STRIDE + 8;
    let mut near: Vec<i64> = values.iter().step_by(STRIDE).map(key_of).collect();
    if 2 * enough < near.len() {
        let bound = value(*near.select_nth_unstable(enough).1 ^ flip);
        near.clear();
        // As numbers, so that zeros of either sign are kept with each other.
        if flip == 0 {
            near.extend(values.iter().filter(|&&own| own <= bound).map(key_of));
        } else {
            near.extend(values.iter().filter(|&&own| own >= bound).map(key_of));
        }
    } else {
        near.clear();
    }
    if near.len() < rank + 2 {
        near = values.iter().map(key_of).collect();
    }
    let (_, &mut first, above) = near.select_nth_unstable(rank);
    let next = above.iter().copied().min().unwrap_or(first);
    (value(first ^ flip), value(next ^ flip))
}

// Whole numbers in the total order of the values: comparing them is one instruction.
fn key(value: f64) -> i64 {
    let bits = value.to_bits() as i64;
    bits ^ ((bits >> 63) as u64 >> 1) as i64
}

fn value(key: i64) -> f64 {
    f64::from_bits((key ^ ((key >> 63) as u64 >> 1) as i64) as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sorted_quantile(values: &[f64], level: f64) -> f64 {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let place = level * (sorted.len() - 1) as f64;
        let lower = sorted[place.floor() as usize];
        lower + place.fract() * (sorted[place.ceil() as usize] - lower)
    }

    proptest! {
        // Ramps mislead the sample by up to a stride; repeated blocks tie.
        #[test]
        fn selected_quantiles_are_those_of_the_sorted_list(
            count in 1_usize..3000,
            kind in 0..5,
            low in 0.0..=1.0_f64,
            high in 0.0..=1.0_f64,
        ) {
            let values: Vec<f64> = (0..count as u32).map(|at| match kind {
                0 => f64::from(at.wrapping_mul(2_654_435_769) % 1000) / 7.0 - 71.0,
                1 => f64::from(at),
                2 => -f64::from(at),
                3 => [-0.0, 0.0, -1.0, 1.0][at as usize % 4],
                // Every sampled value is the largest: the sample says nothing.
                _ => if at % 32 == 0 { 1e9 } else { f64::from(at % 700) },
            }).collect();
            for levels in [(low, high), (0.025, 0.975), (0.0, 1.0), (0.5, 0.5)] {
                let wanted = (sorted_quantile(&values, levels.0), sorted_quantile(&values, levels.1));
                let found = quantiles(&values, levels);
                prop_assert_eq!((found.0.to_bits(), found.1.to_bits()),
                    (wanted.0.to_bits(), wanted.1.to_bits()), "{:?}", levels);
            }
        }
    }

    #[test]
    fn zeros_of_both_signs_and_extremes_keep_their_order() {
        let values = [-0.0, 0.0, 1e-310, -1e-310, 1e300, -1e300, 3.0];
        for level in [0.0, 0.2, 0.4, 0.5, 0.7, 0.9, 1.0] {
            let found = quantiles(&values, (level, 1.0 - level));
            assert_eq!(found.0, sorted_quantile(&values, level), "{level}");
            assert_eq!(found.1, sorted_quantile(&values, 1.0 - level), "{level}");
        }
        assert_eq!(quantiles(&[3.0], (0.1, 0.9)), (3.0, 3.0));
    }
}
