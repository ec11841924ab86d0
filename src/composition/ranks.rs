//! Area under the ROC curve by average ranks: ties count half.

/// `P(score of a positive > score of a negative) + P(equal) / 2`; None with one class only.
pub fn auc(scores: &[f64], labels: &[bool]) -> Option<f64> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_unstable_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let n_positive = labels.iter().filter(|&&label| label).count();
    let n_negative = labels.len() - n_positive;
    if n_positive == 0 || n_negative == 0 {
        return None;
    }
    let mut rank_sum = 0.0;
    let mut start = 0;
    while start < order.len() {
        let value = scores[order[start]];
        let tied = order[start..].iter().take_while(|&&at| scores[at] == value);
        // A NaN equals nothing, itself included; it still takes its own place.
        let end = start + tied.count().max(1);
        let positives = order[start..end].iter().filter(|&&at| labels[at]).count();
        // Ranks from 1: the average of start + 1 ..= end.
        rank_sum += positives as f64 * (start + 1 + end) as f64 / 2.0;
        start = end;
    }
    let least = (n_positive * (n_positive + 1)) as f64 / 2.0;
    Some((rank_sum - least) / (n_positive as f64 * n_negative as f64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn worked_by_hand() {
        assert_eq!(
            auc(&[0.1, 0.4, 0.35, 0.8], &[false, false, true, true]),
            Some(0.75)
        );
        assert_eq!(auc(&[1.0, 1.0, 1.0], &[true, false, true]), Some(0.5));
        assert_eq!(auc(&[1.0, 2.0], &[true, true]), None);
    }

    proptest! {
        #[test]
        fn ranks_count_what_pairs_count(
            rows in prop::collection::vec((0u8..6, any::<bool>()), 2..40)
        ) {
            let scores: Vec<f64> = rows.iter().map(|row| f64::from(row.0)).collect();
            let labels: Vec<bool> = rows.iter().map(|row| row.1).collect();
            let (mut won, mut pairs) = (0.0, 0.0);
            for (&a, _) in scores.iter().zip(&labels).filter(|row| *row.1) {
                for (&b, _) in scores.iter().zip(&labels).filter(|row| !*row.1) {
                    pairs += 1.0;
                    won += f64::from(u8::from(a > b)) + f64::from(u8::from(a == b)) / 2.0;
                }
            }
            match auc(&scores, &labels) {
                Some(found) => prop_assert!((found - won / pairs).abs() < 1e-12),
                None => prop_assert_eq!(pairs, 0.0),
            }
        }
    }
}
