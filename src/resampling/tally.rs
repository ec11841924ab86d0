//! How often each candidate took each place and beat each other, counted in whole numbers.
//!
//! Tied candidates share the places they hold, as if ties were broken at random, and half of the
//! win. A place is counted in units of 1 / `ONE`, so that adding and merging stay exact.

use ndarray::{Array2, ArrayView1, ArrayView2};
use pulp::{Arch, Simd, WithSimd};

/// A whole place, in counts.
pub const ONE: u64 = 1 << 32;

// Replicates compared at a time: 21 columns of them stay in the first cache, and are no power of
// two apart, which would put the same row of all columns into one set of it.
const BLOCK: usize = 112;

/// Counts over replicates; adding and merging in any order gives the same numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// `[n, n]`: how often a candidate held a place from 0, best first, in units of 1 / `ONE`.
    pub places: Array2<u64>,
    /// `[n, n]`: twice the wins of row over column, ties counting once.
    pub wins: Array2<u64>,
    /// Replicates that were counted; one with a missing score is not.
    pub count: u64,
}

impl Tally {
    /// Nothing counted yet, `n` candidates.
    pub fn new(n: usize) -> Self {
        Self {
            places: Array2::zeros((n, n)),
            wins: Array2::zeros((n, n)),
            count: 0,
        }
    }

    /// Counts all `replicates [n_replicates, n]`.
    pub fn of(replicates: ArrayView2<'_, f64>) -> Self {
        let n = replicates.ncols();
        let mut tally = Self::new(n);
        if n == 0 {
            return tally;
        }
        let laid = replicates.as_standard_layout();
        for rows in laid.as_slice().unwrap_or_default().chunks(BLOCK * n) {
            if !Arch::new().dispatch(Untied(&mut tally, rows)) {
                rows.chunks_exact(n).for_each(|row| tally.add(row.into()));
            }
        }
        tally
    }

    // Counts a block column by column, which the compiler turns into vector comparisons; false,
    // with nothing counted, if any two scores of a row are equal or one is missing.
    #[inline(always)]
    fn add_untied(&mut self, rows: &[f64]) -> bool {
        let n = self.wins.nrows();
        let length = rows.len() / n;
        let mut columns = vec![0.0; rows.len()];
        for (at, row) in rows.chunks_exact(n).enumerate() {
            for (slot, &score) in columns[at..].iter_mut().step_by(length).zip(row) {
                *slot = score;
            }
        }
        let mut better = vec![0; rows.len()];
        let mut wins = Array2::<u64>::zeros((n, n));
        for b in 1..n {
            let (first, rest) = better.split_at_mut(b * length);
            let (of_b, column_b) = (&mut rest[..length], &columns[b * length..][..length]);
            for (a, of_a) in first.chunks_exact_mut(length).enumerate() {
                let column_a = &columns[a * length..][..length];
                let (above, below) = compare(column_a, column_b, of_a, of_b);
                // Neither of two equal scores is above, nor a missing one.
                if above + below != length as u64 {
                    return false;
                }
                wins[[a, b]] = 2 * above;
                wins[[b, a]] = 2 * below;
            }
        }
        if n == 1 && rows.iter().any(|score| score.is_nan()) {
            return false;
        }
        self.wins += &wins;
        for (at, ranks) in better.chunks_exact(length).enumerate() {
            let mut held = vec![0; n];
            ranks.iter().for_each(|&rank| held[rank as usize] += 1);
            for (place, times) in self.places.row_mut(at).iter_mut().zip(held) {
                *place += ONE * times;
            }
        }
        self.count += length as u64;
        true
    }

    /// Counts one replicate of scores, higher is better; one with a missing score is not.
    pub fn add(&mut self, scores: ArrayView1<'_, f64>) {
        if scores.iter().any(|score| score.is_nan()) {
            return;
        }
        for (a, &own) in scores.iter().enumerate() {
            let (mut better, mut equal) = (0, 0);
            for (wins, &other) in self.wins.row_mut(a).iter_mut().zip(scores) {
                better += usize::from(other > own);
                equal += usize::from(other == own);
                *wins += 2 * u64::from(own > other) + u64::from(own == other);
            }
            self.wins[[a, a]] -= 1;
            for place in better..better + equal {
                self.places[[a, place]] += ONE / equal as u64;
            }
        }
        self.count += 1;
    }

    /// Counts of both.
    pub fn merged(mut self, other: &Self) -> Self {
        self.places += &other.places;
        self.wins += &other.wins;
        self.count += other.count;
        self
    }

