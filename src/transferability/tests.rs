use proptest::prelude::*;

use super::*;

const OPTIONS: Options = Options {
    k: 1,
    epsilon: 1e-4,
    temperature: 1.0,
    covariance: Covariance::Spherical,
};

fn of(method: Method, values: &[f64], dim: usize, labels: &[usize]) -> f64 {
    let features = Features::new(values.to_vec(), dim).unwrap();
    let classes = Classes::new(labels).unwrap();
    method.score(&features, &classes, &OPTIONS).unwrap()
}

fn features() -> impl Strategy<Value = (Vec<f64>, usize, Vec<usize>)> {
    (4usize..12, 1usize..6).prop_flat_map(|(n, dim)| {
        let values = prop::collection::vec(-2f64..2f64, n * dim);
        let labels = prop::collection::vec(0usize..3, n);
        (values, Just(dim), labels)
            .prop_filter("two classes", |(_, _, labels)| Classes::new(labels).is_ok())
    })
}

fn on_features() -> impl Iterator<Item = Method> {
    Method::ALL
        .into_iter()
        .filter(|method| method.about().needs == Needs::Features)
}

#[test]
fn names_are_unique_and_lead_back() {
    for method in Method::ALL {
        assert_eq!(Method::from_name(method.about().name).unwrap(), method);
    }
    assert!(Method::from_name("magic").is_err());
}

#[test]
fn separated_points_on_a_line_are_seen_by_hand() {
    let (values, labels) = ([0.0, 1.0, 10.0, 11.0], [0, 0, 1, 1]);
    assert_eq!(of(Method::Knn, &values, 1, &labels), 1.0);
    assert_eq!(of(Method::LinearProbe, &values, 1, &labels), 1.0);
    // Equal spheres of variance 1/4, 10 apart: D = 100 / (8 * 0.25) = 50, a little less by the
    // floor of 1e-6 of the mean variance 25.25.
    let distance: f64 = 100.0 / (8.0 * (0.25 + 25.25e-6));
    let found = of(Method::Gbc, &values, 1, &labels);
    assert!((found / (-2.0 * (-distance).exp()) - 1.0).abs() < 1e-12);
}

#[test]
fn the_source_that_knows_the_label_scores_highest() {
    let labels = [0, 0, 1, 1];
    assert_eq!(of(Method::Nce, &[7.0, 7.0, 3.0, 3.0], 1, &labels), 0.0);
    let useless = of(Method::Nce, &[7.0, 7.0, 7.0, 7.0], 1, &labels);
    assert!((useless + 2f64.ln()).abs() < 1e-15);
    let sure = [1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0];
    assert_eq!(of(Method::Leep, &sure, 2, &labels), 0.0);
}

#[test]
fn features_without_any_spread_are_scored_without_trouble() {
    for method in on_features() {
        for value in [0.0, 0.1, -3e50] {
            let found = of(method, &[value; 12], 3, &[0, 1, 0, 1]);
            assert!(found.is_finite(), "{}: {found}", method.about().name);
        }
    }
    assert_eq!(of(Method::HScore, &[0.1; 12], 3, &[0, 1, 0, 1]), 0.0);
    assert_eq!(of(Method::TransRate, &[0.1; 12], 3, &[0, 1, 0, 1]), 0.0);
}

#[test]
fn bad_input_is_refused_by_kind() {
    assert!(matches!(Features::new(vec![1.0], 1), Err(Error::Shape(_))));
    let nan = Features::new(vec![1.0, f64::NAN], 1);
    assert!(matches!(nan, Err(Error::NonFinite(text)) if text.contains("row 1, column 0")));
    assert!(matches!(
        Features::new(vec![1e101, 0.0], 1),
        Err(Error::Value(_))
    ));
    assert!(matches!(Classes::new(&[3, 3]), Err(Error::Shape(_))));
    let features = Features::new(vec![0.5, 0.6], 1).unwrap();
    let classes = Classes::new(&[0, 1]).unwrap();
    let leep = Method::Leep.score(&features, &classes, &OPTIONS);
    assert!(matches!(leep, Err(Error::Value(text)) if text.contains("does not sum to 1")));
}

proptest! {
    #[test]
    fn names_of_classes_change_no_bit((values, dim, labels) in features()) {
        let renamed: Vec<usize> = labels.iter().map(|label| 90 - 7 * label).collect();
        for method in on_features() {
            let before = of(method, &values, dim, &labels);
            prop_assert_eq!(before.to_bits(), of(method, &values, dim, &renamed).to_bits());
        }
    }

    #[test]
    fn a_power_of_two_changes_no_bit_of_scale_free_scores((values, dim, labels) in features()) {
        let scaled: Vec<f64> = values.iter().map(|value| value * 2f64.powi(40)).collect();
        for method in on_features().filter(|method| method.about().scale_free) {
            let before = of(method, &values, dim, &labels);
            prop_assert_eq!(before.to_bits(), of(method, &scaled, dim, &labels).to_bits());
        }
    }
}
