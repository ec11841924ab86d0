//! Ranks of true means, given sample means that share one error variance.
//!
//! ```text
//! Formula   x_s ~ N(mu_s, v),  mu_s ~ N(m, w - v),  df * s2 / v ~ chi2(df),  prior 1 / (v sqrt(B))
//!           B = v / w in (0, 1):  p(B | x) ~ B^((n-2)/2) (df s2 + B SSB)^(-(df + n - 1)/2)
//!           v | B = (df s2 + B SSB) / chi2(df + n - 1),  m | . ~ N(mean x, v / (B n)),
//!           mu_s | . ~ N((1 - B) x_s + B m, (1 - B) v)
//! Shapes    means [n], error variance s2 of a mean, df -> draws [n]
//! Range     the real line
//! Promises  equivariant under shifts and positive scales; replicate i depends on seed and i
//! Zero rows no error and no spread: every draw is the means
//! NaN       refused
//! Precision B by inverse distribution on a grid of 4096 cells, uniform inside a cell
//! Cost      n normal numbers a draw, a grid once
//! ```
//!
//! Source: Lindley and Smith (1972). The prior of B lies between 1 / B (Tiao and Tan 1965,
//! Biometrika 52), which claims the top pick too often at two seeds, and a uniform one (Daniels
//! 1999, Canadian Journal of Statistics 27), which claims it too seldom. Both were simulated, and
//! bootstrapping the seeds: docs/consistency.md has the figures.

use rand::Rng;
use rand_distr::{ChiSquared, Distribution, StandardNormal, StudentT};

use crate::error::{Error, Result};
use crate::random::stream;

const CELLS: usize = 4096;

/// A candidate whose own score is known, while the level of all others is measured with error:
/// no transfer, beside measured gains.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Anchor {
    /// The known score.
    pub score: f64,
    /// Error variance of the others' common level, and its degrees of freedom.
    pub variance: f64,
    /// Of `variance`; at least 1.
    pub freedom: f64,
}

impl From<(f64, f64, f64)> for Anchor {
    fn from((score, variance, freedom): (f64, f64, f64)) -> Self {
        Self {
            score,
            variance,
            freedom,
        }
    }
}

/// The posterior of true means.
#[derive(Debug, Clone)]
pub struct RankModel {
    means: Vec<f64>,
    centre: f64,
    // Within and between sums of squares: df * s2, and that of the means.
    within: f64,
    between: f64,
    cumulative: Vec<f64>,
    chi: Option<ChiSquared<f64>>,
    anchor: Option<(Anchor, StudentT<f64>)>,
}

impl RankModel {
    /// From sample means [n], the estimated variance of each and its degrees of freedom.
    pub fn new(means: &[f64], variance: f64, freedom: f64, anchor: Option<Anchor>) -> Result<Self> {
        let n = means.len() as f64;
        // One mean is as good as known beside an anchor, whose error is that of the level.
        let is_alone = means.len() == 1 && anchor.is_some() && variance == 0.0;
        if !is_alone && means.len() < 2 || freedom.is_nan() || freedom <= 0.0 {
            return Err(Error::Shape(format!(
                "{} means with {freedom} degrees of freedom, expected two means and more than 0",
                means.len()
            )));
        }
        if means.iter().any(|mean| !mean.is_finite()) || !variance.is_finite() || variance < 0.0 {
            return Err(Error::NonFinite(
                "means must be finite and their variance finite and not negative".into(),
            ));
        }
        let centre = means.iter().sum::<f64>() / n;
        let between: f64 = means.iter().map(|mean| (mean - centre).powi(2)).sum();
        let within = freedom * variance;
        let order = freedom + n - 1.0;
        let log_density = |share: f64| {
            (n - 2.0) / 2.0 * share.ln() - order / 2.0 * (within + share * between).ln()
        };
        // Without error the means are the truth; without spread too, anything is.
        let chi = (within > 0.0).then(|| ChiSquared::new(order)).transpose();
        let chi = chi.map_err(|error| Error::Value(error.to_string()))?;
        let anchor = anchor.map(|own| StudentT::new(own.freedom).map(|student| (own, student)));
        let anchor = anchor
            .transpose()
            .map_err(|error| Error::Value(error.to_string()))?;
        let logs: Vec<f64> = (0..CELLS)
            .map(|cell| log_density((cell as f64 + 0.5) / CELLS as f64))
            .collect();
        let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut sum = 0.0;
        let cumulative = logs.iter().map(|log| {
            sum += (log - most).exp();
            sum
        });
        Ok(Self {
            cumulative: cumulative.collect(),
            means: means.to_vec(),
            centre,
            within,
            between,
            chi,
            anchor,
        })
    }

