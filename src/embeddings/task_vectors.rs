//! What fine-tuning changed, tensor by tensor, from files that never are in memory as a whole.
//!
//! Formula     t = theta_tuned - theta_base
//! Shapes      all numbers of all common floating tensors, in order of their names: flat
//!             `[n_numbers]`; projected `[dim]`; one projection per tensor `[n_tensors, dim]`
//! Promises    same bits for any threads: pieces are constants of the file, folded in order
//! NaN         refused, naming the tensor
//! Precision   f16, bf16, f32 or f64 in, the two models may differ; differences and sums in f64
//! Cost        reads both models once; `PIECE` numbers of each per thread in memory
//!
//! Ilharco et al. 2023, section 2. The projection is that of `sketch`.

mod compare;

use rayon::prelude::*;

use super::checkpoint::Checkpoint;
use super::sketch::Sketch;
use crate::error::{Error, Result};
use crate::threads::Monitor;

pub use compare::{Products, products};

/// Numbers of one piece: their f64 buffers (1 MiB each) stay in a second-level cache.
const PIECE: usize = 1 << 17;

/// What becomes of the difference.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    /// Every number.
    Flat,
    /// One projection of everything.
    Projected(Sketch),
    /// One projection for each tensor.
    Tensors(Sketch),
}

/// A difference and what its coordinates are.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Rows behind each other.
    pub values: Vec<f64>,
    /// Names and sizes of the tensors, in order.
    pub tensors: Vec<(String, usize)>,
    /// A fingerprint of every number of the base model.
    pub base: u64,
}

/// `PIECE` numbers of one tensor at most.
#[derive(Debug, Clone, Copy)]
struct Piece {
    tensor: usize,
    first: usize,
    len: usize,
    // Place of the first number in the whole vector.
    place: usize,
}

/// The tensors that all models share, and their pieces.
fn layout(models: &[&Checkpoint]) -> Result<(Vec<(String, usize)>, Vec<Piece>)> {
    let base = models[0];
    for model in &models[1..] {
        check(base, model)?;
    }
    let mut tensors = Vec::new();
    let mut pieces = Vec::new();
    let mut place = 0;
    for name in base.names() {
        let size = base.window(name).map_or(0, |window| window.len());
        if size == 0 {
            continue;
        }
        for first in (0..size).step_by(PIECE) {
            let len = PIECE.min(size - first);
            pieces.push(Piece {
                tensor: tensors.len(),
                first,
                len,
                place: place + first,
            });
        }
        place += size;
        tensors.push((name.to_string(), size));
    }
    if tensors.is_empty() {
        return Err(Error::Format(format!(
            "{}: there is no floating-point tensor",
            base.label()
        )));
    }
    Ok((tensors, pieces))
}

fn check(base: &Checkpoint, tuned: &Checkpoint) -> Result<()> {
    for (one, other) in [(base, tuned), (tuned, base)] {
        if let Some(name) = one.names().iter().find(|name| other.window(name).is_none()) {
            return Err(Error::Format(format!(
                "tensor '{name}' is in {} and not in {}; the two are not checkpoints of one model",
                one.label(),
                other.label()
            )));
        }
    }
    for name in base.names() {
        if base.shape(name) != tuned.shape(name) {
            return Err(Error::Shape(format!(
                "tensor '{name}' has shape {:?} in {} and {:?} in {}; the two are not checkpoints \
                 of one model",
                base.shape(name).unwrap_or_default(),
                base.label(),
                tuned.shape(name).unwrap_or_default(),
                tuned.label()
            )));
        }
    }
    Ok(())
}

/// One model's part, widened.
fn read(model: &Checkpoint, name: &str, piece: Piece, bytes: &mut Vec<u8>) -> Result<Vec<f64>> {
    let mut values = vec![0.0; piece.len];
    let window = model
        .window(name)
        .ok_or_else(|| Error::Format(format!("{}: there is no tensor '{name}'", model.label())))?;
    window.read(piece.first, &mut values, bytes)?;
    Ok(values)
}

fn subtract(tuned: &mut [f64], base: &[f64]) {
    for (value, base) in tuned.iter_mut().zip(base) {
        *value -= base;
    }
}

fn refuse_nonfinite(values: &[f64], name: &str, label: &str, first: usize) -> Result<()> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(at) => Err(Error::NonFinite(format!(
            "{label}: number {} of tensor '{name}', or of the base model's, is NaN or infinite",
            first + at
        ))),
    }
}

/// Fingerprint of one piece: four independent lanes, so that multiplications overlap.
fn fingerprint(values: &[f64]) -> u64 {
    const PRIME: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut lanes = [PRIME; 4];
    for four in values.chunks(4) {
        for (lane, value) in lanes.iter_mut().zip(four) {
            *lane = (lane.rotate_left(23) ^ value.to_bits()).wrapping_mul(PRIME);
        }
    }
    lanes.iter().fold(values.len() as u64, |hash, lane| {
        (hash.rotate_left(29) ^ lane).wrapping_mul(PRIME)
    })
}

/// The difference of two models in one of the forms.
pub fn difference(
    base: &Checkpoint,
    tuned: &Checkpoint,
    form: Form,
    monitor: &Monitor,
) -> Result<Difference> {
    let (tensors, pieces) = layout(&[base, tuned])?;
    let n_numbers: usize = tensors.iter().map(|(_, size)| size).sum();
    let mut values = vec![
        0.0;
        match form {
            Form::Flat => n_numbers,
            Form::Projected(sketch) => sketch.dim(),
            Form::Tensors(sketch) => tensors.len() * sketch.dim(),
        }
    ];
    let mut hash = 0u64;
    // Enough pieces at a time to keep every thread busy, few enough to stay small.
    let at_once = 4 * rayon::current_num_threads();
    for group in pieces.chunks(at_once) {
        let parts: Vec<(Vec<f64>, u64)> = group
            .par_iter()
            .map(|&piece| {
                let name = &tensors[piece.tensor].0;
                let mut bytes = Vec::new();
                let old = read(base, name, piece, &mut bytes)?;
                let mut new = read(tuned, name, piece, &mut bytes)?;
                let hash = fingerprint(&old);
                subtract(&mut new, &old);
                refuse_nonfinite(&new, name, tuned.label(), piece.first)?;
                monitor.tick(piece.len)?;
                Ok((projected(new, form, piece), hash))
            })
            .collect::<Result<_>>()?;
        for (piece, (part, part_hash)) in group.iter().zip(parts) {
            hash = (hash.rotate_left(17) ^ part_hash).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            match form {
                Form::Flat => values[piece.place..piece.place + piece.len].copy_from_slice(&part),
                Form::Projected(_) => add(&mut values, &part),
                Form::Tensors(sketch) => add(&mut values[piece.tensor * sketch.dim()..], &part),
            }
        }
    }
    Ok(Difference {
        values,
        tensors,
        base: hash,
    })
}

fn projected(values: Vec<f64>, form: Form, piece: Piece) -> Vec<f64> {
    let (Form::Projected(sketch) | Form::Tensors(sketch)) = form else {
        return values;
    };
    let mut projection = vec![0.0; sketch.dim()];
    sketch.add(piece.place, &values, &mut projection);
    projection
}

fn add(sums: &mut [f64], part: &[f64]) {
    for (sum, value) in sums.iter_mut().zip(part) {
        *sum += value;
    }
}

#[cfg(test)]
mod tests;
