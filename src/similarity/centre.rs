//! The origin that tokens are measured from. It belongs to the sources alone, so that a score
//! never depends on which other targets are asked for.

use rayon::prelude::*;

use super::prepare::drop_rounding;
use crate::error::{Error, Result};
use crate::tokens::Stored;

/// Which origin.
#[derive(Debug, Clone, PartialEq)]
pub enum Centre {
    /// The coordinates as they are.
    Nothing,
    /// The mean token of the sources.
    Features,
    /// At each position the mean over the sources that have it: a stand-in for a shared
    /// initialisation.
    Positions,
    /// A given prompt `[n_tokens, dim]`, or one token `[1, dim]` for every position.
    Given(Vec<f64>),
}

/// An origin for every position: no row, one row for all positions, or one row each.
#[derive(Debug, Clone, Default)]
pub struct Frame {
    rows: Vec<f64>,
    dim: usize,
    // How many rows were averaged at each position; empty where the origin was given exactly.
    counts: Vec<usize>,
}

impl Frame {
    /// The origin `centre` asks for.
    pub fn fit(centre: &Centre, sources: &Stored<'_>) -> Result<Self> {
        let dim = sources.dim();
        match centre {
            Centre::Nothing => Ok(Self::default()),
            Centre::Features => Ok(Self {
                rows: mean_token(sources),
                dim,
                counts: vec![sources.n_rows()],
            }),
            Centre::Positions => Ok(Self::by_position(sources)),
            Centre::Given(rows) => Self::given(rows, dim),
        }
    }

    /// The origin `rows`: one row for all positions, or one each.
    pub fn given(rows: &[f64], dim: usize) -> Result<Self> {
        if rows.is_empty() || !rows.len().is_multiple_of(dim) {
            return Err(Error::Shape(format!(
                "center holds {} numbers, expected rows of width {dim}",
                rows.len()
            )));
        }
        Ok(Self {
            rows: rows.to_vec(),
            dim,
            counts: Vec::new(),
        })
    }

    /// A frame that was fitted earlier: rows `[n_rows, dim]`, and how many rows were averaged into
    /// each (no counts for an origin that was given exactly).
    pub fn fitted(rows: Vec<f64>, dim: usize, counts: Vec<usize>) -> Result<Self> {
        let n_rows = rows.len().checked_div(dim).unwrap_or(0);
        if n_rows * dim != rows.len() || !(counts.is_empty() || counts.len() == n_rows) {
            return Err(Error::Shape(format!(
                "a frame of {} numbers and {} counts is no set of rows of width {dim}",
                rows.len(),
                counts.len()
            )));
        }
        Ok(Self { rows, dim, counts })
    }

    /// Rows `[n_rows, dim]`, and how many rows were averaged into each.
    pub fn parts(&self) -> (&[f64], &[usize]) {
        (&self.rows, &self.counts)
    }

    fn by_position(sources: &Stored<'_>) -> Self {
        let tasks = || sources.offsets().windows(2);
        let longest = tasks().map(|task| task[1] - task[0]).max().unwrap_or(0);
        let means: Vec<(Vec<f64>, usize)> = (0..longest)
            .into_par_iter()
            .map(|position| {
                let rows: Vec<Vec<f64>> = tasks()
                    .map(|task| task[0] + position..task[1])
                    .filter(|rows| !rows.is_empty())
                    .map(|rows| sources.widen_rows(rows.start..rows.start + 1))
                    .collect();
                (sorted_sum(&rows, rows.len() as f64), rows.len())
            })
            .collect();
        let counts = means.iter().map(|(_, count)| *count).collect();
        let rows = means.into_iter().flat_map(|(mean, _)| mean).collect();
        Self {
            rows,
            dim: sources.dim(),
            counts,
        }
    }

    /// Refuses tasks whose positions the frame does not know.
    pub fn check(&self, offsets: &[usize]) -> Result<()> {
        let n_rows = self.rows.len().checked_div(self.dim).unwrap_or(0);
        for (task, bounds) in offsets.windows(2).enumerate() {
            let n_tokens = bounds[1] - bounds[0];
            let fits = match (n_rows, self.counts.is_empty()) {
                (0 | 1, _) => true,
                (_, true) => n_tokens == n_rows,
                (_, false) => n_tokens <= n_rows,
            };
            if !fits {
                return Err(Error::Shape(format!(
                    "task number {task} has {n_tokens} tokens, but center knows {n_rows} \
                     positions; use center='features' or None"
                )));
            }
        }
        Ok(())
    }

    /// Whether every token stays where it is.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Moves the token at `position` into the frame.
    pub fn subtract(&self, position: usize, row: &mut [f64]) {
        if self.rows.is_empty() {
            return;
        }
        let position = if self.rows.len() == self.dim {
            0
        } else {
            position
        };
        let origin = &self.rows[position * self.dim..(position + 1) * self.dim];
        // A given origin is exact: only a true match leaves zero, which the difference shows.
        drop_rounding(row, origin, self.counts.get(position).copied().unwrap_or(0));
    }
}

