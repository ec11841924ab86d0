use proptest::prelude::*;

use super::*;

// The two orders of addition, coordinate by coordinate; bfloat16 products are exact in `f32`.
fn chain(path: Path, left: &[f32], right: &[f32]) -> f32 {
    let at = |row: &[f32], index: usize| row.get(index).copied().unwrap_or(0.0);
    let product = |index: usize| at(left, index) * at(right, index);
    if path.name() == "avx512bf16" {
        return (0..left.len().div_ceil(2)).fold(0.0, |sum, word| {
            (sum + product(2 * word + 1)) + product(2 * word)
        });
    }
    (0..left.len().div_ceil(32)).fold(0.0, |sum, step| {
        let half =
            |from: usize| (0..16).fold(0.0, |s, word| s + product(32 * step + 2 * word + from));
        sum + (half(0) + half(1))
    })
}

fn values(count: usize) -> impl Strategy<Value = Vec<f32>> {
    let value = prop_oneof![Just(0.0f32), -1e3..1e3f32, Just(-1e-9f32)];
    prop::collection::vec(value.prop_map(rounded_to_bf16), count)
}

proptest! {
    #[test]
    fn every_path_is_the_plain_chain_bit_for_bit(
        (dim, lanes, rows) in (1usize..150, 1usize..33, 1usize..33).prop_flat_map(|(dim, lanes, rows)| {
            (Just(dim), values(lanes * dim), values(rows * dim))
        }),
        scale in 0.0..2.0f32,
    ) {
        for path in Path::in_pairs() {
            let (width, height, words) = (path.lanes(), path.rows(), path.words(dim));
            let rows = &rows[..rows.len().min(height * dim)];
            let mut panel = vec![f32::NAN; width * words];
            path.pack_panel(&lanes, dim, &mut panel);
            let mut tile = vec![f32::NAN; height * words];
            path.pack_tile(rows, dim, &mut tile);
            let scales = vec![scale; height];
            let mut scores = vec![f32::NAN; width * height];
            path.scores(&panel, Tile::Packed(&tile), &scales, &mut scores);
            let mut best = vec![-1.0f32; width];
            path.best(&panel, Tile::Packed(&tile), &scales, &mut best);
            for (lane, token) in lanes.chunks_exact(dim).enumerate() {
                let mut expected_best = -1.0f32;
                for row in 0..height {
                    let last = rows.len() / dim - 1;
                    let other = &rows[row.min(last) * dim..][..dim];
                    let expected = chain(path, token, other) * scale;
                    prop_assert_eq!(
                        scores[row * width + lane], expected, "{:?} lane {} row {}", path, lane, row
                    );
                    expected_best = expected_best.max(expected);
                }
                prop_assert_eq!(best[lane], expected_best);
            }
        }
    }
}

#[test]
fn paths_for_bfloat16_are_chosen_by_name_and_never_for_f32() {
    for path in Path::in_pairs() {
        assert_eq!(
            Path::named(path.name(), &Path::in_pairs()).unwrap().name(),
            path.name()
        );
        assert!(!path.adds_parts() && Path::all().iter().all(|other| other.name() != path.name()));
    }
    let missing = Path::named("amx", &Path::all());
    assert!(
        matches!(missing, Err(Error::UnknownName(message)) if message.contains("does not have"))
    );
}
