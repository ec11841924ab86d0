//! Formula      P1(lambda) = Pr[Bin(n, lambda) > theta n] (+ 1/2 Pr[=]), n odd; least squares in n
//! Shapes       lambdas [n_conditions], means [n_conditions] -> n_eff, theta, rmse
//! Range        n in {1, 3, ..., n_max}; theta = 1/2, or every threshold between two counts
//! Promises     order of conditions changes nothing; of equal fits the smallest n wins
//! Zero rows    fewer than two conditions with 0 < lambda < 1: NaN
//! NaN          a mean that is not defined gives NaN
//! Precision    f64; binomials by convolution, no factorials
//! Cost         n_max^2 n_conditions once, then n_max (x n_max) n_conditions a fit
//!
//! One prompt answers with one task, chosen as if n_eff of its examples voted. An even n is left
//! out because its curve with halved ties is the curve of n - 1.

/// Which thresholds are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threshold {
    /// theta = 1/2.
    Majority,
    /// Every theta between two counts: one task may need more votes than the other.
    Fitted,
}

/// The best vote model of a curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Vote {
    /// Examples that decide.
    pub n_eff: f64,
    /// Part of the votes the task needs.
    pub threshold: f64,
    /// Root of the mean squared misfit.
    pub rmse: f64,
}

const UNDEFINED: Vote = Vote {
    n_eff: f64::NAN,
    threshold: f64::NAN,
    rmse: f64::NAN,
};

/// Curves of every candidate at fixed lambdas, so that a replicate costs only the comparison.
#[derive(Clone, Debug)]
pub struct Curves {
    candidates: Vec<(f64, f64)>,
    curves: Vec<Vec<f64>>,
    is_defined: bool,
}

impl Curves {
    /// Tabulates the candidates up to `n_max`.
    pub fn new(lambdas: &[f64], n_max: usize, threshold: Threshold) -> Self {
        let mut candidates = Vec::new();
        let mut curves = Vec::new();
        for n in (1..=n_max).step_by(2) {
            let tails: Vec<Vec<f64>> = lambdas.iter().map(|&lambda| tails(n, lambda)).collect();
            let tried = match threshold {
                Threshold::Majority => n / 2..n / 2 + 1,
                Threshold::Fitted => 0..n,
            };
            for votes in tried {
                candidates.push((n as f64, (votes as f64 + 0.5) / n as f64));
                curves.push(tails.iter().map(|tail| tail[votes + 1]).collect());
            }
        }
        let inside = lambdas
            .iter()
            .filter(|&&lambda| lambda > 0.0 && lambda < 1.0)
            .count();
        Self {
            candidates,
            curves,
            is_defined: inside >= 2,
        }
    }

    /// The candidate closest to `means`.
    pub fn fit(&self, means: &[f64]) -> Vote {
        if !self.is_defined || means.iter().any(|mean| mean.is_nan()) {
            return UNDEFINED;
        }
        let mut best = UNDEFINED;
        let mut least = f64::INFINITY;
        for (&(n_eff, threshold), curve) in self.candidates.iter().zip(&self.curves) {
            let misfit: f64 = curve
                .iter()
                .zip(means)
                .map(|(c, m)| (c - m) * (c - m))
                .sum();
            if misfit < least {
                least = misfit;
                let rmse = (misfit / means.len() as f64).sqrt();
                best = Vote {
                    n_eff,
                    threshold,
                    rmse,
                };
            }
        }
        best
    }
}

/// Pr[Bin(n, lambda) >= votes] for votes = 0..=n.
pub fn tails(n: usize, lambda: f64) -> Vec<f64> {
    let mut mass = vec![0.0; n + 1];
    mass[0] = 1.0;
    for trial in 1..=n {
        for votes in (0..=trial).rev() {
            let from_below = if votes > 0 {
                mass[votes - 1] * lambda
            } else {
                0.0
            };
            mass[votes] = mass[votes] * (1.0 - lambda) + from_below;
        }
    }
    let mut total = 0.0;
    for votes in (0..=n).rev() {
        total += mass[votes];
        mass[votes] = total;
    }
    mass
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_votes_at_a_quarter_win_ten_times_in_sixty_four() {
        assert!((tails(3, 0.25)[2] - 10.0 / 64.0).abs() < 1e-15);
    }

    #[test]
    fn a_curve_is_fitted_by_the_candidate_that_made_it() {
        let lambdas = [0.1, 0.3, 0.5, 0.7, 0.9];
        for n in [1, 3, 5, 9] {
            let made: Vec<f64> = lambdas
                .iter()
                .map(|&lambda| tails(n, lambda)[n / 2 + 1])
                .collect();
            let vote = Curves::new(&lambdas, 21, Threshold::Majority).fit(&made);
            assert_eq!((vote.n_eff, vote.threshold), (n as f64, 0.5));
            assert!(vote.rmse < 1e-15);
        }
        let skewed: Vec<f64> = lambdas.iter().map(|&lambda| tails(7, lambda)[2]).collect();
        let vote = Curves::new(&lambdas, 21, Threshold::Fitted).fit(&skewed);
        assert_eq!((vote.n_eff, vote.threshold), (7.0, 1.5 / 7.0));
    }
}
