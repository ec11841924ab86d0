//! Sixteen neighbouring streams at once, one in each lane of a register.
//!
//! ```text
//! Formula   ChaCha with 8 rounds: key from the seed, words 12-13 the block, words 14-15 the stream
//! Shapes    seed, first -> 64 bits of streams first..first + LANES at a time [LANES]
//! Range     all 64-bit numbers
//! Promises  lane i gives what stream(seed, first + i) gives, bit for bit, for ever
//! Zero rows not applicable
//! NaN       not applicable
//! Precision whole numbers only
//! Cost      384 vector operations for 64 bytes of each of the 16 streams
//! ```
//!
//! Replicates of a bootstrap each need the start of another stream. The cipher crate works on
//! four blocks of one stream at a time and takes 245 ns a stream; streams differ in two words of
//! their state only, so side by side they cost what one costs. The crate is the oracle of the tests.
//!
//! Source: Bernstein (2008), ChaCha, a variant of Salsa20, for the rounds.

use chacha20::ChaCha8Rng;
use pulp::{Arch, Simd, WithSimd};
use rand::SeedableRng;

/// Streams side by side: one AVX-512 register of 32-bit words, two of AVX2.
pub const LANES: usize = 16;

const WORDS: usize = 16;

// "expand 32-byte k", the constant words of the cipher.
const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

/// `LANES` streams of one seed, read in step.
#[derive(Debug, Clone)]
pub struct LaneStreams {
    key: [u32; 8],
    first: u64,
    block: u64,
    words: [[u32; LANES]; WORDS],
    used: usize,
}

impl LaneStreams {
    /// Streams `first..first + LANES` of `seed`, from their beginning.
    pub fn new(seed: u64, first: u64) -> Self {
        let bytes = ChaCha8Rng::seed_from_u64(seed).get_seed();
        let (words, _) = bytes.as_chunks::<4>();
        let mut key = [0; 8];
        for (word, bytes) in key.iter_mut().zip(words) {
            *word = u32::from_le_bytes(*bytes);
        }
        Self {
            key,
            first,
            block: 0,
            words: [[0; LANES]; WORDS],
            used: WORDS,
        }
    }

    /// Goes to the beginning of streams `first..first + LANES`.
    pub fn restart(&mut self, first: u64) {
        (self.first, self.block, self.used) = (first, 0, WORDS);
    }

    /// The next 64 bits of every stream: their lower words and their upper ones.
    #[inline(always)]
    pub fn next_words(&mut self) -> [[u32; LANES]; 2] {
        if self.used >= WORDS {
            self.refill();
        }
        self.used += 2;
        [self.words[self.used - 2], self.words[self.used - 1]]
    }

    #[inline(never)]
    fn refill(&mut self) {
        Arch::new().dispatch(Blocks(self));
        self.block = self.block.wrapping_add(1);
        self.used = 0;
    }
}

// The next block of every stream; a type of its own, because a closure of this length is not
// inlined into what `pulp` compiles for this processor.
struct Blocks<'a>(&'a mut LaneStreams);

impl WithSimd for Blocks<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let streams = self.0;
        let mut start = [[0; LANES]; WORDS];
        for (row, word) in start.iter_mut().zip(CONSTANTS.iter().chain(&streams.key)) {
            *row = [*word; LANES];
        }
        start[12] = [streams.block as u32; LANES];
        start[13] = [(streams.block >> 32) as u32; LANES];
        let numbers = (0..LANES as u64).map(|lane| streams.first.wrapping_add(lane));
        let [.., low, high] = &mut start;
        for (number, (low, high)) in numbers.zip(low.iter_mut().zip(high)) {
            (*low, *high) = (number as u32, (number >> 32) as u32);
        }
        for register in 0..LANES / S::U32_LANES {
            let own = register * S::U32_LANES..(register + 1) * S::U32_LANES;
            let mut state = [simd.splat_u32s(0); WORDS];
            for (state, row) in state.iter_mut().zip(&start) {
                *state = S::as_simd_u32s(&row[own.clone()]).0[0];
            }
            for _ in 0..4 {
                double_round(simd, &mut state);
            }
            for ((state, row), out) in state.iter().zip(&start).zip(&mut streams.words) {
                let before = S::as_simd_u32s(&row[own.clone()]).0[0];
                let after = simd.add_u32s(*state, before);
                S::as_mut_simd_u32s(&mut out[own.clone()]).0[0] = after;
            }
        }
    }
}

