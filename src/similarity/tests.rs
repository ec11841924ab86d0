use proptest::prelude::*;

use super::*;
use crate::threads::pool;
use crate::tokens::Tokens;

fn atlas(tasks: &[Vec<f64>], dim: usize) -> Tokens {
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

fn settings(kernel: Kernel, direction: Direction) -> Settings {
    Settings {
        kernel,
        direction,
        k: 2,
        temperature: 0.1,
    }
}

fn score(kernel: Kernel, direction: Direction, source: &[f64], target: &[f64], dim: usize) -> f64 {
    let (sources, targets) = (
        atlas(&[source.to_vec()], dim),
        atlas(&[target.to_vec()], dim),
    );
    let sides = Sides {
        sources: &sources,
        targets: Some(&targets),
        frame: &Frame::default(),
        normalize: Normalize::Tokens,
    };
    similarity(&sides, &settings(kernel, direction), &Monitor::default()).unwrap()[0]
}

const DIRECTIONS: [Direction; 3] = [
    Direction::SourceToTarget,
    Direction::TargetToSource,
    Direction::Symmetric,
];

#[test]
fn every_kernel_is_registered_once_under_its_own_name() {
    for kernel in Kernel::ALL {
        assert_eq!(Kernel::named(kernel.about().name), Ok(kernel));
    }
    assert!(matches!(Kernel::named("max"), Err(Error::UnknownName(_))));
}

#[test]
fn the_hand_worked_example_holds() {
    let (p, q) = ([1.0, 0.0, 0.0, 1.0], [1.0, 0.0, 1.0, 0.0]);
    let max = |direction| score(Kernel::MaxPairwise, direction, &p, &q, 2);
    assert_eq!(DIRECTIONS.map(max), [0.5, 1.0, 0.75]);
    let of = |kernel| score(kernel, Direction::SourceToTarget, &p, &q, 2);
    assert_eq!(of(Kernel::MeanPairwise), 0.5);
    assert_eq!(of(Kernel::Flatten), 0.5);
    assert!((of(Kernel::FeatureMean) - 0.5f64.sqrt()).abs() < 1e-15);
}

#[test]
fn negative_maxima_stay_negative() {
    let (p, q) = ([1.0, 0.0], [-1.0, 0.0]);
    assert_eq!(
        score(Kernel::MaxPairwise, Direction::SourceToTarget, &p, &q, 2),
        -1.0
    );
    assert_eq!(
        score(Kernel::TopkMean, Direction::SourceToTarget, &p, &q, 2),
        -1.0
    );
}

#[test]
fn an_overflow_is_an_error_and_never_a_score() {
    let tokens = atlas(&[vec![1e200, -1e200], vec![1e200, 1e200]], 2);
    let sides = Sides {
        sources: &tokens,
        targets: None,
        frame: &Frame::default(),
        normalize: Normalize::Nothing,
    };
    for kernel in [
        Kernel::MaxPairwise,
        Kernel::OptimalAssignment,
        Kernel::SoftMax,
    ] {
        let settings = settings(kernel, Direction::SourceToTarget);
        let result = similarity(&sides, &settings, &Monitor::default());
        assert!(
            matches!(result, Err(Error::NonFinite(_))),
            "{kernel:?}: {result:?}"
        );
    }
}

#[test]
fn unequal_lengths_are_refused_where_positions_matter() {
    let tokens = atlas(&[vec![1.0, 0.0], vec![1.0, 0.0, 0.0, 1.0]], 2);
    let sides = Sides {
        sources: &tokens,
        targets: None,
        frame: &Frame::default(),
        normalize: Normalize::Tokens,
    };
    for kernel in Kernel::ALL {
        let settings = settings(kernel, Direction::Symmetric);
        let result = similarity(&sides, &settings, &Monitor::default());
        assert_eq!(
            result.is_err(),
            kernel.about().needs_equal_length,
            "{kernel:?}"
        );
    }
}

fn prompts() -> impl Strategy<Value = (Vec<Vec<f64>>, usize)> {
    (1usize..5, 1usize..12, 1usize..9).prop_flat_map(|(n_tasks, n_tokens, dim)| {
        let task = prop::collection::vec(-1.0..1.0f64, n_tokens * dim);
        (prop::collection::vec(task, n_tasks), Just(dim))
    })
}

proptest! {
    // Thirteen kernels in three directions make one case long.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn threads_and_batches_never_change_a_bit((tasks, dim) in prompts()) {
        let tokens = atlas(&tasks, dim);
        let frame = Frame::default();
        let sides = Sides {
            sources: &tokens,
            targets: None,
            frame: &frame,
            normalize: Normalize::Tokens,
        };
        for kernel in Kernel::ALL {
            for direction in DIRECTIONS {
                let settings = settings(kernel, direction);
                let run = |threads| {
                    let pool = pool(Some(threads)).unwrap();
                    pool.install(|| similarity(&sides, &settings, &Monitor::default())).unwrap()
                };
                let scores = run(1);
                prop_assert_eq!(&scores, &run(3));
                for (cell, &found) in scores.iter().enumerate() {
                    let (target, source) = (&tasks[cell / tasks.len()], &tasks[cell % tasks.len()]);
                    let alone = score(kernel, direction, source, target, dim);
                    prop_assert_eq!(alone.to_bits(), found.to_bits(), "{:?} {:?}", kernel, direction);
                }
            }
        }
    }
}
