//! What fine-tuning changed, tensor by tensor, from files that never are in memory as a whole.
//!
//! Formula     t = theta_tuned - theta_base
//! Shapes      all numbers of all common floating tensors, in order of their names: flat
//!             `[n_numbers]`; projected `[dim]`; one projection per tensor `[n_tensors, dim]`
//! Promises    same bits for any threads: pieces are constants of the file, folded in order
//! NaN         refused, naming the tensor
//! Precision   f16, bf16, f32 or f64 in, the two models may differ; differences and sums in f64
//! Cost        reads both models once; `PIECE` numbers of each per thread in memory,
//!             and what `STRETCH` numbers give
//!
//! Ilharco et al. 2023, section 2. The projection is that of `sketch`.

mod compare;

use rayon::prelude::*;

use super::checkpoint::Checkpoint;
use super::sketch::Sketch;
use crate::error::{Error, Result};
use crate::threads::Monitor;

pub use compare::{Products, products};

/// Numbers that are read at once: their f64 buffers (256 KiB each) stay in a second-level cache.
const PIECE: usize = 1 << 15;
/// Numbers of one piece of work, whose result is folded into the whole.
const STRETCH: usize = 1 << 20;

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

/// `STRETCH` numbers of one tensor at most.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    tensor: usize,
    first: usize,
    len: usize,
    // Place of the first number in the whole vector.
    place: usize,
}

/// Names and sizes of tensors, and the stretches they are cut in.
type Layout = (Vec<(String, usize)>, Vec<Stretch>);

/// The tensors that all models share, and their stretches.
fn layout(models: &[&Checkpoint]) -> Result<Layout> {
    let base = models[0];
    for model in &models[1..] {
        check(base, model)?;
    }
    let mut tensors = Vec::new();
    let mut stretches = Vec::new();
    let mut place = 0;
    for name in base.names() {
        let size = base.window(name).map_or(0, |window| window.len());
        if size == 0 {
            continue;
        }
        for first in (0..size).step_by(STRETCH) {
            let len = STRETCH.min(size - first);
            stretches.push(Stretch {
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
    Ok((tensors, stretches))
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

impl Stretch {
    /// First number and length of each piece.
    fn pieces(self) -> impl Iterator<Item = (usize, usize)> {
        let end = self.first + self.len;
        (self.first..end)
            .step_by(PIECE)
            .map(move |first| (first, PIECE.min(end - first)))
    }
}

/// Buffers that a thread uses again and again.
#[derive(Debug, Default)]
struct Scratch {
    bytes: Vec<u8>,
    old: Vec<f64>,
}

/// Reads a piece of one model into `values`.
fn read(
    model: &Checkpoint,
    name: &str,
    (first, len): (usize, usize),
    values: &mut Vec<f64>,
    bytes: &mut Vec<u8>,
) -> Result<()> {
    values.resize(len, 0.0);
    let window = model
        .window(name)
        .ok_or_else(|| Error::Format(format!("{}: there is no tensor '{name}'", model.label())))?;
    window.read(first, values, bytes)
}

/// Reads a piece of a fine-tuned model and subtracts the base model's.
fn change(
    tuned: &Checkpoint,
    name: &str,
    piece: (usize, usize),
    scratch: &mut Scratch,
    values: &mut Vec<f64>,
) -> Result<()> {
    read(tuned, name, piece, values, &mut scratch.bytes)?;
    for (value, base) in values.iter_mut().zip(&scratch.old) {
        *value -= base;
    }
    // Looks at every number, so that the loop has no branch; the place is found afterwards.
    if values
        .iter()
        .fold(true, |is_finite, v| is_finite & v.is_finite())
    {
        return Ok(());
    }
    let at = values.iter().position(|value| !value.is_finite());
    Err(Error::NonFinite(format!(
        "{}: number {} of tensor '{name}', or of the base model's, is NaN or infinite",
        tuned.label(),
        piece.0 + at.unwrap_or_default()
    )))
}

/// Fingerprint of one piece: four independent lanes, so that multiplications overlap.
fn fingerprint(values: &[f64]) -> u64 {
    const PRIME: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut lanes = [PRIME; 4];
    let mut mix = |lane: usize, value: f64| {
        lanes[lane] = (lanes[lane].rotate_left(23) ^ value.to_bits()).wrapping_mul(PRIME);
    };
    let (fours, rest) = values.as_chunks::<4>();
    for four in fours {
        for (lane, value) in four.iter().enumerate() {
            mix(lane, *value);
        }
    }
    for (lane, value) in rest.iter().enumerate() {
        mix(lane, *value);
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
    let (tensors, stretches) = layout(&[base, tuned])?;
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
    // Enough at a time to keep every thread busy, few enough to stay small.
    for group in stretches.chunks(4 * rayon::current_num_threads()) {
        let parts: Vec<(Vec<f64>, u64)> = group
            .par_iter()
            .map_init(Scratch::default, |scratch, &stretch| {
                monitor.tick(stretch.len)?;
                let name = &tensors[stretch.tensor].0;
                follow(base, tuned, name, form, stretch, scratch)
            })
            .collect::<Result<_>>()?;
        for (stretch, (part, part_hash)) in group.iter().zip(parts) {
            hash = combined(hash, part_hash);
            match form {
                Form::Flat => {
                    values[stretch.place..stretch.place + stretch.len].copy_from_slice(&part);
                }
                Form::Projected(_) => add(&mut values, &part),
                Form::Tensors(sketch) => add(&mut values[stretch.tensor * sketch.dim()..], &part),
            }
        }
    }
    Ok(Difference {
        values,
        tensors,
        base: hash,
    })
}

fn combined(hash: u64, part: u64) -> u64 {
    (hash.rotate_left(17) ^ part).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// One stretch, in its form, and the fingerprint of the base model there.
fn follow(
    base: &Checkpoint,
    tuned: &Checkpoint,
    name: &str,
    form: Form,
    stretch: Stretch,
    scratch: &mut Scratch,
) -> Result<(Vec<f64>, u64)> {
    let mut hash = 0;
    let mut values = Vec::new();
    let mut found = match form {
        Form::Flat => Vec::with_capacity(stretch.len),
        Form::Projected(sketch) | Form::Tensors(sketch) => vec![0.0; sketch.dim()],
    };
    for piece in stretch.pieces() {
        read(base, name, piece, &mut scratch.old, &mut scratch.bytes)?;
        hash = combined(hash, fingerprint(&scratch.old));
        change(tuned, name, piece, scratch, &mut values)?;
        match form {
            Form::Flat => found.extend_from_slice(&values),
            Form::Projected(sketch) | Form::Tensors(sketch) => {
                let place = stretch.place + piece.0 - stretch.first;
                sketch.add(place, &values, &mut found);
            }
        }
    }
    Ok((found, hash))
}

fn add(sums: &mut [f64], part: &[f64]) {
    for (sum, value) in sums.iter_mut().zip(part) {
        *sum += value;
    }
}

#[cfg(test)]
mod tests;
