use proptest::prelude::*;

use super::*;
use crate::error::Error;

// The twin of every path: one product, one addition after the other, fused or not.
fn chain(path: Path, left: &[f32], right: &[f32]) -> f32 {
    let is_fused = path.name() != "portable" || cfg!(target_arch = "aarch64");
    left.iter().zip(right).fold(0.0, |sum, (&a, &b)| {
        if is_fused {
            a.mul_add(b, sum)
        } else {
            sum + a * b
        }
    })
}

fn values(count: usize) -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(
        prop_oneof![Just(0.0f32), -1e3..1e3f32, Just(-1e-30f32)],
        count,
    )
}

// Width, tokens of both sides, a shift that misaligns every slice, scales.
type Case = (usize, Vec<f32>, Vec<f32>, usize, Vec<f32>);

fn cases() -> impl Strategy<Value = Case> {
    (1usize..70, 1usize..33, 1usize..15, 0usize..4).prop_flat_map(|(dim, lanes, rows, shift)| {
        let scales = prop::collection::vec(0.0..2.0f32, rows);
        (
            Just(dim),
            values(lanes * dim),
            values(rows * dim),
            Just(shift),
            scales,
        )
    })
}

// The same numbers, `shift` numbers after where an allocation starts.
fn shifted(values: &[f32], shift: usize) -> Vec<f32> {
    let mut moved = vec![f32::NAN; shift];
    moved.extend_from_slice(values);
    moved
}

fn packed(width: usize, dim: usize, pack: impl Fn(&mut [f32])) -> Vec<f32> {
    let mut into = vec![f32::NAN; width * dim];
    pack(&mut into);
    into
}

proptest! {
    #[test]
    fn every_path_is_the_plain_chain_bit_for_bit((dim, lanes, rows, shift, scales) in cases()) {
        for path in Path::all() {
            let (width, height) = (path.lanes(), path.rows());
            let lanes = &lanes[..lanes.len().min(width * dim)];
            let rows = &rows[..rows.len().min(height * dim)];
            let (lanes_at, rows_at) = (shifted(lanes, shift), shifted(rows, shift));
            let panel = packed(width, dim, |panel| path.pack_panel(&lanes_at[shift..], dim, panel));
            let tile = packed(height, dim, |tile| path.pack_tile(&rows_at[shift..], dim, tile));
            let panel = shifted(&panel, shift);
            let mut all_scales = scales.clone();
            all_scales.resize(height, 1.0);
            let mut lying = rows.to_vec();
            for _ in rows.len() / dim..height {
                lying.extend_from_slice(&rows[rows.len() - dim..]);
            }
            let lying = shifted(&lying, shift);
            let mut whole = vec![f32::NAN; width * height];
            path.scores(&panel[shift..], Tile::Packed(&tile), &[], &mut whole);
            let mut sums = vec![0.0f32; width * height];
            for from in (0..dim).step_by(19) {
                let to = (from + 19).min(dim);
                let part = &panel[shift..][from * width..to * width];
                path.add(part, &tile[from * height..to * height], &[], &mut sums);
            }
            prop_assert_eq!(&sums, &whole, "{:?} in parts", path);
            for tile in [Tile::Lying(&lying[shift..]), Tile::Packed(&tile)] {
                let mut scores = vec![f32::NAN; width * height];
                let with = With { scales: &all_scales, ahead: &lying };
                path.scores(&panel[shift..], tile, &lying, &mut scores);
                let mut best = vec![-1.0f32; width];
                path.best(&panel[shift..], tile, with, &mut best);

                for (lane, token) in lanes.chunks_exact(dim).enumerate() {
                    let mut expected_best = -1.0f32;
                    for row in 0..height {
                        let other = &lying[shift + row * dim..][..dim];
                        let expected = chain(path, token, other);
                        prop_assert_eq!(
                            scores[row * width + lane].to_bits(), expected.to_bits(),
                            "{:?} lane {} row {}", path, lane, row
                        );
                        expected_best = expected_best.max(expected * all_scales[row]);
                    }
                    prop_assert_eq!(best[lane], expected_best);
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn maxima_along_lanes_and_rows_are_those_of_plain_loops(
        scores in prop::collection::vec(-10.0..10.0f32, 32 * 32),
        scales in prop::collection::vec(0.0..2.0f32, 32),
        (first, last) in (0usize..32, 0usize..32),
    ) {
        for path in Path::in_pairs().into_iter().chain(Path::all()) {
            let (width, height) = (path.lanes(), path.rows());
            let rows = first % height.max(1)..height;
            let scores = &scores[rows.start * width..rows.end * width];
            let mut found = vec![-1.0; width];
            path.keep(scores, &scales[rows.clone()], &mut found);
            for (lane, &found) in found.iter().enumerate() {
                let scaled = scores.chunks_exact(width).zip(&scales[rows.clone()]);
                let largest = scaled.map(|(row, scale)| row[lane] * scale).fold(-1.0, f32::max);
                prop_assert_eq!(found, largest, "{:?} lane {}", path, lane);
            }
            let lanes = first.min(last) % width..first.max(last) % width + 1;
            if lanes.is_empty() {
                continue;
            }
            let mut found = vec![-1.0; rows.len()];
            path.across(scores, &scales[..width], lanes.clone(), &mut found);
            for (row, &found) in scores.chunks_exact(width).zip(&found) {
                let scaled = lanes.clone().map(|lane| row[lane] * scales[lane]);
                prop_assert_eq!(found, scaled.fold(-1.0, f32::max), "{:?} {:?}", path, lanes);
            }
        }
    }
}

#[test]
fn neighbours_never_change_a_product() {
    for path in Path::all() {
        let (width, height, dim) = (path.lanes(), path.rows(), 37);
        let number = |seed: usize| move |at: usize| ((at * seed) % 1013) as f32 / 1013.0 - 0.5;
        let first: Vec<f32> = (0..width * dim).map(number(7919)).collect();
        let rows: Vec<f32> = (0..height * dim).map(number(104_729)).collect();
        let mut other: Vec<f32> = (0..width * dim).map(number(31)).collect();
        other[..dim].copy_from_slice(&first[..dim]);
        let run = |lanes: &[f32]| {
            let panel = packed(width, dim, |panel| path.pack_panel(lanes, dim, panel));
            let mut scores = vec![0.0; width * height];
            path.scores(&panel, Tile::Lying(&rows), &[], &mut scores);
            scores
                .chunks_exact(width)
                .map(|row| row[0].to_bits())
                .collect::<Vec<_>>()
        };
        assert_eq!(run(&first), run(&other), "{path:?}");
    }
}

#[test]
fn unknown_and_missing_paths_are_named() {
    let paths = Path::all();
    assert_eq!(Path::named("portable", &paths).unwrap().name(), "portable");
    let message = |name: &str| match Path::named(name, &paths[paths.len() - 1..]) {
        Err(Error::UnknownName(message)) => message,
        other => panic!("{other:?}"),
    };
    assert!(message("sse9").contains("expected one of portable, avx2, avx512"));
    assert!(message("avx512").contains("does not have"));
}

#[test]
fn the_measured_peak_is_a_number_of_operations_a_second() {
    for path in Path::in_pairs().into_iter().chain(Path::all()) {
        match peak(path, 1) {
            Some(found) => assert!(found > 0.1 && found < 1e5, "{found}"),
            None => assert_eq!(path.name(), "portable"),
        }
    }
}
