//! Correlations of orders, agreement of many orders, and of two halves of the seeds.
//!
//! ```text
//! Formula   spearman, kendall (tau-b): as in `evaluation`, but without a value if either ties all
//!           weighted  = sum w_ij sign(x_ij) sign(y_ij) / sqrt(sum w_ij [x_ij] sum w_ij [y_ij]),
//!                       w_ij = 1 / (r_i + 1) + 1 / (r_j + 1); mean of r by (x, y) and by (y, x)
//!           W = 12 S / (m^2 (n^3 - n) - m sum T), S of rank sums, T = t^3 - t of every tie
//! Shapes    two lists [n], or a table [m, n]
//! Range     -1 ..= 1; W 0 ..= 1
//! Promises  symmetric; unchanged by increasing maps; order-free
//! Zero rows equal scores have no order: NaN
//! NaN       refused by the caller
//! Precision ranks and pair counts are exact
//! Cost      n log n; weighted n^2
//! ```
//!
//! Source: Kendall (1945); Vigna (2015), "A weighted correlation index for rankings with ties";
//! Kendall and Babington Smith (1939) for W, whose mean over random orders is 1 / m, ties or not.

use crate::error::Result;
use crate::evaluation::correlation;
use crate::selection::average_ranks;

fn is_constant(values: &[f64]) -> bool {
    values.iter().all(|value| *value == values[0])
}

/// Spearman's rho; NaN if either list ties everything.
pub fn spearman(first: &[f64], second: &[f64]) -> Result<f64> {
    if is_constant(first) || is_constant(second) {
        return Ok(f64::NAN);
    }
    let found = correlation::spearman(first, second)?;
    Ok(found.map_or(f64::NAN, |metric| metric.value))
}

/// Kendall's tau-b; NaN if either list ties everything.
pub fn kendall(first: &[f64], second: &[f64]) -> f64 {
    if is_constant(first) || is_constant(second) {
        return f64::NAN;
    }
    correlation::kendall(first, second).map_or(f64::NAN, |metric| metric.value)
}

/// Weighted tau with additive hyperbolic weights; NaN if either list ties everything.
pub fn weighted_kendall(first: &[f64], second: &[f64]) -> f64 {
    let one = weighted(first, second, &descending_places(first, second));
    let other = weighted(first, second, &descending_places(second, first));
    (one + other) / 2.0
}

// Place of each candidate by descending `major`, then descending `minor`.
fn descending_places(major: &[f64], minor: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..major.len()).collect();
    order.sort_by(|&a, &b| {
        // Adding 0 on both sides makes +0 and -0 equal whichever way round they meet.
        let by_major = (major[b] + 0.0).total_cmp(&(major[a] + 0.0));
        by_major.then_with(|| (minor[b] + 0.0).total_cmp(&(minor[a] + 0.0)))
    });
    let mut places = vec![0; order.len()];
    for (place, &at) in order.iter().enumerate() {
        places[at] = place;
    }
    places
}

fn weighted(first: &[f64], second: &[f64], places: &[usize]) -> f64 {
    let weight: Vec<f64> = places
        .iter()
        .map(|&place| 1.0 / (place as f64 + 1.0))
        .collect();
    let sign = |values: &[f64], a: usize, b: usize| {
        f64::from(values[a] > values[b]) - f64::from(values[a] < values[b])
    };
    let (mut product, mut in_first, mut in_second) = (0.0, 0.0, 0.0);
    for a in 0..first.len() {
        for b in 0..a {
            let (x, y, own) = (sign(first, a, b), sign(second, a, b), weight[a] + weight[b]);
            product += own * x * y;
            in_first += own * x * x;
            in_second += own * y * y;
        }
    }
    if in_first == 0.0 || in_second == 0.0 {
        return f64::NAN;
    }
    let scale: f64 = in_first * in_second;
    (product / scale.sqrt()).clamp(-1.0, 1.0)
}

