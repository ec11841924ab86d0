//! How alike two tasks are.

pub mod low_rank;
