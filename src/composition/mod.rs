//! Composing what other tasks know: the head of a new task on a frozen multi-task backbone.
//!
//! ```text
//! rows (x, shared, own) -> forward (64 rows) -> logits, weights, gate
//!                              |
//! labels ------------------> backward -> pieces of gradient -> added in order -> Adam
//! ```
//!
//! Prompts themselves are composed by `mixing` (weighted sums, attention) and `hadamard` (a shared
//! prompt times a low-rank matrix).
//!
//! The head is written once for `f32` and `f64`: the first trains and serves, the second is what tests
//! differentiate.

mod adam;
mod backward;
mod forward;
mod hadamard;
mod lanes;
mod layout;
mod mixing;
mod objective;
mod pieces;
mod problem;
mod ranks;
mod ready;
mod real;
mod rows;
mod start;
#[cfg(test)]
mod tests;
mod tower;
mod train;

pub use hadamard::{Factors, canonical};
pub use layout::{Mode, Shape};
pub use mixing::{Sources, Values, attend, attend_slopes};
pub use objective::log_loss;
pub use problem::{Answer, Options, Problem};
pub use ranks::auc;
pub use real::Real;
pub use rows::Rows;
pub use start::initial;
pub use train::{Epoch, Plan, Trained};
