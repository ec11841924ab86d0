//! The only room that knows Python: convert, detach, call, wrap.

mod behavior;
mod blocks;
mod comparison;
mod composing;
mod composition;
mod consistency;
mod convert;
mod decide;
mod detach;
mod embeddings;
mod errors;
mod evaluation;
mod files;
mod fisher;
mod icl;
mod icl_arrays;
mod linalg;
mod low_rank;
mod resampling;
mod selection;
mod similarity;
mod sketch;
mod superposition;
mod superposition_states;
mod task2vec;
mod task_vectors;
mod threads;
mod tokens;
mod transferability;

use pyo3::prelude::*;

/// Rust kernels of kinatlas.
#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("is_debug_build", cfg!(debug_assertions))?;
    behavior::register(module)?;
    blocks::register(module)?;
    comparison::register(module)?;
    composing::register(module)?;
    composition::register(module)?;
    consistency::register(module)?;
    embeddings::register(module)?;
    files::register(module)?;
    linalg::register(module)?;
    fisher::register(module)?;
    task2vec::register(module)?;
    task_vectors::register(module)?;
    low_rank::register(module)?;
    superposition::register(module)?;
    superposition_states::register(module)?;
    threads::register(module)?;
    tokens::register(module)?;
    resampling::register(module)?;
    selection::register(module)?;
    evaluation::register(module)?;
    decide::register(module)?;
    icl::register(module)?;
    similarity::register(module)?;
    sketch::register(module)?;
    transferability::register(module)?;
    Ok(())
}
