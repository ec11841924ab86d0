//! Formula      P_k = exp l_k, S = sum P, Pt = P / S; KL = sum pi ln(pi/P) = KL(pi||Pt) - ln S;
//!              TV, JS, Brier of Pt against pi; H(Pt)/H(pi); exp H(Pt); coverage
//! Shapes       log-probabilities [n_tasks], mixture [n_tasks] -> Metrics
//! Range        TV, coverage in [0, 1]; JS in [0, ln 2]; Brier in [0, 2]; KL in [0, inf]
//! Promises     relabelling the tasks changes nothing; terms with pi_k = 0 contribute 0
//! Zero rows    S = 0: KL and leak are inf, everything of the shape Pt is NaN
//! NaN          refused before; NaN out means "not defined for this prompt"
//! Precision    f64; shares through log-sum-exp, so answers of e^-900 keep their ratio; divergences
//!              below 4e-15 are rounding and become 0
//! Cost         n_tasks exponentials and n_tasks logarithms
//!
//! Source: arXiv 2410.05603, the authors' evaluation (KL of the product probabilities).

use crate::superposition::records::Records;
use rayon::prelude::*;

/// Names of the numbers of one prompt, in the order of `Metrics::numbers`.
pub const NAMES: [&str; 12] = [
    "total_mass",
    "other",
    "kl",
    "kl_shape",
    "leak",
    "total_variation",
    "jensen_shannon",
    "brier",
    "entropy",
    "entropy_ratio",
    "effective_tasks",
    "coverage",
];

/// Which tasks count, and what counts as covered.
#[derive(Clone, Copy, Debug)]
pub struct CoverageRule {
    /// A task is covered when its share is at least this part of its mixture share.
    pub threshold: f64,
    /// Whether tasks without an example stay in the denominator.
    pub absent_tasks: bool,
}

/// The numbers of one prompt, and what the next prompt can use again.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// In the order of `NAMES`.
    pub numbers: [f64; NAMES.len()],
    /// P_k.
    pub probabilities: Vec<f64>,
    /// Pt_k = P_k / S; NaN when S = 0.
    pub shares: Vec<f64>,
    /// S.
    pub mass: f64,
    log_mass: f64,
    // Neighbouring prompts mostly share their mixture, and its entropy costs as much as the rest.
    mixture: Vec<f64>,
    mixture_entropy: f64,
}

impl Metrics {
    /// Fills in probabilities, shares and their mass, which is all that means need.
    pub fn normalise(&mut self, log_p: &[f64]) {
        let top = log_p.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let answered = top > f64::NEG_INFINITY;
        self.shares.clear();
        self.shares.extend(
            log_p
                .iter()
                .map(|l| if answered { (l - top).exp() } else { 0.0 }),
        );
        let total: f64 = self.shares.iter().sum();
        let scale = top.exp();
        self.probabilities.clear();
        self.probabilities
            .extend(self.shares.iter().map(|part| part * scale));
        self.shares.iter_mut().for_each(|part| *part /= total);
        self.mass = total * scale;
        self.log_mass = if answered { top + total.ln() } else { top };
    }

    /// Whether any task's answer was possible.
    pub fn is_answered(&self) -> bool {
        self.log_mass > f64::NEG_INFINITY
    }

    fn set_mixture(&mut self, mixture: &[f64]) {
        if self.mixture != mixture {
            self.mixture_entropy = entropy(mixture);
            self.mixture.clear();
            self.mixture.extend_from_slice(mixture);
        }
    }
}

/// Rewrites `metrics` with the numbers of one prompt.
pub fn measure(log_p: &[f64], mixture: &[f64], rule: CoverageRule, metrics: &mut Metrics) {
    metrics.normalise(log_p);
    metrics.set_mixture(mixture);
    let (log_mass, mixture_entropy) = (metrics.log_mass, metrics.mixture_entropy);
    let answered = metrics.is_answered();
    let shares = &metrics.shares;
    let pairs = || shares.iter().copied().zip(mixture.iter().copied());
    let kl = -mixture_entropy - expected(mixture, log_p);
    let kl_shape = if answered { kl + log_mass } else { f64::NAN };
    // ln Pt_k = l_k - ln S needs no further logarithm.
    let entropy = (log_mass - expected(shares, log_p)).max(0.0);
    let entropy = if answered { entropy } else { f64::NAN };
    let middle = pairs().map(|(t, p)| plogp(0.5 * (t + p))).sum::<f64>();
    let jensen_shannon = -middle - 0.5 * (entropy + mixture_entropy);
    metrics.numbers = [
        metrics.mass,
        1.0 - metrics.mass,
        // Both may round below an exact zero; a NaN passes these comparisons unchanged.
        if kl.abs() < ROUNDING { 0.0 } else { kl },
        if kl_shape < ROUNDING { 0.0 } else { kl_shape },
        if log_mass == 0.0 { 0.0 } else { -log_mass },
        0.5 * pairs().map(|(t, p)| (t - p).abs()).sum::<f64>(),
        if jensen_shannon < ROUNDING {
            0.0
        } else {
            jensen_shannon
        },
        pairs().map(|(t, p)| (t - p) * (t - p)).sum::<f64>(),
        entropy,
        if mixture_entropy > 0.0 {
            entropy / mixture_entropy
        } else {
            f64::NAN
        },
        entropy.exp(),
        coverage(shares, mixture, rule),
    ];
}

