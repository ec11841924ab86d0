//! Products in single precision for tokens that are stored so: the fast way, with a bound on what
//! it costs in digits.
//!
//! ```text
//! seekers   rows -> lanes   [panel][dim][lanes]   packed once, shared by all pairs
//!                              x                   register tile, reduced on the spot
//! partners  rows -> blocks  tiles of rows         in place where that is as fast
//!                              |
//!           one number per seeking token and prompt -> f64 means -> scores
//! ```
//!
//! Normalising multiplies scores, not tokens: `p . q / |q|` in `f32` before tokens compete, and
//! `/ |p|` in `f64` afterwards. Tokens are never copied for it, and a maximum cannot be lost to a
//! scale that came too late.

mod best;
mod block;
mod bound;
mod gather;
mod item;
mod lanes;
mod norms;
mod order;
mod pairs;
mod rows;
mod scores;
pub mod screen;
mod stream;

pub use bound::error_bound;
pub use scores::{StoredSides, scores};

/// What becomes of the scores of one token against all tokens of a prompt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reduction {
    /// The largest.
    Best,
    /// The mean of so many of the largest.
    Largest(usize),
    /// The mean weighted by a softmax of this temperature.
    Soft(f64),
}

#[cfg(test)]
mod tests;
