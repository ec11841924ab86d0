//! When screening pays. A choice of speed alone: whichever way is taken, the scores are the same.
//!
//! Costs are those of a pair of tokens, in units of a pair in the plain tile (at best 24 cycles
//! for 768 coordinates of a core of an Intel Xeon with AMX); `benches/similarity_screened.py` measures them.

use super::super::pairs::AllPairs;
use super::unit::{Decided, Unit};
use crate::linalg::simd::Path;

/// What is known of a screen that pays somewhere.
struct Price {
    /// The screen's products.
    screen: f64,
    /// Shortest prompts, on average, of the side that is looked at: a leader a token and prompt is a
    /// chain, whatever their length.
    shortest: usize,
    /// The same where both sides look: twice as many chains.
    shortest_of_both: usize,
}

/// AMX multiplies bfloat16 4.5 times as fast as the tile `f32`. 20 x 1024 took 1.5 times as long as the
/// tile, 32 x 768 0.96 to 1.2, 40 x 768 1.06, 48 x 768 0.8 to 1.08, 48 x 4096 1.3, 64 x 768 0.75 to 1, 100 x 768
/// 0.6 to 0.7, 100 x 4096 0.9. Where both look 20 x 1024 took 2.4 times as long, 80 x 768 1.0 to 1.1, 100 x 768 0.84
/// to 1.0, 150 x 768 0.74 to 0.83 (medians, in turns).
const OF_AMX: Price = Price {
    screen: 0.3,
    shortest: 64,
    shortest_of_both: 100,
};
/// VNNI multiplies integers 3.9 times as fast as the tile `f32`, but three times as many pairs survive:
/// 100 x 768 took 0.94 to 1.15 times as long, 150 x 768 0.81 to 1.04, 200 x 768 0.75 to 0.84, 400 x 768 0.66 to 0.7,
/// 100 x 4096 2.2; where both look 200 x 768 0.98 to 1.1, 300 x 768 0.83 to 0.92.
const OF_VNNI: Price = Price {
    screen: 0.4,
    shortest: 150,
    shortest_of_both: 300,
};
/// Tokens of the longest prompt: one pair of prompts is one piece of work here, and beyond this the plain
/// kernel, which shares it between threads, is the better one.
const LONGEST: usize = 2048;
/// Tokens of either side: below, packing twice costs more than the screen spares.
const FEWEST: usize = 512;
/// Narrowest tokens, and the same where both sides look: looking at a score takes as long whatever the
/// width. By AMX, prompts of 100 tokens took 1.05, 0.8, 0.68 and 0.64 times as long as the tile at 128, 256, 384 and 512
/// coordinates; where both look 1.65, 1.22, 0.97 and 0.93 to 1.06.
const NARROWEST: usize = 256;
const NARROWEST_OF_BOTH: usize = 512;
/// Units from which on a quarter of one is looked at first, and a whole one where both sides look: the
/// leaders of rows among a quarter of a prompt would say too little.
const WORTH_PROBING: usize = 2;
const WORTH_PROBING_BOTH: usize = 8;
/// Coordinates of the tokens that costs were measured with.
const WIDTH: f64 = 768.0;
/// Looking at a score twice, and where both sides look.
const LOOKS: f64 = 0.1;
const LOOKS_OF_BOTH: f64 = 0.15;
/// A chain. Its instructions take as long as some 10 pairs, but its tokens come from far away.
const CHAIN: f64 = 20.0;
/// A sum in any order, with the chains that some of them still need.
const SURVIVOR: f64 = 15.0;

// `vdpbf16ps` is slower than the tile on the same processor, and a screen of `f32` tiles is the tile once
// more.
fn price(screen: Path) -> Option<Price> {
    match screen.name() {
        "amx" => Some(OF_AMX),
        "avx512vnni" => Some(OF_VNNI),
        _ => None,
    }
}

/// Whether the shapes speak for screening.
pub fn suits(pairs: &AllPairs<'_>, screen: Path) -> bool {
    let Some(price) = price(screen) else {
        return false;
    };
    let (shortest, narrowest) = if pairs.both {
        (price.shortest_of_both, NARROWEST_OF_BOTH)
    } else {
        (price.shortest, NARROWEST)
    };
    let fits = |offsets: &[usize], is_looked_at: bool| {
        let n_rows = offsets[offsets.len() - 1];
        let lengths = offsets.windows(2).map(|pair| pair[1] - pair[0]);
        let is_long = !is_looked_at || n_rows >= shortest * (offsets.len() - 1);
        n_rows >= FEWEST && is_long && lengths.max().unwrap_or(0) <= LONGEST
    };
    pairs.seekers.dim() >= narrowest
        && fits(pairs.seekers.offsets(), pairs.both)
        && fits(pairs.partners.offsets(), true)
}

/// Whether a first look is worth its time.
pub fn is_worth_probing(n_groups: usize, n_blocks: usize, both: bool) -> bool {
    let fewest = if both {
        WORTH_PROBING_BOTH
    } else {
        WORTH_PROBING
    };
    n_groups * n_blocks >= fewest
}

/// Whether what some pairs of a unit had to multiply again leaves a gain.
pub fn pays(unit: &Unit<'_>, decided: &Decided, n_pairs: usize) -> bool {
    let n_pairs = n_pairs as f64;
    let looks = if unit.both { LOOKS_OF_BOTH } else { LOOKS };
    let looks = looks * n_pairs * WIDTH / unit.lanes.token(0).len() as f64;
    let again = CHAIN * decided.n_leaders as f64 + SURVIVOR * decided.n_survivors as f64;
    let screened = price(unit.screen).map_or(1.0, |price| price.screen) * n_pairs;
    screened + looks + again + decided.n_tiled as f64 <= n_pairs
}
