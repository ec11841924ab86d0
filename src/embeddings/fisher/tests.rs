use half::{bf16, f16};
use proptest::prelude::*;

use super::*;
use crate::tokens::Ragged;

const SIZE: usize = 5;

fn layout(shard_size: usize) -> Layout {
    Layout {
        shard_size,
        rows_per_example: 1,
        square: Square::EachExample,
    }
}

fn fisher(shard_size: usize) -> Fisher {
    Fisher::new(&[("w".into(), SIZE)], layout(shard_size)).unwrap()
}

fn feed(fisher: &mut Fisher, rows: &[f32]) -> Result<()> {
    let offsets = [0, rows.len() / SIZE];
    let batch = Stored::F32(Ragged::new(rows, &offsets, SIZE).unwrap());
    fisher.add(&[batch], None, &Monitor::default())
}

fn bits(fisher: &Fisher) -> Vec<u64> {
    let mean = fisher.mean().unwrap();
    mean[0].iter().map(|value| value.to_bits()).collect()
}

fn gradients() -> impl Strategy<Value = Vec<f32>> {
    (1usize..40).prop_flat_map(|n| prop::collection::vec(-1e3f32..1e3, n * SIZE))
}

proptest! {
    #[test]
    fn any_batches_and_any_shards_merged_in_order_give_the_bits_of_one_pass(
        rows in gradients(), shard in 1usize..9, batch in 1usize..50,
    ) {
        let mut whole = fisher(shard);
        feed(&mut whole, &rows).unwrap();
        let mut batched = fisher(shard);
        for part in rows.chunks(batch * SIZE) {
            feed(&mut batched, part).unwrap();
        }
        let mut merged = fisher(shard);
        for part in rows.chunks(shard * SIZE) {
            let mut one = fisher(shard);
            feed(&mut one, part).unwrap();
            merged.merge(&one).unwrap();
        }
        prop_assert_eq!(bits(&whole), bits(&batched));
        prop_assert_eq!(bits(&whole), bits(&merged));
        prop_assert_eq!(whole.counts(), merged.counts());
    }

    #[test]
    fn sums_stay_within_the_error_of_their_additions(rows in gradients(), shard in 1usize..9) {
        let mut found = fisher(shard);
        feed(&mut found, &rows).unwrap();
        let n = rows.len() / SIZE;
        for (column, value) in found.mean().unwrap()[0].iter().enumerate() {
            let squares = rows.iter().skip(column).step_by(SIZE);
            let exact: f64 = squares.map(|&v| f64::from(v) * f64::from(v)).sum::<f64>() / n as f64;
            // Both sides add n positive numbers, each with an error of at most n roundings.
            prop_assert!((value - exact).abs() <= 2.0 * (n + 1) as f64 * f64::EPSILON * exact);
        }
    }
}

#[test]
fn every_stored_type_gives_the_same_squares_for_numbers_they_share() {
    // More than one tile, so that a wrong column shows.
    let size = TILE + 3;
    let numbers: Vec<f32> = (0..2 * size).map(|i| (i % 17) as f32 - 8.0).collect();
    let half: Vec<f16> = numbers.iter().map(|&v| f16::from_f32(v)).collect();
    let brain: Vec<bf16> = numbers.iter().map(|&v| bf16::from_f32(v)).collect();
    let wide: Vec<f64> = numbers.iter().map(|&v| f64::from(v)).collect();
    let offsets = [0, 2];
    let batches = [
        Stored::F16(Ragged::new(&half, &offsets, size).unwrap()),
        Stored::Bf16(Ragged::new(&brain, &offsets, size).unwrap()),
        Stored::F32(Ragged::new(&numbers, &offsets, size).unwrap()),
        Stored::F64(Ragged::new(&wide, &offsets, size).unwrap()),
    ];
    let expected: Vec<f64> = (0..size)
        .map(|i| (wide[i] * wide[i] + wide[i + size] * wide[i + size]) / 2.0)
        .collect();
    for batch in batches {
        let mut fisher = Fisher::new(&[("w".into(), size)], layout(10)).unwrap();
        fisher.add(&[batch], None, &Monitor::default()).unwrap();
        assert_eq!(fisher.mean().unwrap()[0], expected);
    }
}

#[test]
fn weights_multiply_rows_and_an_example_may_have_several() {
    let mut fisher = Fisher::new(
        &[("w".into(), 1)],
        Layout {
            rows_per_example: 2,
            ..layout(3)
        },
    )
    .unwrap();
    let (rows, offsets) = ([1.0f64, 2.0, 3.0, 4.0], [0, 4]);
    let batch = Stored::F64(Ragged::new(&rows, &offsets, 1).unwrap());
    let weights = [0.5, 0.5, 0.25, 0.75];
    fisher
        .add(&[batch], Some(&weights), &Monitor::default())
        .unwrap();
    assert_eq!(fisher.mean().unwrap()[0], [(0.5 + 2.0 + 2.25 + 12.0) / 2.0]);
    let odd = Stored::F64(Ragged::new(&rows[..3], &[0, 3], 1).unwrap());
    assert!(matches!(
        fisher.add(&[odd], None, &Monitor::default()),
        Err(Error::Shape(_))
    ));
}

#[test]
fn the_square_of_a_batch_mean_depends_on_the_batch() {
    let square = Square::BatchMean;
    let mut found = Fisher::new(
        &[("w".into(), SIZE)],
        Layout {
            square,
            ..layout(4)
        },
    )
    .unwrap();
    feed(&mut found, &[[1.0f32; SIZE], [3.0; SIZE]].concat()).unwrap();
    feed(&mut found, &[5.0f32; SIZE]).unwrap();
    assert_eq!(found.counts(), [0, 2]);
    assert_eq!(found.mean().unwrap()[0], [(4.0 + 25.0) / 2.0; SIZE]);
}

#[test]
fn a_refused_batch_leaves_no_trace() {
    let mut found = fisher(3);
    feed(&mut found, &[1.0; 2 * SIZE]).unwrap();
    let before = (bits(&found), found.counts());
    // Once inside the running shard, once across its end.
    for n_rows in [1, 4] {
        let mut rows = vec![2.0f32; n_rows * SIZE];
        let last = rows.len() - 1;
        rows[last] = f32::NAN;
        let text = feed(&mut found, &rows).unwrap_err().to_string();
        let place = format!("'w': example {} (row {}", n_rows + 1, n_rows - 1);
        assert!(
            text.contains(&place) && text.contains("coordinate 4"),
            "{text}"
        );
        assert_eq!((bits(&found), found.counts()), before);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    assert!(fisher(3).mean().is_err());
    assert!(Fisher::new(&[], layout(3)).is_err());
    assert!(Fisher::new(&[("w".into(), 0)], layout(3)).is_err());
    assert!(Fisher::new(&[("w".into(), 1)], layout(0)).is_err());
    let mut first = fisher(3);
    feed(&mut first, &[1.0; SIZE]).unwrap();
    let second = first.clone();
    assert!(
        first
            .merge(&second)
            .unwrap_err()
            .to_string()
            .contains("one by one")
    );
    assert!(first.merge(&fisher(4)).is_err());
    let mut many = fisher(3);
    feed(&mut many, &[1.0; 4 * SIZE]).unwrap();
    let mut shard = fisher(3);
    feed(&mut shard, &[1.0; 3 * SIZE]).unwrap();
    assert!(shard.merge(&many).is_err());
}
