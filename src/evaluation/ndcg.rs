//! Normalised discounted cumulative gain over the whole list, exact under ties.
//!
//! ```text
//! Formula   DCG / ideal DCG, DCG = sum over tie groups of mean(gain) * sum(1 / log2(r + 1)),
//!           r = 1..n the positions of the group; no cutoff
//! Shapes    truth [n] in predicted order with tie groups -> one number
//! Range     <= 1; >= 0 unless a gain is negative
//! Promises  order-free; the same bits for any order of the candidates
//! Zero rows undefined if all gains are equal or no gain is positive, never 0
//! NaN       cannot occur: refused by `Ranked`
//! Precision f64, sums from the best position to the worst
//! Cost      n gains, 2n sums
//! ```
//!
//! Source: Järvelin and Kekäläinen (2002), ACM TOIS 20; ties after McSherry and Najork (2008),
//! ECIR. Chance is mean(gain) * sum(discount) / ideal DCG, the same sum over one group.

use super::{Metric, Orders, Outcome, Protocol, Ranked, Undefined};

/// NDCG in [0, 1] for gains of one sign; signed gains may give a negative value.
pub fn ndcg(orders: &Orders, protocol: &Protocol, baseline: Option<f64>) -> Outcome {
    let Protocol { gain, units, .. } = protocol;
    let gains = |order| gain.gains(order, &orders.ideal, *units, baseline);
    let dcg = |order| gains(order).map(|gained| discounted(order, &gained));
    let best_first = gains(&orders.ideal)?;
    // Gains never fall where the truth rises, so the ends of the ideal order are the extremes.
    let (largest, smallest) = (best_first[0], best_first[best_first.len() - 1]);
    let ideal = discounted(&orders.ideal, &best_first);
    if largest <= 0.0 || (ideal <= 0.0 && largest > smallest) {
        return Err(Undefined::NoPositiveGain);
    }
    if largest == smallest {
        return Err(Undefined::EqualGains);
    }
    Ok(Metric {
        // Rounding may lift an order that equals the ideal one above 1 by its last bit.
        value: (dcg(&orders.predicted)? / ideal).min(1.0),
        chance: dcg(&orders.tied)? / ideal,
        best: 1.0,
    })
}

fn discounted(order: &Ranked, gains: &[f64]) -> f64 {
    order
        .groups()
        .map(|(start, members)| {
            let end = start + members.len();
            let mean = gains[start..end].iter().sum::<f64>() / members.len() as f64;
            let discount: f64 = (start..end).map(|at| 1.0 / ((at + 2) as f64).log2()).sum();
            mean * discount
        })
        .sum()
}
