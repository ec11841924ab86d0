use proptest::prelude::*;

use super::super::{Reduction, StoredSides, scores};
use super::*;
use crate::linalg::round_row;
use crate::similarity::centre::Frame;
use crate::similarity::{Direction, Kernel, Normalize, Settings};
use crate::threads::{Monitor, pool};
use crate::tokens::{Ragged, Stored};

const DIRECTIONS: [Direction; 3] = [
    Direction::SourceToTarget,
    Direction::TargetToSource,
    Direction::Symmetric,
];

fn screens() -> Vec<Path> {
    let mut paths = Path::in_pairs();
    paths.extend(Path::all());
    paths.extend(Path::in_quads());
    paths
}

struct Prompts {
    values: Vec<f32>,
    offsets: Vec<usize>,
    dim: usize,
}

impl Prompts {
    fn new(tasks: &[Vec<f32>], dim: usize) -> Self {
        let mut offsets = vec![0];
        for task in tasks {
            offsets.push(offsets[offsets.len() - 1] + task.len() / dim);
        }
        let values = tasks.concat();
        Self {
            values,
            offsets,
            dim,
        }
    }

    fn stored(&self) -> Stored<'_> {
        Stored::F32(Ragged::new(&self.values, &self.offsets, self.dim).unwrap())
    }
}

type Scores = (Vec<u64>, f64);

fn scored(
    path: Path,
    screen: Option<&Screen>,
    (sources, targets): (&Prompts, Option<&Prompts>),
    direction: Direction,
    normalize: Normalize,
) -> Scores {
    let settings = Settings {
        kernel: Kernel::MaxPairwise,
        direction,
        k: 1,
        temperature: 1.0,
    };
    let sides = StoredSides {
        sources: sources.stored(),
        targets: targets.map(Prompts::stored),
        frame: &Frame::default(),
        normalize,
        rounds: false,
    };
    let run = || {
        let monitor = Monitor::default();
        scores(path, screen, &sides, &settings, Reduction::Best, &monitor).unwrap()
    };
    let (found, bound) = pool(Some(2)).unwrap().install(run);
    (found.into_iter().map(f64::to_bits).collect(), bound)
}

// Tokens of which many are equal, nearly equal, zero, tiny or huge, or all of one cluster.
fn prompts() -> impl Strategy<Value = (Vec<Vec<f32>>, Vec<Vec<f32>>, usize)> {
    let number = prop_oneof![
        6 => -2.0..2.0f32,
        1 => Just(0.0f32),
        1 => Just(1e-39f32),
        1 => Just(1.0f32 + 1.0 / 256.0),
    ];
    let kind = 0..6usize;
    (1usize..40).prop_flat_map(move |dim| {
        let token = prop::collection::vec(number.clone(), dim);
        let task = (
            token.clone(),
            prop::collection::vec(token, 1..45),
            kind.clone(),
        );
        let task = task.prop_map(|(centre, tokens, kind)| made(&centre, tokens, kind));
        let side = prop::collection::vec(task, 1..5);
        (side.clone(), side, Just(dim))
    })
}

fn made(centre: &[f32], tokens: Vec<Vec<f32>>, kind: usize) -> Vec<f32> {
    let near =
        |step: f32| move |(at, value): (usize, &f32)| centre[at % centre.len()] + step * value;
    let moved = |token: &Vec<f32>| -> Vec<f32> {
        let each = token.iter().enumerate();
        match kind {
            0 => centre.to_vec(),
            1 => each.map(near(1e-3)).collect(),
            2 => each.map(near(1e-7)).collect(),
            3 => token.iter().map(|value| value * 1e15).collect(),
            4 => token.iter().map(|value| value * 1e-13).collect(),
            _ => token.clone(),
        }
    };
    tokens.iter().flat_map(moved).collect()
}