/// All tokens moved into the frame that `centre` asks for, row after row.
pub fn centred(tokens: &Stored<'_>, centre: &Centre) -> Result<Vec<f64>> {
    let (frame, dim) = (Frame::fit(centre, tokens)?, tokens.dim());
    frame.check(tokens.offsets())?;
    let mut moved = tokens.widen().buffer;
    for bounds in tokens.offsets().windows(2) {
        let task = &mut moved[bounds[0] * dim..bounds[1] * dim];
        for (position, row) in task.chunks_exact_mut(dim).enumerate() {
            frame.subtract(position, row);
        }
    }
    Ok(moved)
}

/// The mean over all tokens of all tasks.
fn mean_token(sources: &Stored<'_>) -> Vec<f64> {
    mean_of_sums(&token_sums(sources), sources.dim(), sources.n_rows())
}

/// The sum of the tokens of every task `[n_tasks, dim]`: all that a mean token needs to know.
pub fn token_sums(sources: &Stored<'_>) -> Vec<f64> {
    let dim = sources.dim();
    let mut sums = vec![0.0; sources.n_tasks() * dim];
    sums.par_chunks_exact_mut(dim)
        .enumerate()
        .for_each(|(task, sum)| {
            for row in sources.alone(task).task(0).rows() {
                for (total, value) in sum.iter_mut().zip(row) {
                    *total += value;
                }
            }
        });
    sums
}

/// The mean over `n_tokens` tokens whose sums task by task are `sums [n_tasks, dim]`.
pub fn mean_of_sums(sums: &[f64], dim: usize, n_tokens: usize) -> Vec<f64> {
    let rows: Vec<&[f64]> = sums.chunks_exact(dim).collect();
    sorted_sum(&rows, n_tokens as f64)
}

/// Sum of rows over `divisor`, each coordinate added in the order of its values: the order of
/// tasks cannot change a bit.
fn sorted_sum<R: AsRef<[f64]> + Sync>(rows: &[R], divisor: f64) -> Vec<f64> {
    let dim = rows.first().map_or(0, |row| row.as_ref().len());
    (0..dim)
        .into_par_iter()
        .map_init(Vec::new, |column, coordinate| {
            column.clear();
            column.extend(rows.iter().map(|row| row.as_ref()[coordinate]));
            column.sort_unstable_by(f64::total_cmp);
            column.iter().sum::<f64>() / divisor
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Tokens;

    fn ragged() -> Tokens {
        Tokens {
            buffer: vec![1.0, 0.0, 3.0, 2.0, 5.0, 4.0],
            offsets: vec![0, 1, 3],
            dim: 2,
        }
    }

    fn moved(centre: &Centre, position: usize, row: [f64; 2]) -> [f64; 2] {
        let mut row = row;
        Frame::fit(centre, &ragged().stored())
            .unwrap()
            .subtract(position, &mut row);
        row
    }

    #[test]
    fn features_subtract_the_mean_of_all_tokens() {
        assert_eq!(moved(&Centre::Features, 7, [3.0, 3.0]), [0.0, 1.0]);
    }

    #[test]
    fn positions_subtract_the_mean_of_the_tasks_that_have_them() {
        assert_eq!(moved(&Centre::Positions, 0, [3.0, 3.0]), [1.0, 2.0]);
        assert_eq!(moved(&Centre::Positions, 1, [3.0, 3.0]), [-2.0, -1.0]);
    }

    #[test]
    fn one_given_token_serves_every_position() {
        assert_eq!(
            moved(&Centre::Given(vec![1.0, 1.0]), 9, [3.0, 3.0]),
            [2.0, 2.0]
        );
        assert_eq!(moved(&Centre::Nothing, 9, [3.0, 3.0]), [3.0, 3.0]);
        assert!(Frame::fit(&Centre::Given(vec![1.0]), &ragged().stored()).is_err());
    }

    #[test]
    fn a_frame_fitted_earlier_moves_tokens_to_the_same_bits() {
        for centre in [Centre::Nothing, Centre::Features, Centre::Positions] {
            let frame = Frame::fit(&centre, &ragged().stored()).unwrap();
            let (rows, counts) = frame.parts();
            let again = Frame::fitted(rows.to_vec(), 2, counts.to_vec()).unwrap();
            let mut moved = [[0.1, 0.7], [0.1, 0.7]];
            frame.subtract(1, &mut moved[0]);
            again.subtract(1, &mut moved[1]);
            assert_eq!(moved[0], moved[1]);
        }
        assert!(Frame::fitted(vec![1.0], 2, Vec::new()).is_err());
        assert!(Frame::fitted(vec![1.0, 2.0], 2, vec![1, 1]).is_err());
    }

    #[test]
    fn unknown_positions_are_refused() {
        let mut long = ragged();
        long.offsets = vec![0, 3];
        let frame = Frame::fit(&Centre::Positions, &ragged().stored()).unwrap();
        assert!(frame.check(&ragged().offsets).is_ok());
        assert!(frame.check(&long.offsets).is_err());
        let frame = Frame::fit(&Centre::Given(vec![0.0; 4]), &ragged().stored()).unwrap();
        assert!(frame.check(&ragged().offsets).is_err());
    }
}
