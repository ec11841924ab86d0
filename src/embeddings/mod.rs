//! Artefacts become tokens, low-rank updates, Fisher diagonals or task vectors.

pub mod adapters;
pub mod checkpoint;
pub mod fisher;
pub mod heads;
pub mod sketch;
pub mod task_vectors;
