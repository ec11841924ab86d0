//! Artefacts become tokens or low-rank updates.

pub mod adapters;
