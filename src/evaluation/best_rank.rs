//! Where the truly best source stands in the predicted order.
//!
//! ```text
//! Formula   expected rank, from 1, of the best placed among the b candidates with the largest
//!           truth; if they first occur in a group of m after `a` others: a + (m + 1) / (b + 1)
//! Shapes    truth [n] in predicted order with tie groups -> one number
//! Range     1 ..= n; chance (n + 1) / (b + 1), so (n + 1) / 2 for a single best
//! Promises  order-free; unchanged by increasing maps of scores and of truth
//! Zero rows none: equal truth makes every candidate the best
//! NaN       cannot occur: refused by `Ranked`
//! Precision exact up to one division
//! Cost      n
//! ```
//!
//! Source: the average rank of Vu et al. (2020), EMNLP, extended to ties: finding any of
//! several equally good sources is as good as finding another. (m + 1) / (b + 1) is the mean
//! smallest position of b marked among m shuffled places.

use super::{Metric, Orders, Ranked};

/// Expected 1-based rank of the best placed of the truly best candidates.
pub fn best_rank(orders: &Orders) -> Metric {
    let best = orders.best();
    Metric::of(orders, |order| first_best(order, best))
}

fn first_best(order: &Ranked, best: f64) -> f64 {
    order
        .groups()
        .find_map(|(start, members)| {
            let found = members.iter().filter(|&&member| member == best).count();
            let places = (members.len() + 1) as f64 / (found + 1) as f64;
            (found > 0).then_some(start as f64 + places)
        })
        .unwrap_or(f64::NAN)
}
