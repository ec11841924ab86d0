//! Speed of the token product with its maximum: `cargo bench --no-default-features`.
//!
//! Prints GFLOP/s of one core, counting 2 * n_source * n_target * dim; the best of five runs.

use std::hint::black_box;
use std::time::Instant;

use kinatlas::linalg::{Inner, PANEL, Panels, SquaredDifference, Term, for_each_tile};
use kinatlas::tokens::TokenMatrix;

const SHAPES: [(usize, usize); 5] = [(100, 768), (100, 64), (20, 1024), (8, 768), (100, 4096)];
const WORK: usize = 2_000_000_000;

fn main() {
    for (n_tokens, dim) in SHAPES {
        let speeds = [
            speed::<4>(n_tokens, dim, Inner),
            speed::<6>(n_tokens, dim, Inner),
            speed::<8>(n_tokens, dim, Inner),
            speed::<12>(n_tokens, dim, Inner),
            speed::<8>(n_tokens, dim, SquaredDifference),
        ];
        println!("{n_tokens} x {n_tokens} x {dim}: rows 4, 6, 8, 12, distances {speeds:.1?}");
    }
}

fn speed<const ROWS: usize>(n_tokens: usize, dim: usize, term: impl Term) -> f64 {
    let values: Vec<f64> = (0..n_tokens * dim)
        .map(|index| (index * 7919 % 1013) as f64 / 1013.0 - 0.5)
        .collect();
    let Ok(tokens) = TokenMatrix::new(&values, dim) else {
        return 0.0;
    };
    let sources = Panels::<ROWS>::pack(tokens);
    let targets = Panels::<PANEL>::pack(tokens);
    let work = 2 * n_tokens * n_tokens * dim;
    let repeats = (WORK / work).max(1);
    let run = || {
        let start = Instant::now();
        for _ in 0..repeats {
            let mut best = f64::NEG_INFINITY;
            for_each_tile(&sources, &targets, term, |tile| {
                for row in tile.rows() {
                    best = row.iter().copied().fold(best, f64::max);
                }
            });
            black_box(best);
        }
        start.elapsed().as_secs_f64()
    };
    let seconds = (0..5).map(|_| run()).fold(f64::INFINITY, f64::min);
    (work * repeats) as f64 / seconds / 1e9
}
