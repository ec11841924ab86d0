//! Every source token against every target token, in register tiles.

use pulp::{Arch, Simd, WithSimd};

use super::panels::Panels;

// GFLOP/s in f64 (`cargo bench --bench product`) of 4, 6, 8 and 12 source rows on one core of an
// Intel Xeon with AVX-512, shared with other jobs, CPU time: 100 x 100 tokens of 768 27.5, 32.5,
// 27.6, 32.0; 8 x 8 tokens of 768 19, 18, 32, 23. Without fused operations the core cannot exceed
// about 40. Eight sums cover the latency of an addition, leave half of the 16 registers of AVX2
// free, and let one layout serve both sides.

/// Tokens per panel, on both sides: a tile is 8 x 8, one AVX-512 register of f64 wide; a narrower
/// processor sweeps it in several columns.
pub const PANEL: usize = 8;

/// One prompt as the product reads it, on either side.
pub type TokenPanels = Panels<PANEL>;

/// What one coordinate of a token pair adds to the pair's sum.
pub trait Term: Copy {
    /// The sums of one source token against several target tokens after this coordinate.
    fn add<S: Simd>(simd: S, sums: S::f64s, source: S::f64s, targets: S::f64s) -> S::f64s;
}

/// `sum of p_h * q_h`
#[derive(Debug, Clone, Copy)]
pub struct Inner;

impl Term for Inner {
    // No fused multiply-add: processors without it would round differently.
    #[inline(always)]
    fn add<S: Simd>(simd: S, sums: S::f64s, source: S::f64s, targets: S::f64s) -> S::f64s {
        simd.add_f64s(sums, simd.mul_f64s(source, targets))
    }
}

/// `sum of (p_h - q_h)^2`; taken from differences, because `|p|^2 + |q|^2 - 2pq` would lose half
/// of the digits where tokens nearly coincide.
#[derive(Debug, Clone, Copy)]
pub struct SquaredDifference;

impl Term for SquaredDifference {
    #[inline(always)]
    fn add<S: Simd>(simd: S, sums: S::f64s, source: S::f64s, targets: S::f64s) -> S::f64s {
        let difference = simd.sub_f64s(source, targets);
        simd.add_f64s(sums, simd.mul_f64s(difference, difference))
    }
}

/// Scores of a few source tokens against one panel of target tokens.
#[derive(Debug)]
pub struct Tile<'a, const ROWS: usize, const LANES: usize> {
    /// Number of the first source token.
    pub first_row: usize,
    /// Number of the first target token.
    pub first_column: usize,
    n_rows: usize,
    n_columns: usize,
    scores: &'a [[f64; LANES]; ROWS],
}

impl<const ROWS: usize, const LANES: usize> Tile<'_, ROWS, LANES> {
    /// Scores of each real source token against the real target tokens of the panel.
    #[inline(always)]
    pub fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.scores[..self.n_rows]
            .iter()
            .map(|row| &row[..self.n_columns])
    }
}

/// Calls `visit` once per tile: source panels outermost, target panels in order.
pub fn for_each_tile<T: Term, const ROWS: usize, const LANES: usize>(
    sources: &Panels<ROWS>,
    targets: &Panels<LANES>,
    term: T,
    visit: impl FnMut(Tile<'_, ROWS, LANES>),
) {
    Arch::new().dispatch(Sweep {
        sources,
        targets,
        term,
        visit,
    });
}

/// Calls `visit(row, scores)` once per source token with its scores against all target tokens.
/// Only `ROWS` rows of scores exist at a time.
pub fn for_each_row<T: Term, const ROWS: usize, const LANES: usize>(
    sources: &Panels<ROWS>,
    targets: &Panels<LANES>,
    term: T,
    mut visit: impl FnMut(usize, &[f64]),
) {
    let width = targets.n_tokens();
    let mut strip = vec![0.0; ROWS * width];
    for_each_tile(sources, targets, term, |tile| {
        let n_columns = tile.n_columns;
        for (scores, row) in tile.rows().zip(strip.chunks_exact_mut(width)) {
            row[tile.first_column..tile.first_column + n_columns].copy_from_slice(scores);
        }
        if tile.first_column + n_columns == width {
            for (offset, row) in strip.chunks_exact(width).take(tile.n_rows).enumerate() {
                visit(tile.first_row + offset, row);
            }
        }
    });
}

struct Sweep<'a, T, F, const ROWS: usize, const LANES: usize> {
    sources: &'a Panels<ROWS>,
    targets: &'a Panels<LANES>,
    term: T,
    visit: F,
}

impl<T, F, const ROWS: usize, const LANES: usize> WithSimd for Sweep<'_, T, F, ROWS, LANES>
where
    T: Term,
    F: FnMut(Tile<'_, ROWS, LANES>),
{
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        for (first_row, n_rows, source) in self.sources.iter() {
            for (first_column, n_columns, target) in self.targets.iter() {
                let scores = tile_scores(simd, source, target, self.term);
                (self.visit)(Tile {
                    first_row,
                    first_column,
                    n_rows,
                    n_columns,
                    scores: &scores,
                });
            }
        }
    }
}