proptest! {
    // Three paths, three directions, two sides and six screens make one case long.
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn a_certified_screen_changes_no_bit((sources, targets, dim) in prompts()) {
        let (sources, targets) = (Prompts::new(&sources, dim), Prompts::new(&targets, dim));
        for path in Path::all() {
            for others in [Some(&targets), None] {
                for direction in DIRECTIONS {
                    for normalize in [Normalize::Tokens, Normalize::Nothing] {
                        let sides = (&sources, others);
                        let plain = scored(path, None, sides, direction, normalize);
                        for screen in screens() {
                            let screen = Screen::new(screen, true, true);
                            let found = scored(path, Some(&screen), sides, direction, normalize);
                            prop_assert_eq!(&found, &plain, "{:?} {:?}", path, screen);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn what_leads_the_screen_is_within_the_stated_error((sources, targets, dim) in prompts()) {
        let (sources, targets) = (Prompts::new(&sources, dim), Prompts::new(&targets, dim));
        let path = Path::chosen().unwrap();
        for direction in DIRECTIONS {
            let sides = (&sources, Some(&targets));
            let (exact, _) = scored(path, None, sides, direction, Normalize::Tokens);
            for screen in screens() {
                let screen = Screen::new(screen, true, false);
                let (found, bound) =
                    scored(path, Some(&screen), sides, direction, Normalize::Tokens);
                for (&found, &exact) in found.iter().zip(&exact) {
                    let (found, exact) = (f64::from_bits(found), f64::from_bits(exact));
                    prop_assert!(found <= exact && exact - found <= bound, "{found} {exact} {bound}");
                }
            }
        }
    }
}

// The screen's and the chain's score of two tokens, and the bound between them.
fn gap(path: Path, screen: Path, left: &[f32], right: &[f32]) -> (f32, f32) {
    let frame = Frame::default();
    let dim = left.len();
    let side = |token: &[f32], role| {
        let prompts = Prompts::new(&[token.to_vec()], dim);
        let rows = Rows::new(prompts.stored(), &frame, Normalize::Nothing, false);
        let side = Side::new(screen, &rows, 0..1, role);
        (side.packed(0).to_vec(), side.lengths[0], side.moved[0])
    };
    let (panel, length, moved) = side(left, Role::Lanes);
    let (tile, other_length, other_moved) = side(right, Role::Tiles);
    let mut found = vec![0.0; screen.lanes() * screen.rows()];
    let tile = crate::linalg::simd::Tile::Packed(&tile);
    screen.scores(&panel, tile, &[], &mut found);
    let chain = path.chains(&[left; 16], &[right; 16])[0];
    let reach = bound::reach(1.0, other_length, other_moved, moved, bound::gamma(dim));
    ((found[0] - chain).abs(), length * reach)
}

#[test]
fn the_bound_holds_where_every_rounding_points_the_same_way() {
    // Halfway between two bfloat16, or two integers of 8 bits, less a little: every coordinate is
    // rounded down, or up, by as much as can be, and the tokens are parallel, where Cauchy-Schwarz is
    // an equation. The first coordinate sets the step of integers.
    for dim in [1, 2, 31, 33, 768, 4097, 30_000] {
        for below in [
            1.0f32 + 2f32.powi(-8) - 2f32.powi(-20),
            1.0 + 2f32.powi(-8) + 2f32.powi(-20),
        ] {
            for size in [1.0, 1e-14, 1e17] {
                let size = size / (dim as f32).sqrt();
                let power = 2f32.powi(size.log2().floor() as i32);
                for path in Path::all() {
                    for screen in screens() {
                        let mut token = vec![below * power; dim];
                        if screen.reads_quads() {
                            // The same side of a half, further off: the step rounds too.
                            let off = 2048.0 * (below - 1.0 - 2f32.powi(-8));
                            token.fill((63.5 + off) / 127.0 * power);
                            token[0] = power;
                        }
                        let (gap, bound) = gap(path, screen, &token, &token);
                        assert!(gap <= bound, "{dim} {path:?} {screen:?}: {gap} {bound}");
                        // Not by luck: nearly the whole of the bound is needed.
                        let is_one_alone = screen.reads_quads() && dim < 31;
                        assert!(
                            dim > 768 || is_one_alone || gap > 0.5 * bound,
                            "{dim} {screen:?}: {gap} {bound}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn the_bound_holds_where_sums_round_one_way_and_tokens_not_at_all() {
    // Numbers that bfloat16 holds: what is left are the sums, and each addition loses its half. Integers
    // of 8 bits lose nearly all of them.
    for dim in [33, 768, 4097] {
        let mut left = vec![2f32.powi(-12); dim];
        left[0] = 1.0;
        let mut right = vec![2f32.powi(-13) * 1.5; dim];
        right[0] = 1.0;
        assert_eq!(round_row(&mut left.clone()), 0.0);
        for path in Path::all() {
            for screen in screens() {
                let (gap, bound) = gap(path, screen, &left, &right);
                assert!(gap <= bound, "{dim} {path:?} {screen:?}: {gap} {bound}");
            }
        }
    }
}

#[test]
fn nearly_equal_tokens_are_left_to_the_tile_and_distinct_ones_are_not() {
    let (dim, n_tokens) = (64, 100);
    let wave = |seed: usize, at: usize| ((seed * 7919 + at * 104_729) as f32 * 0.618).sin();
    let task = |size: f32| -> Vec<f32> {
        (0..n_tokens * dim)
            .map(|at| wave(1, at % dim) * (1.0 - size) + size * wave(at / dim + 2, at % dim))
            .collect()
    };
    let share = |size: f32| {
        let prompts = Prompts::new(&[task(size), task(size)], dim);
        let screen = Screen::new(screens()[0], true, true);
        let path = Path::chosen().unwrap();
        let sides = (&prompts, None);
        for direction in DIRECTIONS {
            let plain = scored(path, None, sides, direction, Normalize::Tokens);
            let found = scored(path, Some(&screen), sides, direction, Normalize::Tokens);
            assert_eq!(found, plain);
        }
        let (n_pairs, n_exact) = screen.seen().unwrap();
        n_exact as f64 / n_pairs as f64
    };
    assert!(share(1e-5) > 0.9);
    assert!(share(1.0) < 0.1);
}

#[test]
fn longer_prompts_than_a_unit_are_cut_without_a_trace() {
    let dim = 3;
    let wave = |at: usize| (at as f32 * 0.37).sin();
    let long: Vec<f32> = (0..700 * dim).map(wave).collect();
    let short: Vec<f32> = (0..7 * dim).map(|at| wave(at + 9)).collect();
    let left = Prompts::new(&[short.clone(), long.clone(), short.clone()], dim);
    let right = Prompts::new(&[long, short], dim);
    for others in [Some(&right), None] {
        for direction in DIRECTIONS {
            let sides = (&left, others);
            let path = Path::chosen().unwrap();
            let plain = scored(path, None, sides, direction, Normalize::Tokens);
            for screen in screens() {
                let screen = Screen::new(screen, true, true);
                let found = scored(path, Some(&screen), sides, direction, Normalize::Tokens);
                assert_eq!(found, plain);
            }
        }
    }
}
