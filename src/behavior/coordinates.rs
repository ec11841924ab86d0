//! Answers as coordinates that a prompt's bias does not move.
//!
//! ```text
//! Formula   q = (R p + a) / (R + C a), p the mean of R answers; logit: log q_c - mean over c;
//!           probability: q_c - 1/C; rank: average rank of q_c over probes / n, less 1/2
//! Shapes    answers [n_boxes, n_probes, n_replicates, C], NaN missing -> [n_boxes, n_probes, C]
//! Range     rank within [-1/2, 1/2], probability within [-1, 1]
//! Promises  after centring over probes a shift of a box's logits changes no logit coordinate
//! Zero rows a probability below `floor` counts as `floor`
//! NaN       a probe without any answer is NaN in all its coordinates
//! Precision f64
//! Cost      one logarithm a cell; rank sorts each column
//! ```
//!
//! Source: Jeffreys (1946) for a = 1/2; Aitchison (1986) for the centred log-ratio; Zhou et al.
//! (2023), "Batch calibration", for centring over probes.

use ndarray::{Array3, ArrayView2, ArrayView4, Axis};

use crate::error::{Error, Result};

/// How answers become coordinates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Centred log-ratio.
    Logit,
    /// Share less the even share.
    Probability,
    /// Rank over probes.
    Rank,
    /// As they are: numbers and vectors.
    Identity,
}

impl Link {
    /// Finds a link by name.
    pub fn from_name(name: &str) -> Result<Self> {
        match name {
            "logit" => Ok(Self::Logit),
            "probability" => Ok(Self::Probability),
            "rank" => Ok(Self::Rank),
            "identity" => Ok(Self::Identity),
            _ => Err(Error::UnknownName(format!(
                "link='{name}' is unknown; expected one of: logit, probability, rank, identity"
            ))),
        }
    }
}

/// What turns answers into coordinates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Codec {
    /// How.
    pub link: Link,
    /// Pseudo-count `a` of every label; 0 for probabilities.
    pub smoothing: f64,
    /// Least probability a logarithm sees.
    pub floor: f64,
    /// Trailing columns that are averaged and otherwise left as they are.
    pub n_plain: usize,
}

impl Codec {
    /// Coordinates of one probe from the answers that `rows` picks, into `out`; false, and NaN,
    /// where none of them is there.
    pub fn encode(&self, answers: ArrayView2<'_, f64>, rows: &[usize], out: &mut [f64]) -> bool {
        out.fill(0.0);
        let mut count = 0.0;
        for &row in rows {
            let answer = answers.row(row);
            if answer[0].is_nan() {
                continue;
            }
            count += 1.0;
            out.iter_mut()
                .zip(answer)
                .for_each(|(sum, value)| *sum += value);
        }
        if count == 0.0 {
            out.fill(f64::NAN);
            return false;
        }
        out.iter_mut().for_each(|sum| *sum /= count);
        let (labels, _) = out.split_at_mut(out.len() - self.n_plain);
        self.link_labels(labels, count);
        true
    }

    fn link_labels(&self, labels: &mut [f64], count: f64) {
        let n_labels = labels.len() as f64;
        let total = count + n_labels * self.smoothing;
        if self.link != Link::Identity {
            let smooth = |mean: f64| (mean * count + self.smoothing) / total;
            labels.iter_mut().for_each(|share| *share = smooth(*share));
        }
        match self.link {
            Link::Logit => {
                labels
                    .iter_mut()
                    .for_each(|share| *share = share.max(self.floor).ln());
                let mean = labels.iter().sum::<f64>() / n_labels;
                labels.iter_mut().for_each(|logit| *logit -= mean);
            }
            Link::Probability => labels.iter_mut().for_each(|share| *share -= 1.0 / n_labels),
            Link::Rank | Link::Identity => {}
        }
    }
}

/// Coordinates `[n_boxes, n_probes, n_labels]` of all answers.
pub fn coordinates(answers: ArrayView4<'_, f64>, codec: Codec) -> Result<Array3<f64>> {
    let (n_boxes, n_probes, n_replicates, n_labels) = answers.dim();
    if answers.is_empty() || codec.n_plain >= n_labels {
        return Err(Error::Shape(format!(
            "answers have shape {:?}, expected at least one of everything",
            answers.dim()
        )));
    }
    let rows: Vec<usize> = (0..n_replicates).collect();
    let mut found = Array3::zeros((n_boxes, n_probes, n_labels));
    let mut out = vec![0.0; n_labels];
    for (mut own, given) in found.outer_iter_mut().zip(answers.outer_iter()) {
        for (mut row, answer) in own.outer_iter_mut().zip(given.outer_iter()) {
            codec.encode(answer, &rows, &mut out);
            row.iter_mut()
                .zip(&out)
                .for_each(|(slot, value)| *slot = *value);
        }
        if codec.link == Link::Rank {
            let kept = n_labels - codec.n_plain;
            for mut column in own.axis_iter_mut(Axis(1)).take(kept) {
                let ranks = rank_shares(&column.to_vec());
                column
                    .iter_mut()
                    .zip(ranks)
                    .for_each(|(slot, rank)| *slot = rank);
            }
        }
    }
    Ok(found)
}

/// Average ranks from 1, over n, less the mean; NaN stays NaN.
pub fn rank_shares(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len())
        .filter(|&at| !values[at].is_nan())
        .collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let n = order.len() as f64;
    let mut ranks = vec![f64::NAN; values.len()];
    let mut start = 0;
    while start < order.len() {
        let mut end = start + 1;
        while end < order.len() && values[order[end]] == values[order[start]] {
            end += 1;
        }
        let rank = (start + 1 + end) as f64 / 2.0;
        for &at in &order[start..end] {
            ranks[at] = (rank - (n + 1.0) / 2.0) / n;
        }
        start = end;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use ndarray::Array4;

    use super::*;

    #[test]
    fn a_hand_worked_answer() {
        let mut answers = Array4::zeros((1, 1, 2, 2));
        answers[[0, 0, 0, 0]] = 1.0;
        answers[[0, 0, 1, 0]] = 1.0;
        let codec = Codec {
            link: Link::Logit,
            smoothing: 0.5,
            floor: 1e-9,
            n_plain: 0,
        };
        let found = coordinates(answers.view(), codec).unwrap();
        // (2 + 1/2) / 3 against (0 + 1/2) / 3: half the logarithm of 5 each way.
        assert!((found[[0, 0, 0]] - 5f64.ln() / 2.0).abs() < 1e-12);
        assert!((found[[0, 0, 1]] + 5f64.ln() / 2.0).abs() < 1e-12);
    }

    #[test]
    fn equal_values_share_their_rank() {
        assert_eq!(
            rank_shares(&[3.0, 1.0, 3.0]),
            [0.5 / 3.0, -1.0 / 3.0, 0.5 / 3.0]
        );
    }
}