#[inline(always)]
fn tile_scores<S: Simd, T: Term, const ROWS: usize, const LANES: usize>(
    simd: S,
    source: &[[f64; ROWS]],
    target: &[[f64; LANES]],
    _: T,
) -> [[f64; LANES]; ROWS] {
    const { assert!(LANES.is_multiple_of(8)) };
    let mut scores = [[0.0; LANES]; ROWS];
    for first in (0..LANES).step_by(S::F64_LANES) {
        let column = first..first + S::F64_LANES;
        let mut sums = [simd.splat_f64s(0.0); ROWS];
        for (left, right) in source.iter().zip(target) {
            let lanes = S::as_simd_f64s(&right[column.clone()]).0[0];
            for (sum, &value) in sums.iter_mut().zip(left) {
                *sum = T::add(simd, *sum, simd.splat_f64s(value), lanes);
            }
        }
        for (row, sum) in scores.iter_mut().zip(sums) {
            S::as_mut_simd_f64s(&mut row[column.clone()]).0[0] = sum;
        }
    }
    scores
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::linalg::dot;
    use crate::tokens::TokenMatrix;

    fn scores<T: Term, const ROWS: usize, const LANES: usize>(
        sources: TokenMatrix<'_>,
        targets: TokenMatrix<'_>,
        term: T,
        portable: bool,
    ) -> Vec<u64> {
        let (left, right) = (
            Panels::<ROWS>::pack(sources),
            Panels::<LANES>::pack(targets),
        );
        let mut seen = vec![f64::NAN; sources.n_tokens() * targets.n_tokens()];
        let visit = |tile: Tile<'_, ROWS, LANES>| {
            for (offset, row) in tile.rows().enumerate() {
                let start = (tile.first_row + offset) * targets.n_tokens() + tile.first_column;
                seen[start..start + row.len()].copy_from_slice(row);
            }
        };
        if portable {
            let (sources, targets) = (&left, &right);
            let sweep = Sweep {
                sources,
                targets,
                term,
                visit,
            };
            sweep.with_simd(pulp::Scalar::new());
        } else {
            for_each_tile(&left, &right, term, visit);
        }
        seen.into_iter().map(f64::to_bits).collect()
    }

    fn prompts() -> impl Strategy<Value = (Vec<f64>, Vec<f64>, usize)> {
        (1usize..20, 1usize..20, 1usize..40).prop_flat_map(|(rows, columns, dim)| {
            let values = |n: usize| prop::collection::vec(-1e3..1e3f64, n * dim);
            (values(rows), values(columns), Just(dim))
        })
    }

    proptest! {
        #[test]
        fn tile_sizes_and_processors_never_change_a_bit((p, q, dim) in prompts()) {
            let p = TokenMatrix::new(&p, dim).unwrap();
            let q = TokenMatrix::new(&q, dim).unwrap();
            let plain: Vec<u64> = p
                .rows()
                .flat_map(|p| q.rows().map(move |q| dot(p, q).to_bits()))
                .collect();
            prop_assert_eq!(&scores::<_, 8, 8>(p, q, Inner, false), &plain);
            prop_assert_eq!(&scores::<_, 1, 8>(p, q, Inner, false), &plain);
            prop_assert_eq!(&scores::<_, 3, 16>(p, q, Inner, false), &plain);
            prop_assert_eq!(&scores::<_, 5, 24>(p, q, Inner, true), &plain);
            prop_assert_eq!(
                scores::<_, 8, 8>(p, q, SquaredDifference, false),
                scores::<_, 2, 16>(p, q, SquaredDifference, true)
            );
        }

        #[test]
        fn rows_arrive_in_order_and_complete((p, q, dim) in prompts()) {
            let p = TokenMatrix::new(&p, dim).unwrap();
            let q = TokenMatrix::new(&q, dim).unwrap();
            let mut rows = Vec::new();
            for_each_row(&TokenPanels::pack(p), &TokenPanels::pack(q), Inner, |row, scores| {
                rows.push((row, scores.to_vec()));
            });
            for (index, (row, scores)) in rows.iter().enumerate() {
                prop_assert_eq!(*row, index);
                let plain: Vec<f64> = q.rows().map(|target| dot(p.row(index), target)).collect();
                prop_assert_eq!(scores, &plain);
            }
            prop_assert_eq!(rows.len(), p.n_tokens());
        }
    }

    #[test]
    fn the_distance_of_a_token_to_itself_is_exactly_zero() {
        let values = [0.1, 1e8, -3.3];
        let token = TokenMatrix::new(&values, 3).unwrap();
        assert_eq!(
            scores::<_, 8, 8>(token, token, SquaredDifference, false),
            [0]
        );
    }
}
