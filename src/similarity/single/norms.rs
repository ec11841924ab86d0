//! What is seen of tokens while they are packed.

/// Norms of some rows.
#[derive(Debug, Default)]
pub struct Norms {
    /// What a score is multiplied by for each token: one over its norm, 0 for a zero token; or 1.
    pub scales: Vec<f64>,
    /// The largest norm.
    pub largest: f64,
    /// The largest part of a norm by which rounding to bfloat16 moved a token.
    pub moved: f64,
    /// Tasks with tokens whose norms are out of the ordinary range: theirs is the `f64` path.
    pub extraordinary: Vec<usize>,
    /// Scratch, row by row: squares of norms, whether a number was lost on the way to `f32`, squares
    /// of what rounding moved the token by.
    pub squares: Vec<f64>,
    pub lost: Vec<bool>,
    pub errors: Vec<f64>,
}

impl Norms {
    /// Makes room for rows to be looked at.
    pub fn start(&mut self, n_rows: usize) {
        self.squares.clear();
        self.squares.resize(n_rows, 0.0);
        self.lost.clear();
        self.errors.clear();
    }

    /// Adds what was seen of the rows after the last.
    pub fn join(&mut self, next: &Self) {
        self.scales.extend_from_slice(&next.scales);
        self.largest = self.largest.max(next.largest);
        self.moved = self.moved.max(next.moved);
        self.extraordinary.extend_from_slice(&next.extraordinary);
        self.extraordinary.dedup();
    }
}
