//! Tokens re-laid so that the product reads memory in order: panels `[dim][WIDTH]`, in which the
//! same coordinate of `WIDTH` neighbouring tokens lies together.

use crate::tokens::TokenMatrix;

/// All tokens of one prompt in panels of `WIDTH`; the last panel is filled up with zeros, which
/// no visitor ever sees.
#[derive(Debug, Clone)]
pub struct Panels<const WIDTH: usize> {
    values: Vec<f64>,
    n_tokens: usize,
    dim: usize,
}

impl<const WIDTH: usize> Panels<WIDTH> {
    /// Packs `tokens [n_tokens, dim]`.
    pub fn pack(tokens: TokenMatrix<'_>) -> Self {
        Self::pack_rows(tokens.values(), tokens.dim())
    }

    /// Packs rows of width `dim`.
    pub fn pack_rows(rows: &[f64], dim: usize) -> Self {
        let rows = rows.chunks_exact(dim);
        let n_tokens = rows.len();
        let mut values = vec![0.0; n_tokens.div_ceil(WIDTH) * WIDTH * dim];
        for (index, row) in rows.enumerate() {
            let start = (index / WIDTH) * WIDTH * dim + index % WIDTH;
            for (slot, &value) in values[start..].iter_mut().step_by(WIDTH).zip(row) {
                *slot = value;
            }
        }
        Self {
            values,
            n_tokens,
            dim,
        }
    }

    /// Takes `n_tokens` tokens already laid out in panels: coordinate `h` of token `i` at
    /// `(i / WIDTH * dim + h) * WIDTH + i % WIDTH`. What lies beyond the last token is not read.
    pub fn from_panels(mut values: Vec<f64>, n_tokens: usize, dim: usize) -> Self {
        values.resize(n_tokens.div_ceil(WIDTH) * WIDTH * dim, 0.0);
        Self {
            values,
            n_tokens,
            dim,
        }
    }

    /// Number of tokens, without the filling.
    pub fn n_tokens(&self) -> usize {
        self.n_tokens
    }

    /// Panels in order: first token, number of real tokens, coordinates `[dim][WIDTH]`.
    #[inline(always)]
    pub fn iter(&self) -> impl Iterator<Item = (usize, usize, &[[f64; WIDTH]])> {
        let panels = self.values.chunks_exact(self.dim * WIDTH);
        panels.enumerate().map(|(index, panel)| {
            let first = index * WIDTH;
            let (lanes, _) = panel.as_chunks();
            (first, WIDTH.min(self.n_tokens - first), lanes)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panel_holds_one_coordinate_of_neighbouring_tokens_together() {
        let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let panels = Panels::<2>::pack(TokenMatrix::new(&values, 2).unwrap());
        let listed: Vec<_> = panels.iter().collect();
        assert_eq!(listed[0], (0, 2, &[[1.0, 3.0], [2.0, 4.0]][..]));
        assert_eq!(listed[1], (2, 1, &[[5.0, 0.0], [6.0, 0.0]][..]));
        assert_eq!(panels.n_tokens(), 3);
        let laid = vec![1.0, 3.0, 2.0, 4.0, 5.0, 0.0, 6.0, 0.0];
        let same = Panels::<2>::from_panels(laid, 3, 2);
        assert_eq!(same.iter().collect::<Vec<_>>(), listed);
    }
}
