//! Which tokens of one prompt find their best partner at their own position in another: decided in
//! single precision, and again in double where rounding could have decided.

use super::super::prepare::{Normalize, prepare};
use super::super::single::{Reduction, error_bound};
use crate::error::Result;
use crate::linalg::simd::{Path, Tile};
use crate::linalg::{Aligned, Inner, TokenPanels, for_each_row};
use crate::similarity::centre::Frame;
use crate::tokens::{Stored, TokenMatrix};

/// One prompt's unit tokens as one side of the register tile reads them. The double form is made
/// again where it is needed.
#[derive(Debug)]
pub struct Prompt {
    packed: Aligned,
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

    /// Bytes of a prompt in panels.
    pub fn bytes(&self, task: usize) -> usize {
        let offsets = self.stored.offsets();
        let n_tokens = offsets[task + 1] - offsets[task];
        n_tokens.next_multiple_of(self.path.lanes()) * self.stored.dim() * size_of::<f32>()
    }

    /// Task number `task` for the left side, or None if all of its tokens are zero.
    pub fn sought(&self, task: usize) -> Result<Option<Prompt>> {
        self.packed(task, self.path.lanes(), Path::pack_panel)
    }

    /// Task number `task` for the right side, or None if all of its tokens are zero.
    pub fn passing(&self, task: usize) -> Result<Option<Prompt>> {
        self.packed(task, self.path.rows(), Path::pack_tile)
    }

    fn packed(
        &self,
        task: usize,
        height: usize,
        pack: impl Fn(Path, &[f32], usize, &mut [f32]),
    ) -> Result<Option<Prompt>> {
        let Some(values) = self.unit_tokens(task)? else {
            return Ok(None);
        };
        let dim = self.stored.dim();
        let narrow: Vec<f32> = values.iter().map(|&value| value as f32).collect();
        let n_tokens = narrow.len() / dim;
        let mut packed = Aligned::unset(n_tokens.next_multiple_of(height) * dim);
        let parts = packed.as_mut_slice().chunks_exact_mut(height * dim);
        for (rows, part) in narrow.chunks(height * dim).zip(parts) {
            pack(self.path, rows, dim, part);
        }
        Ok(Some(Prompt {
            packed,
            task,
            n_tokens,
        }))
    }

    /// Part of the left prompt's tokens whose best partner on the right has the same number, and the
    /// other way round; ties count in parts. The numbers are those of products in `f64`.
    pub fn fractions(&self, left: &Prompt, right: &Prompt) -> Result<(f64, f64)> {
        let (own, beside) = self.own_and_others(left, right);
        let fraction = |source, target, others: &[f32]| match self.certain(&own, others) {
            Some(fraction) => Ok(fraction),
            None => self.fraction_in_double(source, target),
        };
        let forth = fraction(left, right, &beside.0)?;
        Ok((forth, fraction(right, left, &beside.1)?))
    }

    // Part of the tokens whose own score is the best, unless rounding could have decided.
    fn certain(&self, own: &[f32], others: &[f32]) -> Option<f64> {
        // Tokens were rounded to `f32` as well, and the margin holds for two scores.
        let bound = error_bound(self.stored.dim(), (1.0, 1.0), None, Reduction::Best, true);
        let margin = 2.001 * bound as f32;
        let mut count = 0.0;
        for (own, other) in own.iter().zip(others) {
            if (own - other).abs() <= margin {
                return None;
            }
            count += f64::from(u8::from(own > other));
        }
        Some(count / own.len() as f64)
    }

    // Of every position: the score of the two tokens there, and the best other score of either.
    fn own_and_others(&self, left: &Prompt, right: &Prompt) -> (Vec<f32>, (Vec<f32>, Vec<f32>)) {
        let (dim, width, height) = (self.stored.dim(), self.path.lanes(), self.path.rows());
        let n_tokens = left.n_tokens;
        let mut own = vec![f32::NEG_INFINITY; n_tokens];
        let (mut forth, mut back) = (own.clone(), own.clone());
        let mut scores = vec![0.0; width * height];
        let panels = left.packed.as_slice().chunks_exact(width * dim);
        for (panel, first) in panels.zip((0..).step_by(width)) {
            let lanes = first..(first + width).min(n_tokens);
            let tiles = right.packed.as_slice().chunks_exact(height * dim);
            for (tile, start) in tiles.zip((0..).step_by(height)) {
                self.path
                    .scores(panel, Tile::Packed(tile), &[], &mut scores);
                for (row, scores) in (start..n_tokens).zip(scores.chunks_exact_mut(width)) {
                    if lanes.contains(&row) {
                        let slot = &mut scores[row - first];
                        own[row] = std::mem::replace(slot, f32::NEG_INFINITY);
                    }
                    keep_larger(&mut forth[lanes.clone()], scores);
                    let mut running = [back[row]; 8];
                    for chunk in scores[..lanes.len()].chunks(8) {
                        keep_larger(&mut running, chunk);
                    }
                    back[row] = running.into_iter().fold(back[row], f32::max);
                }
            }
        }
        (own, (forth, back))
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

fn keep_larger(best: &mut [f32], scores: &[f32]) {
    for (best, &score) in best.iter_mut().zip(scores) {
        *best = if score > *best { score } else { *best };
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
                let prompts = (captured.sought(0).unwrap(), captured.passing(1).unwrap());
                if let (Some(source), Some(target)) = &prompts {
                    let found = captured.fractions(source, target).unwrap();
                    let forth = captured.fraction_in_double(source, target).unwrap();
                    let back = captured.fraction_in_double(target, source).unwrap();
                    prop_assert_eq!(found, (forth, back));
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
            let source = captured.sought(0).unwrap().unwrap();
            let itself = captured.passing(0).unwrap().unwrap();
            let (own, beside) = captured.own_and_others(&source, &itself);
            assert_eq!(captured.certain(&own, &beside.0), Some(1.0));
            assert_eq!(captured.certain(&own, &beside.1), Some(1.0));
        }
    }
}