    /// Numbers a draw fills: one a mean, and the anchor last.
    pub fn width(&self) -> usize {
        self.means.len() + usize::from(self.anchor.is_some())
    }

    /// True means as replicate `number` of `seed` draws them, up to a common shift.
    pub fn draw(&self, seed: u64, number: u64, row: &mut [f64]) {
        let mut generator = stream(seed, number);
        if let Some((anchor, student)) = &self.anchor {
            let error = anchor.variance.sqrt() * student.sample(&mut generator);
            row[self.means.len()] = anchor.score + error;
        }
        let Some(chi) = &self.chi else {
            row[..self.means.len()].copy_from_slice(&self.means);
            return;
        };
        let share = self.share(&mut generator);
        let variance = (self.within + share * self.between) / chi.sample(&mut generator);
        let mut normal = || -> f64 { StandardNormal.sample(&mut generator) };
        let spread = variance / (share * self.means.len() as f64);
        let centre = self.centre + spread.sqrt() * normal();
        let deviation = ((1.0 - share) * variance).sqrt();
        for (slot, mean) in row.iter_mut().zip(&self.means) {
            *slot = (1.0 - share) * mean + share * centre + deviation * normal();
        }
    }

    fn share(&self, generator: &mut impl Rng) -> f64 {
        let total = self.cumulative.last().copied().unwrap_or(1.0);
        let level = unit(generator) * total;
        let cell = self.cumulative.partition_point(|&sum| sum <= level);
        // Inside (0, 1): the first cell must not give an exact 0.
        (cell.min(CELLS - 1) as f64 + unit(generator).max(1e-9)) / CELLS as f64
    }
}

// Uniform in [0, 1), 53 bits.
fn unit(generator: &mut impl Rng) -> f64 {
    (generator.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(model: &RankModel, count: u64) -> Vec<Vec<f64>> {
        let one = |number| {
            let mut row = vec![0.0; model.width()];
            model.draw(5, number, &mut row);
            row
        };
        (0..count).map(one).collect()
    }

    #[test]
    fn without_error_every_draw_is_the_means() {
        let model = RankModel::new(&[3.0, 1.0, 2.0], 0.0, 4.0, None).unwrap();
        assert!(draws(&model, 3).iter().all(|row| row == &[3.0, 1.0, 2.0]));
        assert!(RankModel::new(&[1.0], 1.0, 4.0, None).is_err());
        assert!(RankModel::new(&[1.0, f64::NAN], 1.0, 4.0, None).is_err());
    }

    #[test]
    fn far_apart_means_keep_their_order_and_close_ones_do_not() {
        let model = RankModel::new(&[100.0, 0.1, 0.0], 1.0, 10.0, None).unwrap();
        let rows = draws(&model, 400);
        assert!(rows.iter().all(|row| row[0] > row[1] && row[0] > row[2]));
        let swapped = rows.iter().filter(|row| row[2] > row[1]).count();
        assert!((120..280).contains(&swapped), "{swapped}");
    }

    #[test]
    fn one_mean_beside_an_anchor_is_compared_by_students_t() {
        let anchor = Anchor {
            score: 0.0,
            variance: 1.0,
            freedom: 2.0,
        };
        let model = RankModel::new(&[1.0], 0.0, 2.0, Some(anchor)).unwrap();
        let ahead = draws(&model, 4000)
            .iter()
            .filter(|row| row[0] > row[1])
            .count();
        // P(t_2 < 1) = 0.7887, five standard errors of 0.0065.
        assert!((3025..3284).contains(&ahead), "{ahead}");
        assert!(RankModel::new(&[1.0], 1.0, 2.0, Some(anchor)).is_err());
        assert!(RankModel::new(&[1.0], 0.0, 2.0, None).is_err());
    }

    #[test]
    fn an_anchor_moves_with_the_error_of_the_level() {
        let anchor = Anchor {
            score: 0.0,
            variance: 4.0,
            freedom: 1e6,
        };
        let model = RankModel::new(&[0.0, 0.0], 1e-12, 5.0, Some(anchor)).unwrap();
        let ahead = draws(&model, 1000)
            .iter()
            .filter(|row| row[2] > 2.0)
            .count();
        // P(N(0, 4) > 2) = 0.159, five standard errors of 0.0116.
        assert!((100..218).contains(&ahead), "{ahead}");
    }
}
