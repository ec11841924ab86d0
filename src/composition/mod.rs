//! Composing what other tasks know: the head of a new task on a frozen multi-task backbone.
//!
//! ```text
//! rows (x, shared, own) -> forward (64 rows) -> logits, weights, gate
//!                              |
//! labels ------------------> backward -> pieces of gradient -> added in order -> Adam
//! ```
//!
//! Formula     in `forward`; the objective in `objective` and `backward`
//! Shapes      x [n, dim], shared [n, width], own [n, K, width], keys [K, width], labels [n];
//!             logits [n], weights [n, K], gate [n, 2]
//! Range       weights and gate in [0, 1], each of sum one; logits any
//! Promises    order-free (sources: whoever calls sorts them), same bits for any number of threads,
//!             infinite tau = fixed weights
//! Zero rows   a query that is the same everywhere is normalised to zero, so only the shift weighs
//! NaN         refused at the door; training that leaves the finite numbers is an error
//! Precision   stored and added in f32, losses and AUC in f64; the same code runs in f64 for tests
//! Cost        dim r/2 + r r/2 + 2 K r + 2 dim + tower multiplications a row, r the width; three
//!             times that with backward
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
