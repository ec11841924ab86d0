//! Adam after Kingma and Ba (2015), fused with the sum of the gradient's pieces.

use pulp::Arch;
use rayon::prelude::*;

use super::real::Real;

const FIRST_DECAY: f64 = 0.9;
const SECOND_DECAY: f64 = 0.999;
const FLOOR: f64 = 1e-8;
// Parameters a thread takes at a time; the cut changes no bit, every parameter being alone.
const PER_PIECE: usize = 8192;

/// Memory of the optimiser.
#[derive(Debug)]
pub struct Adam<T> {
    means: Vec<T>,
    squares: Vec<T>,
    age: i32,
    learning_rate: f64,
}

/// What one step shares.
#[derive(Clone, Copy)]
struct Pace<T> {
    rate: T,
    root: T,
}

impl<T: Real> Adam<T> {
    /// No memory yet.
    pub fn new(n_parameters: usize, learning_rate: f64) -> Self {
        Self {
            means: vec![T::default(); n_parameters],
            squares: vec![T::default(); n_parameters],
            age: 0,
            learning_rate,
        }
    }

    /// One step along the sum of `pieces`, added in their order, plus `decay * parameters`.
    pub fn step(&mut self, parameters: &mut [T], pieces: &[Vec<T>], decay: &[T]) {
        self.age += 1;
        let pace = Pace {
            rate: T::of(self.learning_rate / (1.0 - FIRST_DECAY.powi(self.age))),
            root: T::of(1.0 / (1.0 - SECOND_DECAY.powi(self.age)).sqrt()),
        };
        parameters
            .par_chunks_mut(PER_PIECE)
            .zip(self.means.par_chunks_mut(PER_PIECE))
            .zip(self.squares.par_chunks_mut(PER_PIECE))
            .enumerate()
            .for_each(|(number, ((values, means), squares))| {
                let place = number * PER_PIECE..number * PER_PIECE + values.len();
                let decay = &decay[place.clone()];
                let mut slopes = [T::default(); PER_PIECE];
                let slopes = &mut slopes[..values.len()];
                Arch::new().dispatch(|| {
                    for ((slope, &decay), &value) in slopes.iter_mut().zip(decay).zip(&*values) {
                        *slope = decay * value;
                    }
                    for piece in pieces {
                        for (sum, &slope) in slopes.iter_mut().zip(&piece[place.clone()]) {
                            *sum += slope;
                        }
                    }
                    update(values, slopes, means, squares, pace);
                });
            });
    }
}

#[inline(always)]
fn update<T: Real>(
    values: &mut [T],
    slopes: &[T],
    means: &mut [T],
    squares: &mut [T],
    pace: Pace<T>,
) {
    let (first, second) = (T::of(1.0 - FIRST_DECAY), T::of(1.0 - SECOND_DECAY));
    let floor = T::of(FLOOR);
    let memories = means.iter_mut().zip(squares);
    for ((value, &slope), (mean, square)) in values.iter_mut().zip(slopes).zip(memories) {
        *mean += first * (slope - *mean);
        *square += second * (slope * slope - *square);
        *value -= pace.rate * *mean / (square.root() * pace.root + floor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_is_the_learning_rate_towards_the_sign() {
        let mut adam = Adam::<f64>::new(3, 0.1);
        let mut values = vec![1.0, 2.0, 3.0];
        let pieces = [vec![4.0, -1.0, 0.0], vec![1.0, -1.0, 0.0]];
        adam.step(&mut values, &pieces, &[0.0; 3]);
        for (found, wanted) in values.iter().zip([0.9, 2.1, 3.0]) {
            assert!((found - wanted).abs() < 1e-8, "{values:?}");
        }
    }
}