#[inline(always)]
fn double_round<S: Simd>(simd: S, state: &mut [S::u32s; WORDS]) {
    quarter_round(simd, state, [0, 4, 8, 12]);
    quarter_round(simd, state, [1, 5, 9, 13]);
    quarter_round(simd, state, [2, 6, 10, 14]);
    quarter_round(simd, state, [3, 7, 11, 15]);
    quarter_round(simd, state, [0, 5, 10, 15]);
    quarter_round(simd, state, [1, 6, 11, 12]);
    quarter_round(simd, state, [2, 7, 8, 13]);
    quarter_round(simd, state, [3, 4, 9, 14]);
}

#[inline(always)]
fn quarter_round<S: Simd>(simd: S, state: &mut [S::u32s; WORDS], [a, b, c, d]: [usize; 4]) {
    let turned = |word: S::u32s, other: S::u32s, bits: u32| {
        let mixed = simd.xor_u32s(word, other);
        let left = simd.wrapping_dyn_shl_u32s(mixed, simd.splat_u32s(bits));
        let right = simd.wrapping_dyn_shr_u32s(mixed, simd.splat_u32s(32 - bits));
        simd.or_u32s(left, right)
    };
    state[a] = simd.add_u32s(state[a], state[b]);
    state[d] = turned(state[d], state[a], 16);
    state[c] = simd.add_u32s(state[c], state[d]);
    state[b] = turned(state[b], state[c], 12);
    state[a] = simd.add_u32s(state[a], state[b]);
    state[d] = turned(state[d], state[a], 8);
    state[c] = simd.add_u32s(state[c], state[d]);
    state[b] = turned(state[b], state[c], 7);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::Rng;

    use super::super::stream;
    use super::*;

    // Streams on both sides of 2^32 and at the end of the numbers, where the words carry.
    fn first_stream() -> impl Strategy<Value = u64> {
        let edges = [0, (1 << 32) - 5, u64::MAX - 3].map(Just);
        let [start, carry, end] = edges;
        prop_oneof![any::<u64>(), start, carry, end]
    }

    proptest! {
        #[test]
        fn every_lane_is_the_stream_of_the_cipher_crate(
            seed: u64,
            first in first_stream(),
            other in first_stream(),
            count in 1_usize..200,
        ) {
            let mut lanes = LaneStreams::new(seed, other);
            lanes.next_words();
            for first in [first, other] {
                lanes.restart(first);
                let found: Vec<_> = (0..count).map(|_| lanes.next_words()).collect();
                for lane in 0..LANES {
                    let mut oracle = stream(seed, first.wrapping_add(lane as u64));
                    let wanted: Vec<u64> = (0..count).map(|_| oracle.next_u64()).collect();
                    let whole = |words: &[[u32; LANES]; 2]| {
                        u64::from(words[1][lane]) << 32 | u64::from(words[0][lane])
                    };
                    let found: Vec<u64> = found.iter().map(whole).collect();
                    prop_assert_eq!(found, wanted, "lane {}", lane);
                }
            }
        }
    }

    // A second oracle, which no table of seeds can pass: the published vector of ChaCha8 with a
    // key of zeros (draft-strombergson-chacha-test-vectors-01, TC1).
    #[test]
    fn the_first_words_under_a_key_of_zeros_are_the_published_ones() {
        let mut lanes = LaneStreams::new(0, 0);
        lanes.key = [0; 8];
        let [low, high] = lanes.next_words();
        assert_eq!(low[0].to_le_bytes(), [0x3e, 0x00, 0xef, 0x2f]);
        assert_eq!(high[0].to_le_bytes(), [0x89, 0x5f, 0x40, 0xd6]);
    }
}
