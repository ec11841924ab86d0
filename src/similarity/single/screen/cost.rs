//! When screening pays. A choice of speed alone: whichever way is taken, the scores are the same.
//!
//! Costs are those of a pair of tokens, in units of a pair in the plain tile (48 cycles at 768
//! coordinates of a core of an Intel Xeon with AMX); `benches/similarity_screened.py` measures them.

use super::super::pairs::AllPairs;
use super::unit::{Decided, Unit};
use crate::linalg::simd::Path;

/// The screen that pays: AMX multiplies bfloat16 4.5 times as fast as the tile `f32`. `vdpbf16ps` is
/// slower than that tile on the same processor, and a screen of `f32` tiles is the tile once more.
const FAST: &str = "amx";
/// Shortest prompts, on average, of the side that is looked at: a leader a token and prompt is a chain,
/// whatever their length. 20 x 1024 took 1.5 times as long as the tile, 32 x 768 0.96 to 1.2, 40 x 768 1.06, 48 x 768 0.8
/// to 1.08, 48 x 4096 1.3, 64 x 768 0.75 to 1, 100 x 768 0.6 to 0.7, 100 x 4096 0.9.
const SHORTEST: usize = 64;
/// The same where both sides look: twice as many chains. 20 x 1024 took 2.4 times as long, 80 x 768 1.0 to
/// 1.1, 100 x 768 0.84 to 1.0, 150 x 768 0.74 to 0.83 (medians, in turns).
const SHORTEST_OF_BOTH: usize = 100;
/// Tokens of the longest prompt: one pair of prompts is one piece of work here, and beyond this the plain
/// kernel, which shares it between threads, is the better one.
const LONGEST: usize = 2048;
/// Tokens of either side: below, packing twice costs more than the screen spares.
const FEWEST: usize = 512;
/// Units from which on one is looked at first.
const WORTH_PROBING: usize = 16;
/// The screen with both looks at its scores.
const SCREEN: f64 = 0.35;
/// A chain.
const CHAIN: f64 = 12.0;

/// Whether the shapes speak for screening.
pub fn suits(pairs: &AllPairs<'_>, screen: Path) -> bool {
    let shortest = if pairs.both {
        SHORTEST_OF_BOTH
    } else {
        SHORTEST
    };
    let fits = |offsets: &[usize], is_looked_at: bool| {
        let n_rows = offsets[offsets.len() - 1];
        let lengths = offsets.windows(2).map(|pair| pair[1] - pair[0]);
        let is_long = !is_looked_at || n_rows >= shortest * (offsets.len() - 1);
        n_rows >= FEWEST && is_long && lengths.max().unwrap_or(0) <= LONGEST
    };
    screen.name() == FAST
        && fits(pairs.seekers.offsets(), pairs.both)
        && fits(pairs.partners.offsets(), true)
}

/// Whether a first look is worth its time.
pub fn is_worth_probing(n_groups: usize, n_blocks: usize) -> bool {
    n_groups * n_blocks >= WORTH_PROBING
}

/// Whether what one unit had to multiply again leaves a gain.
pub fn pays(unit: &Unit<'_>, decided: &Decided) -> bool {
    let n_pairs = (unit.lanes.rows.len() * unit.rows.rows.len()) as f64;
    SCREEN * n_pairs + CHAIN * decided.n_chains as f64 + decided.n_tiled as f64 <= n_pairs
}
