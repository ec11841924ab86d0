//! Worked examples of the room, and enumeration: every order a metric could meet, averaged.

use approx::assert_relative_eq;
use proptest::prelude::*;

use super::*;

const NDCG: usize = 0;
const REGRET: usize = 1;
const TOP: usize = 2;
const BEST_RANK: usize = 3;

fn protocol(gain: Gain, k: usize) -> Protocol {
    Protocol {
        gain,
        units: Units::Percent,
        k: vec![k],
    }
}

fn all(gain: Gain, k: usize, scores: &[f64], truth: &[f64]) -> Vec<Outcome> {
    protocol(gain, k)
        .outcomes(scores, truth, Some(0.0))
        .unwrap()
}

#[test]
fn the_reversed_order_of_three_scores_exactly_as_worked_by_hand() {
    let (scores, truth) = ([3.0, 2.0, 1.0], [60.0, 61.0, 62.0]);
    let percent = all(Gain::Exp2Percent, 1, &scores, &truth);
    let ndcg = percent[NDCG].unwrap();
    assert_relative_eq!(ndcg.value, 0.739667, epsilon = 5e-7);
    assert_relative_eq!(ndcg.chance, 0.862945, epsilon = 5e-7);
    let fraction = all(Gain::Exp2Fraction, 1, &scores, &truth);
    assert_relative_eq!(fraction[NDCG].unwrap().value, 0.990611, epsilon = 5e-7);
    let regret = percent[REGRET].unwrap();
    assert_relative_eq!(regret.value, 200.0 / 62.0, epsilon = 1e-14);
    assert_relative_eq!(regret.chance, 100.0 / 62.0, epsilon = 1e-14);
    assert_eq!(
        all(Gain::Linear, 3, &scores, &truth)[REGRET].unwrap().value,
        0.0
    );
}

#[test]
fn huge_percentages_do_not_overflow() {
    let ndcg = all(Gain::Exp2Percent, 1, &[1.0, 2.0], &[5000.0, 4999.0])[NDCG].unwrap();
    assert!(ndcg.value > 0.0 && ndcg.value < 1.0);
}

#[test]
fn what_has_no_meaning_has_a_reason_and_no_number() {
    let reason = |gain, k, scores: &[f64], truth: &[f64], at: usize| {
        all(gain, k, scores, truth)[at].unwrap_err()
    };
    let (low, high) = ([1.0, 2.0], [50.0, 60.0]);
    use Undefined::*;
    assert_eq!(reason(Gain::Linear, 1, &low, &[7.0, 7.0], NDCG), EqualGains);
    assert_eq!(
        reason(Gain::ClippedGain, 1, &low, &[-1.0, 0.0], NDCG),
        NoPositiveGain
    );
    assert_eq!(
        reason(Gain::Linear, 1, &low, &[1.0, -50.0], NDCG),
        NoPositiveGain
    );
    assert_eq!(
        reason(Gain::Linear, 1, &low, &[-1.0, 0.0], REGRET),
        BestNotPositive
    );
    assert_eq!(reason(Gain::Linear, 3, &low, &high, REGRET), FewerThanK);
    assert_eq!(reason(Gain::Linear, 3, &low, &high, TOP), FewerThanK);
    for correlation in [4, 5] {
        let tied = all(Gain::Linear, 1, &[1.0, 1.0], &high)[correlation];
        assert_eq!(tied.map(|metric| metric.value), Ok(0.0));
    }
    assert_eq!(reason(Gain::Linear, 1, &low, &[5.0, 5.0], 5), EqualTruth);
    let single = all(Gain::Linear, 1, &[1.0], &[50.0]);
    assert!(single.iter().all(|outcome| *outcome == Err(FewCandidates)));
    let without = protocol(Gain::ClippedGain, 1)
        .outcomes(&low, &high, None)
        .unwrap();
    assert_eq!(without[NDCG], Err(NoBaseline));
}

#[test]
fn codes_are_the_places_of_the_reasons() {
    for (place, reason) in Undefined::ALL.into_iter().enumerate() {
        assert_eq!(reason as usize, place + 1);
    }
}

#[test]
fn bad_lists_are_refused() {
    let protocol = protocol(Gain::Linear, 1);
    let run = |scores: &[f64], truth: &[f64], offsets: &[usize]| {
        evaluate_lists(
            &protocol,
            scores,
            truth,
            &[f64::NAN],
            offsets,
            &Monitor::default(),
        )
    };
    assert!(run(&[1.0, 2.0], &[1.0, 2.0], &[0, 2]).is_ok());
    assert!(matches!(run(&[1.0], &[1.0], &[0, 2]), Err(Error::Shape(_))));
    assert!(matches!(
        run(&[1.0, 2.0], &[1.0], &[0, 2]),
        Err(Error::Shape(_))
    ));
    assert!(matches!(
        run(&[1.0, f64::NAN], &[1.0, 2.0], &[0, 2]),
        Err(Error::NonFinite(_))
    ));
    let zero = Protocol {
        k: vec![0],
        ..protocol.clone()
    };
    assert!(matches!(
        zero.outcomes(&[1.0], &[1.0], None),
        Err(Error::Value(_))
    ));
}

