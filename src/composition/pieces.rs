//! The gradient of a batch in pieces of whole chunks, each with a buffer of its own.
//!
//! How a batch is cut depends on its size alone and pieces are added in order, so any number of
//! threads gives the same bits.

use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::backward::backward;
use super::forward::{CHUNK, Scratch, forward};
use super::objective::Objective;
use super::ready::Ready;
use super::real::Real;
use super::rows::Rows;

// Gradients of at most this many pieces exist at a time: more would leave the caches.
const MOST_PIECES: usize = 16;

/// Gradients of the pieces of one batch, and room to work in for every thread.
#[derive(Debug)]
pub struct Pieces<T> {
    gradients: Vec<Vec<T>>,
    rooms: Vec<Mutex<Scratch<T>>>,
}

impl<T: Real> Pieces<T> {
    /// Room for batches of at most `n_rows`.
    pub fn new(n_rows: usize, n_parameters: usize) -> Self {
        // A shorter batch may be cut into more pieces than a full one.
        let n_pieces = n_rows.div_ceil(CHUNK).min(MOST_PIECES);
        let n_rooms = rayon::current_num_threads();
        Self {
            gradients: vec![vec![T::default(); n_parameters]; n_pieces],
            rooms: (0..n_rooms).map(|_| Mutex::default()).collect(),
        }
    }

    /// Objective of the batch; its gradients are what is returned beside it.
    pub fn fill(
        &mut self,
        head: &Ready<'_, T>,
        rows: Rows<'_, T>,
        labels: &[bool],
        batch: &[usize],
        beta_kl: f64,
    ) -> (f64, &[Vec<T>]) {
        let objective = Objective {
            share: 1.0 / batch.len() as f64,
            beta_kl,
        };
        let per_piece = rows_per_piece(batch.len());
        let used = batch.len().div_ceil(per_piece);
        let (rooms, used) = (&self.rooms, &mut self.gradients[..used]);
        let losses: Vec<f64> = used
            .par_iter_mut()
            .zip(batch.par_chunks(per_piece))
            .map(|(gradient, piece)| {
                let room = rayon::current_thread_index().unwrap_or(0) % rooms.len();
                let mut scratch = rooms[room].lock().unwrap_or_else(PoisonError::into_inner);
                gradient.fill(T::default());
                let chunks = piece.chunks(CHUNK).map(|which| {
                    forward(head, rows, which, &mut scratch);
                    backward(head, rows, which, labels, objective, &mut scratch, gradient)
                });
                chunks.sum()
            })
            .collect();
        (losses.iter().sum(), used)
    }
}

fn rows_per_piece(n_rows: usize) -> usize {
    n_rows.div_ceil(CHUNK).div_ceil(MOST_PIECES).max(1) * CHUNK
}
