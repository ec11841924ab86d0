//! Where training starts: every tensor drawn from its own stream, so that a tensor starts alike
//! in every mode that has it.

use rand::Rng;

use super::layout::{Shape, Start};
use crate::error::Result;
use crate::random::{fill_normal, stream};

/// Random parameters of a head.
pub fn initial(shape: &Shape, seed: u64) -> Result<Vec<f64>> {
    let mut values = vec![0.0; shape.layout()?.len];
    for tensor in shape.tensors()? {
        let mut generator = stream(seed, tensor.stream);
        let place = &mut values[tensor.range];
        match tensor.start {
            Start::One => place.fill(1.0),
            Start::Zero => {}
            Start::Normal => fill_normal(&mut generator, place),
            Start::Uniform(inputs) => fill_uniform(&mut generator, inputs, place),
        }
    }
    Ok(values)
}

fn fill_uniform(generator: &mut impl Rng, inputs: usize, values: &mut [f64]) {
    let bound = 1.0 / (inputs as f64).sqrt();
    for value in values {
        // 53 random bits: every multiple of 2^-53 in [0, 1).
        let unit = (generator.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        *value = bound * (2.0 * unit - 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::composition::layout::Mode;

    fn shape(mode: Mode) -> Shape {
        Shape {
            dim: 6,
            width: 8,
            n_sources: 2,
            tower: vec![4],
            mode,
        }
    }

    #[test]
    fn a_tensor_starts_alike_in_every_mode() {
        let all = initial(&shape(Mode::Prompt), 3).unwrap();
        let named = shape(Mode::Prompt).tensors().unwrap();
        for mode in [Mode::Fixed, Mode::Task, Mode::Share] {
            let fewer = initial(&shape(mode), 3).unwrap();
            for tensor in shape(mode).tensors().unwrap() {
                let twin = named.iter().find(|other| other.name == tensor.name);
                let twin = twin.unwrap().range.clone();
                assert_eq!(fewer[tensor.range], all[twin]);
            }
        }
        assert_ne!(all, initial(&shape(Mode::Prompt), 4).unwrap());
    }
}
