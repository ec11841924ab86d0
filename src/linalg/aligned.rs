//! Numbers that start at a cache line, so that no vector load straddles two.

const LINE: usize = 64 / size_of::<f32>();

/// A buffer of single-precision zeros whose first number starts a cache line.
#[derive(Debug)]
pub struct Aligned {
    values: Vec<f32>,
    start: usize,
    length: usize,
}

impl Aligned {
    /// `length` zeros.
    pub fn zeros(length: usize) -> Self {
        let values = vec![0.0; length + LINE];
        let start = values.as_ptr().align_offset(4 * LINE).min(LINE);
        Self {
            values,
            start,
            length,
        }
    }

    /// All numbers.
    pub fn as_slice(&self) -> &[f32] {
        &self.values[self.start..self.start + self.length]
    }

    /// All numbers, to be written.
    pub fn as_mut_slice(&mut self) -> &mut [f32] {
        &mut self.values[self.start..self.start + self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_starts_a_cache_line() {
        for length in [1, 15, 16, 1000] {
            let mut buffer = Aligned::zeros(length);
            assert_eq!(buffer.as_slice().as_ptr() as usize % 64, 0);
            assert_eq!(buffer.as_mut_slice().len(), length);
        }
    }
}