// Divergences are differences of terms of order one, each with an error of a few 1e-16.
const ROUNDING: f64 = 4e-15;

/// sum share_k l_k, where a share of zero adds nothing.
fn expected(shares: &[f64], log_p: &[f64]) -> f64 {
    let terms = shares.iter().zip(log_p).filter(|(share, _)| **share > 0.0);
    terms.map(|(share, log_p)| share * log_p).sum()
}

fn plogp(share: f64) -> f64 {
    if share == 0.0 {
        0.0
    } else {
        share * share.ln()
    }
}

/// Metrics of every prompt: numbers `[n_prompts, 12]` and shares `[n_prompts, n_tasks]`.
pub fn measure_all(records: &Records<'_>, rule: CoverageRule) -> (Vec<f64>, Vec<f64>) {
    let n_tasks = records.n_tasks;
    let mut numbers = vec![0.0; records.n_prompts() * NAMES.len()];
    let mut shares = vec![0.0; records.n_prompts() * n_tasks];
    let rows = numbers
        .par_chunks_mut(NAMES.len())
        .zip(shares.par_chunks_mut(n_tasks));
    rows.enumerate()
        .for_each_init(Metrics::default, |metrics, (prompt, (row, share_row))| {
            let (log_p, mixture) = records.row(prompt);
            measure(log_p, mixture, rule, metrics);
            row.copy_from_slice(&metrics.numbers);
            share_row.copy_from_slice(&metrics.shares);
        });
    (numbers, shares)
}

/// sum pi ln(pi / p), where a task with pi = 0 contributes nothing and p = 0 makes it infinite.
pub fn divergence(mixture: &[f64], log_p: &[f64]) -> f64 {
    let terms = mixture.iter().zip(log_p).filter(|(share, _)| **share > 0.0);
    terms
        .map(|(share, log_p)| share * (share.ln() - log_p))
        .sum()
}

/// Entropy in nats; NaN in, NaN out.
pub fn entropy(shares: &[f64]) -> f64 {
    shares.iter().map(|&share| plogp(share)).sum::<f64>().abs()
}

/// Share of tasks that got at least `threshold` of what the mixture gives them.
pub fn coverage(shares: &[f64], mixture: &[f64], rule: CoverageRule) -> f64 {
    if shares.iter().any(|share| share.is_nan()) {
        return f64::NAN;
    }
    let counted = |share: f64| rule.absent_tasks || share > 0.0;
    let n_counted = mixture.iter().filter(|&&share| counted(share)).count();
    let covered = shares.iter().zip(mixture);
    let covered = covered.filter(|(t, p)| counted(**p) && **t >= rule.threshold * **p);
    covered.count() as f64 / n_counted as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RULE: CoverageRule = CoverageRule {
        threshold: 0.1,
        absent_tasks: false,
    };

    fn measured(probabilities: &[f64], mixture: &[f64]) -> Metrics {
        let logs: Vec<f64> = probabilities.iter().map(|p| p.ln()).collect();
        let mut metrics = Metrics::default();
        measure(&logs, mixture, RULE, &mut metrics);
        metrics
    }

    #[test]
    fn half_the_mass_in_the_right_shape_is_all_leak() {
        let numbers = measured(&[0.25, 0.25], &[0.5, 0.5]).numbers;
        assert!((numbers[2] - 2.0_f64.ln()).abs() < 1e-15);
        assert_eq!(numbers[3], 0.0);
        assert!((numbers[4] - 2.0_f64.ln()).abs() < 1e-15);
        assert!((numbers[10] - 2.0).abs() < 1e-15);
        assert_eq!(numbers[11], 1.0);
    }

    #[test]
    fn a_prompt_nobody_answers_leaks_without_end_and_has_no_shape() {
        let numbers = measured(&[0.0, 0.0], &[0.5, 0.5]).numbers;
        assert_eq!(numbers[2], f64::INFINITY);
        assert_eq!(numbers[4], f64::INFINITY);
        assert!(numbers[3].is_nan() && numbers[5].is_nan() && numbers[11].is_nan());
    }

    proptest! {
        #[test]
        fn kl_splits_into_shape_and_leak(
            raw in prop::collection::vec(1e-6..1.0_f64, 2..9),
            mass in 1e-3..1.0_f64,
        ) {
            let total: f64 = raw.iter().sum();
            let probabilities: Vec<f64> = raw.iter().map(|p| mass * p / total).collect();
            let mixture = vec![1.0 / raw.len() as f64; raw.len()];
            let numbers = measured(&probabilities, &mixture).numbers;
            prop_assert!((numbers[2] - numbers[3] - numbers[4]).abs() < 1e-12 * (1.0 + numbers[2]));
            prop_assert!(numbers[6] <= 2.0_f64.ln() + 1e-15);
            prop_assert!((0.0..=1.0).contains(&numbers[5]));
        }
    }
}
