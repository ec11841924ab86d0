//! Counter-based random streams: the stream a piece of work draws from depends on the seed and
//! on the number of that piece, never on the thread that happens to run it. And normal numbers in
//! bulk, by the ziggurat of Marsaglia and Tsang (2000) with 256 layers.

use std::sync::LazyLock;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The generator of piece `index` under `seed`; streams of different pieces do not overlap.
pub fn stream(seed: u64, index: u64) -> ChaCha8Rng {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(index);
    generator
}

const LAYERS: usize = 256;
// Where the tail begins and the area of a layer; both solve the ziggurat's closing equation for
// 256 layers (Marsaglia and Tsang, 2000, section 3).
const TAIL: f64 = 3.654_152_885_361_008_8;
const AREA: f64 = 0.004_928_673_233_974_652;
// Words fetched at once: one kilobyte, so that a short row does not waste a block of the cipher.
const WORDS: usize = 128;

/// Right edges of the layers (the last is 0) and the density there.
static ZIGGURAT: LazyLock<([f64; LAYERS + 1], [f64; LAYERS + 1])> = LazyLock::new(|| {
    let mut edges = [0.0; LAYERS + 1];
    edges[0] = AREA / density(TAIL);
    edges[1] = TAIL;
    for layer in 2..LAYERS {
        let below = edges[layer - 1];
        edges[layer] = (-2.0 * (AREA / below + density(below)).ln()).sqrt();
    }
    (edges, edges.map(density))
});

fn density(value: f64) -> f64 {
    (-0.5 * value * value).exp()
}

/// Fills `values` with standard normal numbers, in order, from whole words of the generator.
pub fn fill_normal(generator: &mut impl Rng, values: &mut [f64]) {
    let (edges, densities) = &*ZIGGURAT;
    let mut bytes = [0u8; 8 * WORDS];
    for block in values.chunks_mut(WORDS) {
        let bytes = &mut bytes[..8 * block.len()];
        generator.fill_bytes(bytes);
        for (value, word) in block.iter_mut().zip(bytes.chunks_exact(8)) {
            let mut bits = u64::from_le_bytes([
                word[0], word[1], word[2], word[3], word[4], word[5], word[6], word[7],
            ]);
            // Over 98 of 100 words end in the first test; the others ask for more words.
            *value = loop {
                let layer = (bits & 0xff) as usize;
                let place = signed_unit(bits) * edges[layer];
                if place.abs() < edges[layer + 1] {
                    break place;
                }
                if layer == 0 {
                    break tail(generator).copysign(place);
                }
                let height = densities[layer]
                    + (densities[layer + 1] - densities[layer]) * unit(generator.next_u64());
                if height < density(place) {
                    break place;
                }
                bits = generator.next_u64();
            };
        }
    }
}

/// A number in [-1, 1) from the upper 53 bits, which the choice of a layer does not use.
fn signed_unit(bits: u64) -> f64 {
    (bits as i64 >> 11) as f64 * (1.0 / (1u64 << 52) as f64)
}

/// A number in (0, 1).
fn unit(bits: u64) -> f64 {
    ((bits >> 11) as f64 + 0.5) * (1.0 / (1u64 << 53) as f64)
}

fn tail(generator: &mut impl Rng) -> f64 {
    loop {
        let beyond = -unit(generator.next_u64()).ln() / TAIL;
        let height = -unit(generator.next_u64()).ln();
        if 2.0 * height > beyond * beyond {
            return TAIL + beyond;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_fixed_by_seed_and_index() {
        let draw = |seed, index| stream(seed, index).next_u64();
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(1, 3));
        assert_ne!(draw(1, 2), draw(2, 2));
    }

    #[test]
    fn the_layers_close_at_the_top() {
        let (edges, densities) = &*ZIGGURAT;
        assert!(edges.windows(2).all(|pair| pair[1] < pair[0]));
        let top = edges[LAYERS - 1] * (1.0 - densities[LAYERS - 1]);
        assert!((top - AREA).abs() < 1e-12);
    }

    #[test]
    fn numbers_are_normal_in_every_moment_and_in_the_tail() {
        let count = 2_000_000;
        let mut values = vec![0.0; count];
        fill_normal(&mut stream(3, 0), &mut values);
        // E x^p and its variance for p = 1..6, and the mass beyond 1, 2, 3 and the tail's start.
        let exact = [0.0, 1.0, 0.0, 3.0, 0.0, 15.0];
        let squares = [1.0, 3.0, 15.0, 105.0, 945.0, 10395.0];
        let check = |name: &str, found: f64, wanted: f64, variance: f64| {
            let z = (found - wanted) / (variance / count as f64).sqrt();
            assert!(z.abs() < 4.5, "{name}: {found} against {wanted}, z = {z}");
        };
        for power in 1..=6_i32 {
            let at = power as usize - 1;
            let mean = values.iter().map(|value| value.powi(power)).sum::<f64>() / count as f64;
            check(
                "moment",
                mean,
                exact[at],
                squares[at] - exact[at] * exact[at],
            );
        }
        let masses = [
            (1.0, 0.158_655_253_931_457),
            (2.0, 0.022_750_131_948_179),
            (3.0, 0.001_349_898_031_630),
            (TAIL, 0.000_129_016_243_827),
        ];
        for (edge, mass) in masses {
            for sign in [-1.0, 1.0] {
                let beyond = values.iter().filter(|&&value| sign * value > edge).count();
                check(
                    "tail",
                    beyond as f64 / count as f64,
                    mass,
                    mass * (1.0 - mass),
                );
            }
        }
    }

    #[test]
    fn any_length_can_be_filled() {
        for count in [0, 1, WORDS, WORDS + 1] {
            let mut values = vec![f64::NAN; count];
            fill_normal(&mut stream(1, 0), &mut values);
            assert!(values.iter().all(|value| value.is_finite()));
        }
    }
}
