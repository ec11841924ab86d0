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

use super::{Metric, Outcome, Protocol, Ranked, Undefined};

/// NDCG in [0, 1] for gains of one sign; signed gains may give a negative value.
pub fn ndcg(ranked: &Ranked, protocol: &Protocol, baseline: Option<f64>) -> Outcome {
    let dcg = |order: &Ranked| {
        let gains = protocol.gain.gains(order, protocol.units, baseline)?;
        Ok(discounted(order, &gains))
    };
    let ideal_order = ranked.ideal();
    let gains = protocol
        .gain
        .gains(&ideal_order, protocol.units, baseline)?;
    let ideal = discounted(&ideal_order, &gains);
    // Gains never fall where the truth rises, so the ends of the ideal order are the extremes.
    if gains[0] <= 0.0 {
        return Err(Undefined::NoPositiveGain);
    }
    if gains[0] == gains[gains.len() - 1] {
        return Err(Undefined::EqualGains);
    }
    if ideal <= 0.0 {
        return Err(Undefined::NoPositiveGain);
    }
    Ok(Metric {
        // Rounding may lift an order that equals the ideal one above 1 by its last bit.
        value: (dcg(ranked)? / ideal).min(1.0),
        chance: dcg(&ranked.all_tied())? / ideal,
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
