//! What sixteen neighbouring replicates draw, side by side.
//!
//! How many numbers a replicate draws, and below which bounds, depends on the plan and not on what
//! was drawn; so neighbouring replicates read their streams in step and every lane draws what
//! `Plan::draw` draws for its number.

use pulp::Simd;

use super::{Plan, Unit};
use crate::random::{LANES, LaneStreams};

/// One number of every replicate.
pub(super) type Lane = [u32; LANES];

/// Room for the draws of `LANES` replicates, used again by the next.
#[derive(Debug)]
pub(super) struct LaneDraws {
    streams: LaneStreams,
    targets: Vec<Lane>,
    places: Vec<Lane>,
}

impl Plan {
    /// Room for draws of this plan.
    pub(super) fn lanes(&self) -> LaneDraws {
        LaneDraws {
            streams: LaneStreams::new(self.seed, 0),
            targets: Vec::new(),
            places: Vec::new(),
        }
    }

    /// Hands `visit(targets, seeds)` every draw of replicates `first..first + LANES`; like
    /// `Plan::draw` for each of them.
    #[inline(always)]
    pub(super) fn draw_lanes<S: Simd>(
        &self,
        simd: S,
        first: u64,
        n_seeds: usize,
        draws: &mut LaneDraws,
        mut visit: impl FnMut(&Lane, &[Lane]),
    ) {
        let LaneDraws {
            streams,
            targets,
            places,
        } = draws;
        streams.restart(first);
        places.clear();
        places.extend((0..n_seeds as u32).map(|seed| [seed; LANES]));
        if self.unit == Unit::TargetsAndSeeds {
            fill_below(simd, streams, n_seeds, places);
        }
        let is_nested = matches!(self.unit, Unit::TargetsThenSeeds | Unit::Seeds);
        for stratum in self.strata() {
            targets.clear();
            targets.extend((0..stratum.len() as u32).map(|at| [at; LANES]));
            if self.unit != Unit::Seeds {
                fill_below(simd, streams, stratum.len(), targets);
            }
            for at in &mut *targets {
                if is_nested {
                    fill_below(simd, streams, n_seeds, places);
                }
                at.iter_mut()
                    .for_each(|at| *at = stratum[*at as usize] as u32);
                visit(at, places);
            }
        }
    }
}

/// `fill_below` of one stream, in every lane: a product of 64 bits and `n` is one of either half.
#[inline(always)]
fn fill_below<S: Simd>(simd: S, streams: &mut LaneStreams, n: usize, places: &mut [Lane]) {
    let (count, one) = (simd.splat_u32s(n as u32), simd.splat_u32s(1));
    for some in places.chunks_mut(super::at_once(n)) {
        let [low, high] = streams.next_words();
        for register in 0..LANES / S::U32_LANES {
            let own = register * S::U32_LANES..(register + 1) * S::U32_LANES;
            let mut low = S::as_simd_u32s(&low[own.clone()]).0[0];
            let mut high = S::as_simd_u32s(&high[own.clone()]).0[0];
            for place in &mut *some {
                let (fraction, carried) = simd.widening_mul_u32s(low, count);
                let (middle, whole) = simd.widening_mul_u32s(high, count);
                (low, high) = (fraction, simd.add_u32s(middle, carried));
                let is_over = simd.less_than_u32s(high, middle);
                let whole = simd.select_u32s(is_over, simd.add_u32s(whole, one), whole);
                S::as_mut_simd_u32s(&mut place[own.clone()]).0[0] = whole;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulp::{Arch, WithSimd};

    use super::*;

    type Drawn = Vec<(usize, Vec<usize>)>;

    // What every lane draws, on the widest registers of this processor or on none.
    struct All<'a>(&'a Plan, u64, usize);

    impl WithSimd for All<'_> {
        type Output = Vec<Drawn>;

        fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
            let Self(plan, first, n_seeds) = self;
            let (mut found, mut room) = (vec![Vec::new(); LANES], plan.lanes());
            for first in [0, first] {
                found.iter_mut().for_each(Vec::clear);
                plan.draw_lanes(simd, first, n_seeds, &mut room, |targets, seeds| {
                    for (lane, drawn) in found.iter_mut().enumerate() {
                        let own = seeds.iter().map(|seed| seed[lane] as usize);
                        drawn.push((targets[lane] as usize, own.collect::<Vec<_>>()));
                    }
                });
            }
            found
        }
    }

    proptest! {
        #[test]
        fn every_lane_draws_what_its_replicate_draws_alone(
            strata in proptest::collection::vec(0_usize..4, 4..70),
            n_seeds in 1_usize..40,
            seed: u64,
            first in prop_oneof![any::<u64>(), Just(u64::MAX - 3)],
        ) {
            for unit in Unit::ALL {
                let plan = Plan::new(unit, &strata, seed).unwrap();
                let alone: Vec<Drawn> = (0..LANES as u64)
                    .map(|lane| plan.indices(first.wrapping_add(lane), n_seeds))
                    .collect();
                let widest = Arch::new().dispatch(All(&plan, first, n_seeds));
                prop_assert_eq!(&widest, &alone, "{:?}", unit);
                let portable = All(&plan, first, n_seeds).with_simd(pulp::Scalar::new());
                prop_assert_eq!(&portable, &alone, "{:?}", unit);
            }
        }
    }

    struct Below<'a>(&'a mut LaneStreams, usize, &'a mut [Lane]);

    impl WithSimd for Below<'_> {
        type Output = ();

        fn with_simd<S: Simd>(self, simd: S) {
            fill_below(simd, self.0, self.1, self.2);
        }
    }

    #[test]
    fn bounds_up_to_the_largest_that_fit_are_those_of_one_stream() {
        for n in [1, 2, 3, 7, 8, 255, 65_537, (1 << 31) + 1, u32::MAX as usize] {
            let (mut streams, mut places) = (LaneStreams::new(3, 5), vec![[0; LANES]; 50]);
            Arch::new().dispatch(Below(&mut streams, n, &mut places));
            for lane in 0..LANES {
                let mut alone = vec![0; 50];
                let mut generator = crate::random::stream(3, 5 + lane as u64);
                super::super::fill_below(&mut generator, n, &mut alone);
                let found: Vec<usize> = places.iter().map(|place| place[lane] as usize).collect();
                assert_eq!(found, alone, "{n}");
            }
        }
    }
}
