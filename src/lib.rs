//! The Rust half of kinatlas: token products, similarities, rankings and their numbers.
//!
//! Everything outside `py` is mathematics on views and compiles without Python
//! (`cargo test --no-default-features`). Floors: `error -> element -> tokens -> linalg, threads`
//! form the ground; every room stands on the ground and on no other room.

pub mod element;
pub mod error;
pub mod random;
pub mod superposition;
pub mod threads;
pub mod tokens;

#[cfg(feature = "python")]
mod py;
