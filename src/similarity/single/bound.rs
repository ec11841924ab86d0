//! How far a score in single precision may be from the score of the same tokens in exact numbers.

use super::Reduction;

/// Half the distance from 1 to the next `f32`.
pub const UNIT: f64 = f32::EPSILON as f64 / 2.0;

/// Roundings beside those of the sum itself: two tokens that were moved or rounded to `f32`, two
/// norms of five each, the scale, the product with it, and one for all that happens in `f64`.
pub const BESIDE: f64 = 15.0;

/// Bound on the error of every score. A sum of `dim` products, each fused or not, is off by at
/// most `gamma |p| . |q|`, and `|p| . |q|` is at most the product of the norms: Higham 2002,
/// Accuracy and Stability of Numerical Algorithms, section 3.1, `gamma = n u / (1 - n u)`.
/// Where tokens were rounded to bfloat16, `rounded` holds the largest part of a norm by which that
/// moved a token, on both sides. Maxima and means of the largest pass the bound on unchanged. A softmax mean moves by at most
/// `1 + s / temperature` times as much, `s` the largest score.
pub fn error_bound(
    dim: usize,
    largest_norms: (f64, f64),
    rounded: Option<(f64, f64)>,
    reduction: Reduction,
    is_cosine: bool,
) -> f64 {
    // Instructions for bfloat16 also drop what falls below 2^-126: with norms above 2^-50, a quarter
    // of a rounding an addition at most.
    let additions = dim as f64 * if rounded.is_some() { 1.25 } else { 1.0 };
    let roundings = (additions + BESIDE) * UNIT;
    if roundings >= 1.0 {
        return f64::INFINITY;
    }
    let largest = if is_cosine {
        1.0
    } else {
        largest_norms.0 * largest_norms.1
    };
    // A token moved by a part `r` of its norm turns by an angle of sine `r` at most, its products
    // change by that part of the norms; a thousandth covers the chord and the roundings of `r`.
    let moved = rounded.unwrap_or_default();
    let moved = 1.001 * (moved.0 + moved.1 + moved.0 * moved.1);
    let bound = largest * (roundings / (1.0 - roundings) + moved);
    match reduction {
        Reduction::Soft(temperature) => bound * (1.0 + (largest + bound) / temperature),
        Reduction::Best | Reduction::Largest(_) => bound,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{StoredSides, scores};
    use super::*;
    use crate::linalg::simd::Path;
    use crate::similarity::centre::Frame;
    use crate::similarity::{Direction, Kernel, Normalize, Settings, Sides, similarity};
    use crate::threads::{Monitor, pool};
    use crate::tokens::Tokens;

    const KERNELS: [Kernel; 3] = [Kernel::MaxPairwise, Kernel::TopkMean, Kernel::SoftMax];

    fn paths() -> Vec<Path> {
        let mut paths = Path::in_pairs();
        paths.extend(Path::all());
        paths
    }

    // Ragged prompts of numbers that bfloat16 does not hold.
    fn side() -> impl Strategy<Value = (Vec<Vec<f64>>, Vec<Vec<f64>>, usize)> {
        let number = prop_oneof![8 => -2.0..2.0f32, 1 => Just(0.0f32)];
        (1usize..70).prop_flat_map(move |dim| {
            let task = prop::collection::vec(number.clone().prop_map(f64::from), dim..=40 * dim)
                .prop_map(move |values| values[..values.len() / dim * dim].to_vec());
            let side = prop::collection::vec(task, 1..4);
            (side.clone(), side, Just(dim))
        })
    }

    fn tokens(tasks: &[Vec<f64>], dim: usize) -> Tokens {
        let mut offsets = vec![0];
        for task in tasks {
            offsets.push(offsets[offsets.len() - 1] + task.len() / dim);
        }
        Tokens {
            buffer: tasks.concat(),
            offsets,
            dim,
        }
    }

    fn scored(
        path: Path,
        (sources, targets): (&Tokens, &Tokens),
        settings: &Settings,
        normalize: Normalize,
    ) -> (Vec<f64>, f64) {
        let sides = StoredSides {
            sources: sources.stored(),
            targets: Some(targets.stored()),
            frame: &Frame::default(),
            normalize,
            rounds: true,
        };
        let reduction = Reduction::of(settings).unwrap();
        scores(path, None, &sides, settings, reduction, &Monitor::default()).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn rounded_scores_keep_their_bound_whatever_the_threads_and_neighbours(
            (sources, targets, dim) in side()
        ) {
            let (all, others) = (tokens(&sources, dim), tokens(&targets, dim));
            for path in paths() {
                for (kernel, normalize) in KERNELS
                    .into_iter()
                    .flat_map(|kernel| [Normalize::Tokens, Normalize::Nothing].map(|n| (kernel, n)))
                {
                    let direction = Direction::Symmetric;
                    let settings = Settings { kernel, direction, k: 2, temperature: 0.5 };
                    let run = |threads| {
                        let run = || scored(path, (&all, &others), &settings, normalize);
                        pool(Some(threads)).unwrap().install(run)
                    };
                    let (found, bound) = run(1);
                    prop_assert_eq!(&found, &run(3).0);
                    let frame = &Frame::default();
                    let sides = Sides { sources: &all, targets: Some(&others), frame, normalize };
                    let exact = similarity(&sides, &settings, &Monitor::default()).unwrap();
                    for (cell, (score, exact)) in found.iter().zip(&exact).enumerate() {
                        prop_assert!(
                            (score - exact).abs() <= bound * (1.0 + 1e-6),
                            "{:?} {:?}: {} {} {}", path, kernel, score, exact, bound
                        );
                        let source = tokens(&sources[cell % sources.len()..][..1], dim);
                        let target = tokens(&targets[cell / sources.len()..][..1], dim);
                        let alone = scored(path, (&source, &target), &settings, normalize).0[0];
                        prop_assert_eq!(alone.to_bits(), score.to_bits(), "{:?} {:?}", path, kernel);
                    }
                }
            }
        }
    }

    #[test]
    fn numbers_that_bfloat16_holds_lose_nothing_to_rounding() {
        let side = tokens(&[vec![1.0, -0.5, 2.0, 0.25], vec![3.0, 1.0]], 2);
        let (kernel, direction) = (Kernel::MaxPairwise, Direction::SourceToTarget);
        let settings = Settings {
            kernel,
            direction,
            k: 1,
            temperature: 1.0,
        };
        for path in paths() {
            let (found, bound) = scored(path, (&side, &side), &settings, Normalize::Nothing);
            assert_eq!(found, [2.96875, 6.25, 4.375, 10.0], "{path:?}");
            assert!(bound < 2e-5 * 10.0);
        }
    }
}
