//! The only room that multiplies matrices. A product is handed tile by tile to whoever reduces
//! it, so the matrix of scores between two prompts never has to exist as a whole.
//!
//! ```text
//! sources  [n_tokens, dim] -> panels of PANEL tokens  \
//!                                                              tile [PANEL, PANEL]
//! targets  [n_tokens, dim] -> panels of PANEL tokens  /        -> visitor
//! ```
//!
//! Every element of a tile is one sum over `dim`, added strictly in order by separate
//! multiplications and additions. Neither tile sizes, nor threads, nor the processor can change a
//! bit of it.

mod aligned;
mod gemm;
mod near;
mod panels;
mod product;
mod registers;
mod rounding;
pub mod simd;
mod squares;
mod sums;
mod vector;

pub use aligned::Aligned;
pub use gemm::{Operand, multiply, multiply_add};
pub use near::for_each_near;
pub use panels::Panels;
pub use product::{
    Inner, PANEL, SquaredDifference, Term, Tile, TokenPanels, for_each_row, for_each_tile,
};
pub use registers::clear_registers;
pub use rounding::{quantize_row, round_row};
pub use squares::row_squares;
pub use sums::add_rows;
pub use vector::{Ray, cosine, dot, mean_row, unit};
