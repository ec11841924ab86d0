//! Which tokens of one prompt find their best partner at their own position in another: decided in
//! single precision, and again in double where rounding could have decided.

use super::super::prepare::{Normalize, prepare};
use super::super::single::{Reduction, error_bound};
use crate::error::Result;
use crate::linalg::simd::{Path, Tile};
use crate::linalg::{Aligned, Inner, TokenPanels, for_each_row};
use crate::similarity::centre::Frame;
use crate::tokens::{Stored, TokenMatrix};

/// One prompt's unit tokens on both sides of the register tile.
#[derive(Debug)]
pub struct Prompt {
    panels: Aligned,
    tiles: Aligned,
    // Bare unit tokens, from which the double form is made again where it is needed.
    task: usize,
    n_tokens: usize,
}

/// What all prompts share.
#[derive(Debug, Clone, Copy)]
pub struct Captured<'a> {
    pub path: Path,
    pub stored: &'a Stored<'a>,
    pub frame: &'a Frame,
}

impl Captured<'_> {
    fn unit_tokens(&self, task: usize) -> Result<Option<Vec<f64>>> {
        let tokens = self.stored.alone(task);
        Ok(prepare(tokens.task(0), self.frame, Normalize::Tokens))
    }

    /// Task number `task`, or None if all of its tokens are zero.
    pub fn prompt(&self, task: usize) -> Result<Option<Prompt>> {
        let Some(values) = self.unit_tokens(task)? else {
            return Ok(None);
        };
        let (dim, width, height) = (self.stored.dim(), self.path.lanes(), self.path.rows());
        let narrow: Vec<f32> = values.iter().map(|&value| value as f32).collect();
        let n_tokens = narrow.len() / dim;
        let mut panels = Aligned::unset(n_tokens.div_ceil(width) * width * dim);
        let mut tiles = Aligned::unset(n_tokens.div_ceil(height) * height * dim);
        let packed = panels.as_mut_slice().chunks_exact_mut(width * dim);
        for (rows, panel) in narrow.chunks(width * dim).zip(packed) {
            self.path.pack_panel(rows, dim, panel);
        }
        let packed = tiles.as_mut_slice().chunks_exact_mut(height * dim);
        for (rows, tile) in narrow.chunks(height * dim).zip(packed) {
            self.path.pack_tile(rows, dim, tile);
        }
        Ok(Some(Prompt {
            panels,
            tiles,
            task,
            n_tokens,
        }))
    }

    /// Part of the source's tokens whose best target token has the same number; ties count in
    /// parts. The number is that of products in `f64`.
    pub fn fraction(&self, source: &Prompt, target: &Prompt) -> Result<f64> {
        // Both tokens were rounded to `f32`, and the margin holds for two scores.
        let bound = error_bound(self.stored.dim(), (1.0, 1.0), None, Reduction::Best, true);
        let margin = 2.001 * bound as f32;
        let (own, others) = self.own_and_others(source, target);
        let mut count = 0.0;
        for (own, other) in own.into_iter().zip(others) {
            if (own - other).abs() <= margin {
                return self.fraction_in_double(source, target);
            }
            count += f64::from(u8::from(own > other));
        }
        Ok(count / source.n_tokens as f64)
    }

    // Of every source token: the score with the target token of its number, and the best other.
    fn own_and_others(&self, source: &Prompt, target: &Prompt) -> (Vec<f32>, Vec<f32>) {
        let (dim, width, height) = (self.stored.dim(), self.path.lanes(), self.path.rows());
        let n_lanes = source.panels.as_slice().len() / dim;
        let mut own = vec![f32::NEG_INFINITY; n_lanes];
        let mut others = own.clone();
        let ones = vec![1.0; height];
        let mut scores = vec![0.0; width * height];
        let panels = source.panels.as_slice().chunks_exact(width * dim);
        for (number, panel) in panels.enumerate() {
            let first = number * width;
            let others = &mut others[first..first + width];
            let tiles = target.tiles.as_slice().chunks_exact(height * dim);
            for (number, tile) in tiles.enumerate() {
                let (tile, start) = (Tile::Packed(tile), number * height);
                if start >= first + width || start + height <= first {
                    self.path.best(panel, tile, &ones, others);
                    continue;
                }
                self.path.scores(panel, tile, &ones, &mut scores);
                let rows = (start..target.n_tokens).zip(scores.chunks_exact_mut(width));
                for (row, scores) in rows {
                    if (first..first + width).contains(&row) {
                        let slot = &mut scores[row - first];
                        own[row] = std::mem::replace(slot, f32::NEG_INFINITY);
                    }
                    for (other, &score) in others.iter_mut().zip(&*scores) {
                        *other = if score > *other { score } else { *other };
                    }
                }
            }
        }
        own.truncate(source.n_tokens);
        (own, others)
    }

    fn fraction_in_double(&self, source: &Prompt, target: &Prompt) -> Result<f64> {
        let panels = |task| {
            let values = self.unit_tokens(task)?.unwrap_or_default();
            let tokens = TokenMatrix::new(&values, self.stored.dim())?;
            Ok(TokenPanels::pack(tokens))
        };
        let (left, right) = (panels(source.task)?, panels(target.task)?);
        let mut count = 0.0;
        for_each_row(&left, &right, Inner, |row, scores| {
            let own = scores[row];
            if scores.iter().all(|&score| score <= own) {
                let ties = scores.iter().filter(|&&score| score == own).count();
                count += 1.0 / ties as f64;
            }
        });
        Ok(count / source.n_tokens as f64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tokens::Tokens;

    // Two prompts of a few distinct numbers, so that ties and near ties are common.
    fn pairs() -> impl Strategy<Value = Tokens> {
        let number = prop_oneof![
            3 => -1.0..1.0f64,
            3 => prop::sample::select(vec![0.0, 1.0, -1.0, 1.0 + 1e-8]),
        ];
        (1usize..4, 1usize..40).prop_flat_map(move |(dim, n_tokens)| {
            prop::collection::vec(number.clone(), 2 * n_tokens * dim).prop_map(move |buffer| {
                let offsets = vec![0, n_tokens, 2 * n_tokens];
                Tokens {
                    buffer,
                    offsets,
                    dim,
                }
            })
        })
    }

    proptest! {
        #[test]
        fn single_precision_never_changes_the_number(tokens in pairs()) {
            for path in Path::all() {
                let (stored, frame) = (&tokens.stored(), &Frame::default());
                let captured = Captured { path, stored, frame };
                let prompts = [0, 1].map(|task| captured.prompt(task).unwrap());
                if let [Some(source), Some(target)] = &prompts {
                    let found = captured.fraction(source, target).unwrap();
                    prop_assert_eq!(found, captured.fraction_in_double(source, target).unwrap());
                }
            }
        }
    }

    #[test]
    fn well_separated_tokens_need_no_second_look() {
        let dim = 5;
        let buffer: Vec<f64> = (0..2 * 50 * dim)
            .map(|at| ((at * 7919) % 1013) as f64 / 1013.0 - 0.5)
            .collect();
        let tokens = Tokens {
            buffer,
            offsets: vec![0, 50, 100],
            dim,
        };
        for path in Path::all() {
            let (stored, frame) = (&tokens.stored(), &Frame::default());
            let captured = Captured {
                path,
                stored,
                frame,
            };
            let source = captured.prompt(0).unwrap().unwrap();
            let (own, others) = captured.own_and_others(&source, &source);
            assert!(own.iter().zip(&others).all(|(own, other)| own > other));
            assert_eq!(captured.fraction(&source, &source).unwrap(), 1.0);
        }
    }
}
