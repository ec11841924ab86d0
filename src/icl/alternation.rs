//! Two groups of unknowns that are each solved exactly for the other, until the loss stands still.
//!
//! Plain alternation falls with every step but may need a number of steps that grows with the
//! context, where a head's scale is hardly determined. So every two steps are extrapolated by
//! squared steps (Varadhan and Roland 2008, scheme S3), and an extrapolation counts only if the
//! loss is lower for it.

use crate::error::{Error, Result};

// The loss stands still when it falls by less than its own rounding.
const RELATIVE_GAIN: f64 = 1e-15;
// Of 1,500 random mixtures with covariances of every rank and n up to 1e8 one needed 16,000, the
// others at most 1,115.
const MAX_SOLVES: usize = 20_000;
const MAX_HALVINGS: usize = 6;

/// One group of unknowns, solved: what they lead to and what comes next.
#[derive(Debug, Clone)]
pub struct Place<T> {
    /// The other group, solved for these unknowns.
    pub content: T,
    /// The loss of both.
    pub loss: f64,
    /// The unknowns, solved for `content`.
    pub next: Vec<f64>,
}

/// The content the alternation settles at, and the number of solves.
pub fn settled<T>(
    start: Vec<f64>,
    solve: impl Fn(&[f64]) -> Result<Place<T>>,
) -> Result<(T, usize)> {
    let (mut at, mut best) = (start.clone(), solve(&start)?);
    let mut n_solves = 1;
    while n_solves < MAX_SOLVES {
        let before = best.loss;
        let one = best.next.clone();
        let first = solve(&one)?;
        let two = first.next.clone();
        let second = solve(&two)?;
        n_solves += 2;
        let mut length = stride(&at, &one, &two);
        for _ in 0..MAX_HALVINGS {
            // A stride of one is the second step itself.
            if !length.is_finite() || length <= 1.0 {
                break;
            }
            let far = extrapolated(&at, &one, &two, length);
            n_solves += 1;
            // Too long a stride may leave what can be solved at all; a shorter one follows.
            if let Ok(place) = solve(&far)
                && place.loss < second.loss.min(best.loss)
            {
                (at, best) = (far, place);
                break;
            }
            length = f64::midpoint(length, 1.0);
        }
        for (unknowns, place) in [(one, first), (two, second)] {
            if place.loss < best.loss {
                (at, best) = (unknowns, place);
            }
        }
        if best.loss >= before * (1.0 - RELATIVE_GAIN) {
            return Ok((best.content, n_solves));
        }
    }
    Err(Error::Mixture(format!(
        "two groups of unknowns did not settle after {n_solves} solves: one of them is hardly \
         determined; use a shorter context, or a setting without head scales"
    )))
}

fn stride(at: &[f64], one: &[f64], two: &[f64]) -> f64 {
    let (mut step, mut bend) = (0.0, 0.0);
    for ((at, one), two) in at.iter().zip(one).zip(two) {
        step += (one - at).powi(2);
        bend += (two - 2.0 * one + at).powi(2);
    }
    (step / bend).sqrt()
}

fn extrapolated(at: &[f64], one: &[f64], two: &[f64], length: f64) -> Vec<f64> {
    let places = at.iter().zip(one).zip(two);
    places
        .map(|((at, one), two)| {
            at + 2.0 * length * (one - at) + length * length * (two - 2.0 * one + at)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Alternation on a loss that shrinks the distance to 3 by the factor `rate` a step.
    fn slow(rate: f64) -> Result<(f64, usize)> {
        settled(vec![1.0], |unknowns| {
            let gap = unknowns[0] - 3.0;
            Ok(Place {
                content: unknowns[0],
                loss: 1.0 + gap * gap,
                next: vec![3.0 + rate * gap],
            })
        })
    }

    #[test]
    fn slow_alternation_arrives_in_a_few_solves() {
        for rate in [0.0, 0.5, 0.999, 1.0 - 1e-5] {
            let (found, n_solves) = slow(rate).unwrap();
            // A loss of 1 + gap^2 stands still, to its own rounding, from a gap of 1e-5 on.
            assert!((found - 3.0).abs() < 1e-5, "{rate}: {found}");
            assert!(n_solves < 40, "{rate}: {n_solves}");
        }
    }

    #[test]
    fn what_never_settles_is_an_error() {
        let counter = std::cell::Cell::new(1.0);
        let falling = |_: &[f64]| {
            counter.set(counter.get() + 1.0);
            Ok(Place {
                content: (),
                loss: 1.0 / counter.get(),
                next: vec![0.0],
            })
        };
        assert!(settled(vec![1.0], falling).is_err());
    }
}
