use proptest::prelude::*;

use super::*;
use crate::linalg::simd::Path;
use crate::similarity::centre::Frame;
use crate::similarity::{Direction, Kernel, Normalize, Settings, Sides, similarity};
use crate::threads::{Monitor, pool};
use crate::tokens::{Ragged, Stored};

const DIRECTIONS: [Direction; 3] = [
    Direction::SourceToTarget,
    Direction::TargetToSource,
    Direction::Symmetric,
];
const KERNELS: [Kernel; 3] = [Kernel::MaxPairwise, Kernel::TopkMean, Kernel::SoftMax];

fn settings(kernel: Kernel, direction: Direction) -> Settings {
    Settings {
        kernel,
        direction,
        k: 2,
        temperature: 0.5,
    }
}

struct Side {
    values: Vec<f32>,
    offsets: Vec<usize>,
    dim: usize,
}

impl Side {
    fn new(tasks: &[Vec<f32>], dim: usize) -> Self {
        let mut offsets = vec![0];
        for task in tasks {
            offsets.push(offsets[offsets.len() - 1] + task.len() / dim);
        }
        Self {
            values: tasks.concat(),
            offsets,
            dim,
        }
    }

    fn stored(&self) -> Stored<'_> {
        Stored::F32(Ragged::new(&self.values, &self.offsets, self.dim).unwrap())
    }
}

fn scored(
    path: Path,
    sources: &Side,
    targets: &Side,
    settings: &Settings,
    normalize: Normalize,
) -> (Vec<f64>, f64) {
    let sides = StoredSides {
        sources: sources.stored(),
        targets: Some(targets.stored()),
        frame: &Frame::default(),
        normalize,
        rounds: false,
    };
    let reduction = Reduction::of(settings).unwrap();
    scores(path, None, &sides, settings, reduction, &Monitor::default()).unwrap()
}

fn in_double(
    sources: &Side,
    targets: &Side,
    settings: &Settings,
    normalize: Normalize,
) -> Vec<f64> {
    let (sources, targets) = (sources.stored().widen(), targets.stored().widen());
    let sides = Sides {
        sources: &sources,
        targets: Some(&targets),
        frame: &Frame::default(),
        normalize,
    };
    similarity(&sides, settings, &Monitor::default()).unwrap()
}

type Tasks = (Vec<Vec<f32>>, Vec<Vec<f32>>, usize);

// Ragged prompts around the borders of tiles and panels, some tokens zero.
fn tasks() -> impl Strategy<Value = Tasks> {
    let number = prop_oneof![8 => -2.0..2.0f32, 1 => Just(0.0f32)];
    (1usize..40).prop_flat_map(move |dim| {
        let task = prop::collection::vec(number.clone(), dim..=45 * dim)
            .prop_map(move |values| values[..values.len() / dim * dim].to_vec());
        let side = prop::collection::vec(task, 1..5);
        (side.clone(), side, Just(dim))
    })
}

proptest! {
    // Three kernels in three directions on three paths make one case long.
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn every_score_is_within_the_bound_of_the_double_one((sources, targets, dim) in tasks()) {
        let (sources, targets) = (Side::new(&sources, dim), Side::new(&targets, dim));
        for path in Path::all() {
            for (kernel, direction, normalize) in KERNELS.iter().flat_map(|&kernel| {
                DIRECTIONS.iter().flat_map(move |&direction| {
                    [Normalize::Tokens, Normalize::Nothing].map(|n| (kernel, direction, n))
                })
            }) {
                let settings = settings(kernel, direction);
                let exact = in_double(&sources, &targets, &settings, normalize);
                let (found, bound) = scored(path, &sources, &targets, &settings, normalize);
                for (found, exact) in found.iter().zip(&exact) {
                    // The double path rounds too, some 2^29 times less.
                    prop_assert!(
                        (found - exact).abs() <= bound * (1.0 + 1e-6),
                        "{:?} {:?} {:?}: {} {} {}", path, kernel, direction, found, exact, bound
                    );
                }
            }
        }
    }

    #[test]
    fn threads_neighbours_and_tiles_never_change_a_bit((sources, targets, dim) in tasks()) {
        let (all, others) = (Side::new(&sources, dim), Side::new(&targets, dim));
        for path in Path::all() {
            for (kernel, direction) in
                KERNELS.iter().flat_map(|&k| DIRECTIONS.iter().map(move |&d| (k, d)))
            {
                let settings = settings(kernel, direction);
                let run = |threads| {
                    let run = || scored(path, &all, &others, &settings, Normalize::Tokens).0;
                    pool(Some(threads)).unwrap().install(run)
                };
                let found = run(1);
                prop_assert_eq!(&found, &run(3));
                for (cell, score) in found.iter().enumerate() {
                    let source = Side::new(&sources[cell % sources.len()..][..1], dim);
                    let target = Side::new(&targets[cell / sources.len()..][..1], dim);
                    let alone = scored(path, &source, &target, &settings, Normalize::Tokens).0[0];
                    prop_assert_eq!(alone.to_bits(), score.to_bits(), "{:?} {:?}", path, kernel);
                }
            }
        }
    }
}

