//! What the first k candidates are worth: regret of the best of them, and their mean.
//!
//! ```text
//! Formula   regret@k = 100 (best - E[best of the first k]) / best
//!           top@k    = E[mean of the first k], in percent
//!           If the cut leaves q places to a group of m tied candidates with truth
//!           p_1 >= .. >= p_m, then P(best of them = p_j) = C(m - j, q - 1) / C(m, q)
//! Shapes    truth [n] in predicted order with tie groups, k -> one number
//! Range     regret@k >= 0, 0 at k = n; top@k between the extremes of the truth
//! Promises  order-free; regret is free of the scale of the scores
//! Zero rows regret is undefined if the best score is not positive; both if n < k
//! NaN       cannot occur: refused by `Ranked`
//! Precision f64; regret adds shortfalls >= 0, so it is exactly 0 where nothing is lost
//! Cost      n
//! ```
//!
//! Source: Poth et al. (2021), EMNLP, for regret; the probabilities count the q-subsets whose
//! best member is j, and over one group of all candidates they give the chance level.

use super::{Metric, Orders, Outcome, Ranked, Undefined, Units};

/// Regret of the first `k` in percent of the best score.
pub fn regret(orders: &Orders, k: usize) -> Outcome {
    let best = orders.best();
    if k > orders.n() {
        return Err(Undefined::FewerThanK);
    }
    if best <= 0.0 {
        return Err(Undefined::BestNotPositive);
    }
    let relative = |order: &Ranked| 100.0 * (shortfall(order, k, best) / best);
    Ok(Metric::of(orders, relative))
}

/// Mean measured score of the first `k`, in percent.
pub fn performance(orders: &Orders, k: usize, units: Units) -> Outcome {
    if k > orders.n() {
        return Err(Undefined::FewerThanK);
    }
    Ok(Metric::of(orders, |order| {
        units.percent(mean_of_first(order, k))
    }))
}

fn shortfall(order: &Ranked, k: usize, best: f64) -> f64 {
    let mut reached = f64::NEG_INFINITY;
    for (start, members) in order.groups() {
        let places = k - start;
        if places < members.len() {
            return expected_shortfall(members, places, best, reached);
        }
        reached = reached.max(members[0]);
        if places == members.len() {
            break;
        }
    }
    best - reached
}

// `members` descend; walks j = 1..m with the recursion P_{j+1} = P_j (m - j - q + 1) / (m - j).
fn expected_shortfall(members: &[f64], places: usize, best: f64, reached: f64) -> f64 {
    let mut left = members.len();
    let mut probability = places as f64 / left as f64;
    let mut expected = 0.0;
    for &member in members {
        expected += probability * (best - reached.max(member));
        left -= 1;
        if left < places {
            break;
        }
        probability *= (left + 1 - places) as f64 / left as f64;
    }
    expected
}

fn mean_of_first(order: &Ranked, k: usize) -> f64 {
    let mut sum = 0.0;
    for (start, members) in order.groups() {
        let places = (k - start).min(members.len());
        sum += members.iter().sum::<f64>() * (places as f64 / members.len() as f64);
        if start + places == k {
            break;
        }
    }
    sum / k as f64
}
