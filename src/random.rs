//! Counter-based random streams: the stream a piece of work draws from depends on the seed and
//! on the number of that piece, never on the thread that happens to run it.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The generator of piece `index` under `seed`; streams of different pieces do not overlap.
pub fn stream(seed: u64, index: u64) -> ChaCha8Rng {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(index);
    generator
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn a_stream_is_fixed_by_seed_and_index() {
        let draw = |seed, index| stream(seed, index).next_u64();
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(1, 3));
        assert_ne!(draw(1, 2), draw(2, 2));
    }
}
