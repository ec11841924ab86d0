//! Several sources at once: each next one close to the target and unlike those already taken.
//!
//! ```text
//! Formula   next = argmax_s (1 - w) score_s - w max_{taken r} closeness_{s r}, w = diversity
//! Shapes    scores [n], closeness [n, n] -> k source numbers, in the order taken
//! Range     not applicable
//! Promises  w = 0 takes the k best scores
//! Zero rows not applicable
//! NaN       refused
//! Precision f64; on equal value the source that comes first is taken
//! Cost      k n
//! ```
//!
//! Source: Carbonell and Goldstein 1998, "The use of MMR" (maximal marginal relevance). Scores and
//! closeness must be in one unit, as those of one kernel are.

use crate::error::{Error, Result};

/// The sources taken, first to last.
pub fn diverse_subset(
    scores: &[f64],
    closeness: &[f64],
    k: usize,
    diversity: f64,
) -> Result<Vec<usize>> {
    let n = scores.len();
    if closeness.len() != n * n || k == 0 || k > n || !(0.0..=1.0).contains(&diversity) {
        return Err(Error::Shape(format!(
            "{n} scores, {} numbers of closeness, k {k}, diversity {diversity}; expected \
             closeness [n, n], k from 1 to n, diversity from 0 to 1",
            closeness.len()
        )));
    }
    if scores
        .iter()
        .chain(closeness)
        .any(|value| !value.is_finite())
    {
        return Err(Error::NonFinite(
            "scores and closeness between sources must be finite numbers".into(),
        ));
    }
    let mut taken: Vec<usize> = Vec::with_capacity(k);
    let mut nearest = vec![f64::NEG_INFINITY; n];
    while taken.len() < k {
        let value = |source: usize| match taken.is_empty() {
            true => scores[source],
            false => (1.0 - diversity) * scores[source] - diversity * nearest[source],
        };
        let left = (0..n).filter(|source| !taken.contains(source));
        let first = |best: usize, next: usize| {
            if value(next) > value(best) {
                next
            } else {
                best
            }
        };
        let Some(next) = left.reduce(first) else {
            break;
        };
        taken.push(next);
        for (source, near) in nearest.iter_mut().enumerate() {
            *near = near.max(closeness[source * n + next]);
        }
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_copy_of_the_first_is_passed_over() {
        let scores = [0.9, 0.89, 0.5];
        let closeness = [1.0, 0.99, 0.1, 0.99, 1.0, 0.1, 0.1, 0.1, 1.0];
        assert_eq!(diverse_subset(&scores, &closeness, 2, 0.0).unwrap(), [0, 1]);
        assert_eq!(diverse_subset(&scores, &closeness, 2, 0.5).unwrap(), [0, 2]);
        assert_eq!(
            diverse_subset(&scores, &closeness, 3, 1.0).unwrap(),
            [0, 2, 1]
        );
        assert!(diverse_subset(&scores, &closeness, 4, 0.0).is_err());
    }
}