// Deterministic numbers without structure.
fn noise(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 40) as f32 / (1u32 << 24) as f32 - 0.5
    };
    (0..count).map(|_| next()).collect()
}

#[test]
fn a_side_against_itself_has_the_bits_of_two_equal_sides() {
    let dim = 5;
    let tasks: Vec<Vec<f32>> = (1..12u64)
        .map(|seed| noise(seed, (seed * seed) as usize * dim))
        .collect();
    let side = Side::new(&tasks, dim);
    for (path, direction) in Path::all()
        .into_iter()
        .flat_map(|path| DIRECTIONS.map(|direction| (path, direction)))
    {
        let settings = settings(Kernel::MaxPairwise, direction);
        let sides = StoredSides {
            sources: side.stored(),
            targets: None,
            frame: &Frame::default(),
            normalize: Normalize::Tokens,
            rounds: false,
        };
        let monitor = Monitor::default();
        let found = scores(path, None, &sides, &settings, Reduction::Best, &monitor).unwrap();
        let expected = scored(path, &side, &side, &settings, Normalize::Tokens);
        assert_eq!(found, expected, "{path:?} {direction:?}");
        assert_eq!(monitor.done(), 121);
    }
}

#[test]
fn wide_tokens_multiplied_in_parts_have_the_bits_of_one_go() {
    let dim = 2 * super::block::PART * 2 + 3;
    let tasks: Vec<Vec<f32>> = (1..9).map(|seed| noise(seed, 33 * dim)).collect();
    let target = Side::new(&[noise(99, 3 * dim), noise(98, 13 * dim)], dim);
    for path in Path::all() {
        for kernel in [Kernel::MaxPairwise, Kernel::TopkMean] {
            let settings = settings(kernel, Direction::SourceToTarget);
            let run = |side: &Side| scored(path, side, &target, &settings, Normalize::Tokens).0;
            let together = run(&Side::new(&tasks, dim));
            let narrow = run(&Side::new(&tasks[4..5], dim));
            let found = [together[4], together[tasks.len() + 4]];
            assert_eq!(found[..], narrow[..], "{path:?} {kernel:?}");
        }
    }
}

#[test]
fn long_prompts_cross_blocks_chunks_and_groups_without_a_trace() {
    let dim = 3;
    let sources = [noise(1, 600 * dim), noise(2, 7 * dim)];
    let targets = [noise(3, 4000 * dim), noise(4, dim), noise(5, 900 * dim)];
    let (sources, targets) = (Side::new(&sources, dim), Side::new(&targets, dim));
    for direction in DIRECTIONS {
        let settings = settings(Kernel::MaxPairwise, direction);
        let exact = in_double(&sources, &targets, &settings, Normalize::Tokens);
        for path in Path::all() {
            let (found, bound) = scored(path, &sources, &targets, &settings, Normalize::Tokens);
            for (found, exact) in found.iter().zip(&exact) {
                assert!(
                    (found - exact).abs() <= bound * 1.001,
                    "{path:?} {direction:?}"
                );
            }
        }
    }
}

#[test]
fn tokens_of_any_size_keep_their_direction() {
    let huge = Side::new(&[vec![1e30, 1e30], vec![1e-42, 0.0], vec![0.0, 0.0]], 2);
    for path in Path::all() {
        let settings = settings(Kernel::MaxPairwise, Direction::SourceToTarget);
        let exact = in_double(&huge, &huge, &settings, Normalize::Tokens);
        let (found, bound) = scored(path, &huge, &huge, &settings, Normalize::Tokens);
        for (found, exact) in found.iter().zip(&exact) {
            assert!((found - exact).abs() <= bound, "{found} {exact}");
        }
        assert_eq!(found[8], 0.0);
    }
}