/// Kendall's W of a table [m, n] with its correction of ties; NaN below two rows or candidates,
/// and where every row ties everything.
pub fn concordance(table: &[Vec<f64>]) -> Result<f64> {
    let m = table.len() as f64;
    let n = table.first().map_or(0, Vec::len);
    if table.len() < 2 || n < 2 {
        return Ok(f64::NAN);
    }
    let mut sums = vec![0.0; n];
    let mut ties = 0.0;
    for row in table {
        for (sum, rank) in sums.iter_mut().zip(average_ranks(row)?) {
            *sum += rank;
        }
        let mut ascending = row.clone();
        ascending.sort_unstable_by(f64::total_cmp);
        let runs = ascending
            .chunk_by(|a, b| a == b)
            .map(|run| run.len() as f64);
        ties += runs.map(|t| t * t * t - t).sum::<f64>();
    }
    let size = n as f64;
    let middle = m * (size - 1.0) / 2.0;
    let squares: f64 = sums.iter().map(|sum| (sum - middle).powi(2)).sum();
    let most = m * m * (size.powi(3) - size) - m * ties;
    Ok(if most > 0.0 {
        12.0 * squares / most
    } else {
        f64::NAN
    })
}

/// Pearson correlation of the means of two halves of the rows, averaged over all ways to halve
/// them (odd numbers leave one row out), and stepped up to all rows by Spearman and Brown (1910).
/// `None` where a half has no spread.
pub fn split_half(table: &[Vec<f64>]) -> (f64, f64) {
    let (m, half) = (table.len(), table.len() / 2);
    if !(2..=20).contains(&m) {
        return (f64::NAN, f64::NAN);
    }
    let (mut sum, mut count) = (0.0, 0.0);
    let patterns = 1u32 << m;
    for first in (0..patterns).filter(|set| set.count_ones() as usize == half) {
        let mut second = (patterns - 1) & !first;
        // An odd row is left out in turn; each pair of halves is met from one side only.
        let spare: Vec<u32> = match m % 2 {
            0 => vec![0],
            _ => (0..m as u32)
                .map(|at| 1 << at)
                .filter(|bit| second & bit > 0)
                .collect(),
        };
        let whole = second;
        for bit in spare {
            second = whole & !bit;
            if first < second {
                let found = pearson(&half_mean(table, first), &half_mean(table, second));
                if !found.is_nan() {
                    sum += found;
                    count += 1.0;
                }
            }
        }
    }
    let own: f64 = sum / count;
    let factor = m as f64 / half as f64;
    (own, factor * own / (1.0 + (factor - 1.0) * own))
}

fn half_mean(table: &[Vec<f64>], set: u32) -> Vec<f64> {
    let rows = table
        .iter()
        .enumerate()
        .filter(|(at, _)| set >> at & 1 == 1);
    let mut sums = vec![0.0; table[0].len()];
    for (_, row) in rows {
        sums.iter_mut()
            .zip(row)
            .for_each(|(sum, value)| *sum += value);
    }
    sums
}

fn pearson(first: &[f64], second: &[f64]) -> f64 {
    let n = first.len() as f64;
    let (a, b) = (
        first.iter().sum::<f64>() / n,
        second.iter().sum::<f64>() / n,
    );
    let (mut product, mut squares, mut others) = (0.0, 0.0, 0.0);
    for (x, y) in first.iter().zip(second) {
        product += (x - a) * (y - b);
        squares += (x - a).powi(2);
        others += (y - b).powi(2);
    }
    if squares == 0.0 || others == 0.0 {
        return f64::NAN;
    }
    product / (squares * others).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reversed_orders_disagree_completely() {
        let (up, down) = ([1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0]);
        assert_eq!(spearman(&up, &down).unwrap(), -1.0);
        assert_eq!(kendall(&up, &down), -1.0);
        assert_eq!(weighted_kendall(&up, &down), -1.0);
        assert_eq!(concordance(&[up.to_vec(), down.to_vec()]).unwrap(), 0.0);
        assert_eq!(concordance(&[up.to_vec(), up.to_vec()]).unwrap(), 1.0);
    }

    #[test]
    fn equal_scores_have_no_order() {
        let (flat, up) = ([1.0, 1.0], [1.0, 2.0]);
        assert!(spearman(&flat, &up).unwrap().is_nan() && kendall(&up, &flat).is_nan());
        assert!(weighted_kendall(&flat, &up).is_nan());
    }

    #[test]
    fn halves_step_up_by_spearman_and_brown() {
        let table = vec![vec![1.0, 2.0, 4.0], vec![1.0, 3.0, 2.0]];
        let (own, whole) = split_half(&table);
        assert!((own - pearson(&table[0], &table[1])).abs() < 1e-15);
        assert!((whole - 2.0 * own / (1.0 + own)).abs() < 1e-15);
        assert!(split_half(&table[..1]).0.is_nan());
    }
}