    /// Shares of the replicates: of places [n, n] and of wins [n, n], NaN if none was counted.
    pub fn shares(&self) -> (Array2<f64>, Array2<f64>) {
        let count = self.count as f64;
        let places = self.places.map(|&held| held as f64 / ONE as f64 / count);
        (places, self.wins.map(|&won| won as f64 / 2.0 / count))
    }
}

// A block of rows, see `Tally::add_untied`. A type of its own, as in `random::lanes`.
struct Untied<'a>(&'a mut Tally, &'a [f64]);

impl WithSimd for Untied<'_> {
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> bool {
        self.0.add_untied(self.1)
    }
}

// How often a is above and below b; adds to each the times the other was above.
#[inline(always)]
fn compare(a: &[f64], b: &[f64], of_a: &mut [u64], of_b: &mut [u64]) -> (u64, u64) {
    let (mut above, mut below) = (0, 0);
    for ((x, y), (of_a, of_b)) in a.iter().zip(b).zip(of_a.iter_mut().zip(of_b)) {
        let (is_above, is_below) = (u64::from(x > y), u64::from(x < y));
        *of_b += is_above;
        *of_a += is_below;
        above += is_above;
        below += is_below;
    }
    (above, below)
}

/// First and last place of an interval of `confidence` from the shares of the places: those
/// whose mid-probability from either side exceeds half of what is left out. Mid-probabilities
/// (Lancaster 1961) because places are few: whole tails would cover more than is asked for.
pub fn rank_interval(shares: ArrayView1<'_, f64>, confidence: f64) -> (f64, f64) {
    let tail = (1.0 - confidence) / 2.0;
    let total: f64 = shares.sum();
    let mut below = 0.0;
    let mut kept = Vec::with_capacity(shares.len());
    for (place, &share) in shares.iter().enumerate() {
        let middle = below + share / 2.0;
        if share > 0.0 && middle > tail * total && total - middle > tail * total {
            kept.push(place as f64);
        }
        below += share;
    }
    let ends = (kept.first(), kept.last());
    match ends {
        (Some(&first), Some(&last)) => (first, last),
        _ => (f64::NAN, f64::NAN),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn tied_candidates_share_places_and_wins() {
        let tally = Tally::of(array![[2.0, 1.0, 2.0], [f64::NAN, 1.0, 2.0]].view());
        assert_eq!(tally.count, 1);
        let (places, wins) = tally.shares();
        assert_eq!(places.row(0).to_vec(), [0.5, 0.5, 0.0]);
        assert_eq!(places.row(1).to_vec(), [0.0, 0.0, 1.0]);
        assert_eq!(wins.row(0).to_vec(), [0.0, 1.0, 0.5]);
    }

    #[test]
    fn a_block_is_counted_like_its_rows() {
        let scores = Array2::from_shape_fn((700, 5), |(row, at)| ((row * 7 + at * 13) % 11) as f64);
        let mut one_by_one = Tally::new(5);
        scores.outer_iter().for_each(|row| one_by_one.add(row));
        assert_eq!(Tally::of(scores.view()), one_by_one);
    }

    #[test]
    fn missing_scores_and_one_candidate_are_counted_like_rows_alone() {
        for n in [1, 2, 7] {
            // No two scores of a row are equal; every 90th score is missing.
            let mut scores = Array2::from_shape_fn((1300, n), |(row, at)| {
                ((row * 7919 + at * 104_729) % 1_000_003) as f64
            });
            scores
                .iter_mut()
                .step_by(90)
                .for_each(|score| *score = f64::NAN);
            let turned = scores.clone().reversed_axes();
            let mut one_by_one = Tally::new(n);
            scores.outer_iter().for_each(|row| one_by_one.add(row));
            assert_eq!(Tally::of(scores.view()), one_by_one);
            assert_eq!(Tally::of(turned.view().reversed_axes()), one_by_one);
        }
    }

    #[test]
    fn shards_merge_in_any_order() {
        let (first, second) = (array![[1.0, 2.0]], array![[3.0, 2.0], [1.0, 1.0]]);
        let (a, b) = (Tally::of(first.view()), Tally::of(second.view()));
        assert_eq!(a.clone().merged(&b), b.merged(&a));
    }

    #[test]
    fn an_interval_of_places_leaves_both_tails_out() {
        assert_eq!(
            rank_interval(array![0.01, 0.97, 0.02].view(), 0.95),
            (1.0, 1.0)
        );
        assert_eq!(
            rank_interval(array![0.06, 0.88, 0.06].view(), 0.95),
            (0.0, 2.0)
        );
        assert_eq!(rank_interval(array![1.0, 0.0].view(), 0.95), (0.0, 0.0));
    }
}