#[test]
fn means_leave_out_what_is_missing() {
    let metrics = ndarray::array![
        [[1.0, 0.5, 2.0]],
        [[f64::NAN, f64::NAN, f64::NAN]],
        [[3.0, 0.5, 2.0]],
        [[f64::NAN, f64::NAN, f64::NAN]]
    ];
    let summary = summarise(metrics.view(), &[0, 0, 0, 1], 2).unwrap();
    assert_eq!(summary.n_defined.to_vec(), [1]);
    assert_eq!(summary.overall.row(0).to_vec(), [2.0, 0.5, 2.0, 1.0]);
    assert!(summary.per_target[[1, 0, 0]].is_nan());
    assert!(summarise(metrics.view(), &[0, 0, 0, 2], 2).is_err());
    let scores = ndarray::array![[[1.0, f64::NAN], [f64::NAN, f64::NAN]]];
    let baseline = ndarray::array![[0.25, 0.5]];
    let gains = seed_means(scores.view(), Some(baseline.view())).unwrap();
    assert_eq!(gains[[0, 0]], 0.75);
    assert!(gains[[0, 1]].is_nan());
    assert!(seed_means(scores.view(), Some(baseline.t())).is_err());
}

fn orders(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![vec![]];
    }
    let shorter = orders(n - 1);
    let places = shorter.iter().flat_map(|order| {
        (0..n).map(move |place| {
            let mut longer = order.clone();
            longer.insert(place, n - 1);
            longer
        })
    });
    places.collect()
}

// The metric of one order without ties: candidate `order[r]` at rank r gets a score of its own.
fn without_ties(at: usize, gain: Gain, k: usize, order: &[usize], truth: &[f64]) -> Option<f64> {
    let mut scores = vec![0.0; truth.len()];
    for (rank, &candidate) in order.iter().enumerate() {
        scores[candidate] = -(rank as f64);
    }
    all(gain, k, &scores, truth)[at]
        .ok()
        .map(|metric| metric.value)
}

proptest! {
    #[test]
    fn ties_and_chance_are_means_over_all_orders(
        pairs in prop::collection::vec((0u8..3, -2i8..9), 2..6),
        k in 1usize..6,
        gain in prop::sample::select(Gain::ALL.to_vec()),
    ) {
        let scores: Vec<f64> = pairs.iter().map(|pair| f64::from(pair.0)).collect();
        let truth: Vec<f64> = pairs.iter().map(|pair| f64::from(pair.1)).collect();
        let outcomes = all(gain, k, &scores, &truth);
        for at in [NDCG, REGRET, TOP, BEST_RANK] {
            let Ok(metric) = outcomes[at] else { continue };
            let values = |compatible: &dyn Fn(&[usize]) -> bool| -> f64 {
                let kept: Vec<f64> = orders(truth.len())
                    .iter()
                    .filter(|order| compatible(order))
                    .filter_map(|order| without_ties(at, gain, k, order, &truth))
                    .collect();
                kept.iter().sum::<f64>() / kept.len() as f64
            };
            let chance = values(&|_| true);
            let value = values(&|order| {
                order.windows(2).all(|pair| scores[pair[0]] >= scores[pair[1]])
            });
            // 120 orders of at most 6 terms each: some hundred roundings of numbers below 100.
            prop_assert!((metric.chance - chance).abs() < 1e-11);
            prop_assert!((metric.value - value).abs() < 1e-11);
        }
    }

    #[test]
    fn the_order_of_candidates_does_not_change_a_bit(
        pairs in prop::collection::vec((0u8..4, 0.0f64..100.0), 2..9),
        turn in 0usize..8,
    ) {
        let split = |pairs: &[(u8, f64)]| -> (Vec<f64>, Vec<f64>) {
            pairs.iter().map(|pair| (f64::from(pair.0), pair.1)).unzip()
        };
        let mut turned = pairs.clone();
        turned.rotate_left(turn % pairs.len());
        let (scores, truth) = split(&pairs);
        let (turned_scores, turned_truth) = split(&turned);
        for gain in Gain::ALL {
            prop_assert_eq!(
                all(gain, 2, &scores, &truth),
                all(gain, 2, &turned_scores, &turned_truth)
            );
        }
    }
}
