//! The Rust half of kinatlas: token products, similarities, rankings and their numbers.
//!
//! Everything outside `py` is mathematics on views and compiles without Python
//! (`cargo test --no-default-features`). Floors: `error -> element -> tokens -> linalg, threads,
//! random -> resampling` form the ground; every room stands on the ground and on no other room,
//! except that `evaluation` stands on `selection`, and `consistency` on both.

pub mod behavior;
pub mod composition;
pub mod consistency;
pub mod element;
pub mod embeddings;
pub mod error;
pub mod evaluation;
pub mod files;
pub mod icl;
pub mod linalg;
pub mod random;
pub mod resampling;
pub mod selection;
pub mod similarity;
pub mod superposition;
pub mod threads;
pub mod tokens;
pub mod transferability;

#[cfg(feature = "python")]
mod py;
