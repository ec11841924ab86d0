use half::{bf16, f16};
use proptest::prelude::*;

use super::*;

fn places<E, const ROWS: usize>(rows: [&[E]; ROWS]) -> [*const E; ROWS] {
    rows.map(<[E]>::as_ptr)
}

// One running sum for each of 32 remainders, then pair by pair.
fn plain_square(row: &[f64]) -> f64 {
    let mut sums: Vec<f64> = (0..SUMS)
        .map(|lane| {
            let values = row.iter().skip(lane).step_by(SUMS);
            values.fold(0.0, |sum, value| sum + value * value)
        })
        .collect();
    while sums.len() > 1 {
        let upper = sums.split_off(sums.len() / 2);
        sums.iter_mut().zip(upper).for_each(|(a, b)| *a += b);
    }
    sums[0]
}

fn check<E: Wide, const ROWS: usize>(
    values: &[E],
    shift: usize,
    scales: [f64; ROWS],
) -> Result<(), TestCaseError> {
    let values = &values[shift.min(values.len() % ROWS)..];
    let dim = values.len() / ROWS;
    let rows: [&[E]; ROWS] = std::array::from_fn(|row| &values[row * dim..][..dim]);
    let wide = rows.map(|row| row.iter().map(|value| value.widen()).collect::<Vec<f64>>());
    let start: Vec<f64> = (0..dim).map(|at| at as f64 * 0.1 - 1.0).collect();
    let mut plain = start.clone();
    for (row, scale) in wide.iter().zip(scales) {
        for (sum, value) in plain.iter_mut().zip(row) {
            *sum += value * scale;
        }
    }
    let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    for path in Path::all() {
        let sums_of = RowSums::of(path);
        let squares = sums_of.squares(rows, places(rows));
        let expected = wide.each_ref().map(|row| plain_square(row));
        prop_assert_eq!(bits(&squares), bits(&expected), "{:?} {}", path, E::NAME);
        let mut sums = start.clone();
        sums_of.add(rows, places(rows), scales, &mut sums);
        prop_assert_eq!(bits(&sums), bits(&plain), "{:?} {}", path, E::NAME);
    }
    Ok(())
}

proptest! {
    #[test]
    fn every_path_has_the_bits_of_the_plain_sums(
        values in prop::collection::vec(
            prop_oneof![6 => -1e3..1e3f64, 1 => Just(0.0), 1 => Just(-1e-30), 1 => -1e150..1e150f64],
            4..600,
        ),
        shift in 0usize..4,
        scales in prop::array::uniform4(-2.0..2.0f64),
    ) {
        let single: Vec<f32> = values.iter().map(|&v| (v as f32).clamp(-1e30, 1e30)).collect();
        let half: Vec<f16> = values.iter().map(|&v| f16::from_f64(v.clamp(-6e4, 6e4))).collect();
        let brain: Vec<bf16> = single.iter().map(|&value| bf16::from_f32(value)).collect();
        check::<_, 4>(&values, shift, scales)?;
        check::<_, 4>(&single, shift, scales)?;
        check::<_, 4>(&half, shift, scales)?;
        check::<_, 4>(&brain, shift, scales)?;
        let [scale, ..] = scales;
        check::<_, 1>(&values, shift, [scale])?;
        check::<_, 1>(&single, shift, [scale])?;
        check::<_, 1>(&half, shift, [scale])?;
        check::<_, 1>(&brain, shift, [scale])?;
    }
}

#[test]
fn rows_without_numbers_add_nothing() {
    for path in Path::all() {
        let sums_of = RowSums::of(path);
        let nothing: [&[f32]; 4] = [&[]; 4];
        assert_eq!(sums_of.squares(nothing, places(nothing)), [0.0; 4]);
        sums_of.add(nothing, places(nothing), [1.0; 4], &mut []);
    }
}
