//! Formula      T = mean_j M[j, sigma(j)] over the defined columns; p = #{sigma: T >= T_id} / J!
//! Shapes       M [n_mixtures, n_mixtures] (row: where a mixture lies, column: what is predicted)
//! Range        p in [1/J!, 1]
//! Promises     exact: every relabelling is tried, the observed one and ties included
//! Zero rows    an undefined column (NaN throughout) scores 0 for everybody
//! NaN          elsewhere refused before
//! Precision    f64; a tie is a difference below 1e-12 of the largest score
//! Cost         J! J; above `EXACT` mixtures, `SAMPLED` random relabellings and (b + 1)/(B + 1)
//!
//! Source: Fisher's exact test; Phipson and Smyth (2010) for the sampled p.

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::random::stream;
use crate::superposition::decomposition::shuffle;
use crate::threads::Monitor;

/// Mixtures up to which every relabelling is tried: 9! = 362,880.
pub const EXACT: usize = 9;
/// Random relabellings beyond.
pub const SAMPLED: usize = 99_999;
const TIE: f64 = 1e-12;

/// Observed statistic, its p-value, and the number of relabellings compared.
pub fn permutation_test(
    scores: &[f64],
    n_mixtures: usize,
    seed: u64,
    monitor: &Monitor,
) -> Result<(f64, f64, usize)> {
    if n_mixtures < 2 || scores.len() != n_mixtures * n_mixtures {
        return Err(Error::Shape(format!(
            "permutation test: {} scores for {n_mixtures} mixtures, expected [n, n] with n >= 2",
            scores.len()
        )));
    }
    let is_defined = |column: &usize| !scores[*column].is_nan();
    let n_defined = (0..n_mixtures).filter(is_defined).count();
    let scores: Vec<f64> = scores
        .iter()
        .map(|s| if s.is_nan() { 0.0 } else { *s })
        .collect();
    let statistic = |order: &[usize]| -> f64 {
        order
            .iter()
            .enumerate()
            .map(|(row, column)| scores[row * n_mixtures + column])
            .sum()
    };
    let identity: Vec<usize> = (0..n_mixtures).collect();
    let scale = scores
        .iter()
        .fold(0.0_f64, |top, score| top.max(score.abs()));
    let bar = statistic(&identity) - TIE * scale * n_mixtures as f64;
    let observed = statistic(&identity) / n_defined as f64;
    if n_mixtures <= EXACT {
        // One unit of work for every choice of the first label.
        let counts: Vec<(usize, usize)> = (0..n_mixtures)
            .into_par_iter()
            .map(|first| {
                let mut order = identity.clone();
                order.swap(0, first);
                let mut found = (0, 0);
                visit(&mut order, 1, &mut |order| {
                    found.0 += usize::from(statistic(order) >= bar);
                    found.1 += 1;
                });
                monitor.tick(1).map(|()| found)
            })
            .collect::<Result<_>>()?;
        let reached: usize = counts.iter().map(|count| count.0).sum();
        let tried: usize = counts.iter().map(|count| count.1).sum();
        return Ok((observed, reached as f64 / tried as f64, tried));
    }
    let reached: usize = (0..SAMPLED)
        .into_par_iter()
        .map(|sample| {
            let mut order = identity.clone();
            shuffle(&mut order, &mut stream(seed, sample as u64));
            usize::from(statistic(&order) >= bar)
        })
        .sum();
    Ok((
        observed,
        (reached + 1) as f64 / (SAMPLED + 1) as f64,
        SAMPLED + 1,
    ))
}

fn visit(order: &mut [usize], place: usize, see: &mut impl FnMut(&[usize])) {
    if place + 1 >= order.len() {
        return see(order);
    }
    for other in place..order.len() {
        order.swap(place, other);
        visit(order, place + 1, see);
        order.swap(place, other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_of_all_relabellings_has_the_smallest_p() {
        let n_mixtures = 6;
        let scores: Vec<f64> = (0..36)
            .map(|cell| if cell / 6 == cell % 6 { 1.0 } else { 0.1 })
            .collect();
        let monitor = Monitor::default();
        let (observed, p, tried) = permutation_test(&scores, n_mixtures, 0, &monitor).unwrap();
        assert_eq!((observed, tried), (1.0, 720));
        assert_eq!(p, 1.0 / 720.0);
    }

    #[test]
    fn equal_scores_make_every_relabelling_a_tie() {
        let (_, p, tried) = permutation_test(&[0.3; 16], 4, 0, &Monitor::default()).unwrap();
        assert_eq!((p, tried), (1.0, 24));
    }

    #[test]
    fn a_mixture_predicted_at_the_centre_takes_no_part() {
        let scores = [1.0, f64::NAN, 0.0, f64::NAN];
        let (observed, p, _) = permutation_test(&scores, 2, 0, &Monitor::default()).unwrap();
        assert_eq!((observed, p), (1.0, 0.5));
    }
}
