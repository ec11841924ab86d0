//! Kernels that see nothing of a prompt but its mean token: one pass over the tokens where they
//! lie, then one product of all means.
//!
//! ```text
//! tokens as stored --(widened in registers, / norm)--> sums [dim], f64   once per prompt
//! means [n_sources, dim] x [n_targets, dim] --> products --> scores
//! ```
//!
//! Tokens of a prompt are added in an order that is their own (`linalg::add_rows`), in stretches of
//! `STRETCH`; a product is one chain of additions. So neither threads nor neighbours change a bit.
//!
//! The pass over 200 x 200 prompts of 100 x 768, 123 MB, takes 8 to 10 ms on an Intel Xeon busy with
//! other jobs, where reading the same bytes from front to back takes 10 to 13 (`simd::rows`).

use std::ops::Range;

use rayon::prelude::*;

use super::centre::Frame;
use super::feature_mean::FeatureMean;
use super::mean_pairwise::MeanPairwise;
use super::prepare::Normalize;
use super::single::StoredSides;
use super::{Kernel, check_finite};
use crate::error::Result;
use crate::linalg::simd::Path;
use crate::linalg::{Inner, TokenPanels, add_rows, for_each_tile};
use crate::threads::Monitor;
use crate::tokens::Stored;

/// Tokens added up by themselves, so that threads share a long prompt and a cancelled job stops.
const STRETCH: usize = 1024;
/// Targets of one piece of work: their means, 64 x 1024 numbers, stay in 512 KB of L2 while those
/// of all sources pass.
const TARGETS: usize = 64;

/// What a kernel makes of two means.
pub trait OfMeans {
    /// The mean as it is multiplied, and one number beside it.
    fn form(mean: Vec<f64>) -> (Vec<f64>, f64);

    /// The score, from the product of two forms and the numbers beside them.
    fn score(product: f64, source: f64, target: f64) -> f64;
}

/// Whether the mean tokens are all that `kernel` sees.
pub fn sees_means_only(kernel: Kernel) -> bool {
    matches!(kernel, Kernel::FeatureMean | Kernel::MeanPairwise)
}

/// Scores `[n_targets, n_sources]` of a kernel that sees means only.
pub fn of_means(sides: &StoredSides<'_>, kernel: Kernel, monitor: &Monitor) -> Result<Vec<f64>> {
    let scores = match kernel {
        Kernel::FeatureMean => scores::<FeatureMean>(sides, monitor),
        _ => scores::<MeanPairwise>(sides, monitor),
    }?;
    check_finite(&scores, sides.sources.n_tasks())?;
    Ok(scores)
}

fn scores<K: OfMeans>(sides: &StoredSides<'_>, monitor: &Monitor) -> Result<Vec<f64>> {
    let sources = Forms::of::<K>(sides, sides.sources, monitor)?;
    let targets = match sides.targets {
        Some(targets) => &Forms::of::<K>(sides, targets, monitor)?,
        None => &sources,
    };
    let (n_sources, dim) = (sources.beside.len(), sides.sources.dim());
    let panels = TokenPanels::pack_rows(&sources.values, dim);
    let mut scores = vec![0.0; n_sources * targets.beside.len()];
    scores
        .par_chunks_mut(TARGETS * n_sources)
        .zip(targets.values.par_chunks(TARGETS * dim))
        .zip(targets.beside.par_chunks(TARGETS))
        .try_for_each(|((scores, values), beside)| {
            let targets = TokenPanels::pack_rows(values, dim);
            for_each_tile(&panels, &targets, Inner, |tile| {
                for (row, products) in tile.rows().enumerate() {
                    let source = tile.first_row + row;
                    for (column, &product) in products.iter().enumerate() {
                        let target = tile.first_column + column;
                        let score = K::score(product, sources.beside[source], beside[target]);
                        scores[target * n_sources + source] = score;
                    }
                }
            });
            monitor.tick(scores.len())
        })?;
    Ok(scores)
}

// All prompts of one side as they are multiplied.
struct Forms {
    values: Vec<f64>,
    beside: Vec<f64>,
}

impl Forms {
    fn of<K: OfMeans>(
        sides: &StoredSides<'_>,
        stored: Stored<'_>,
        monitor: &Monitor,
    ) -> Result<Self> {
        sides.frame.check(stored.offsets())?;
        let found = (0..stored.n_tasks())
            .into_par_iter()
            .map(|task| Ok(K::form(mean(sides, &stored, task, monitor)?)))
            .collect::<Result<Vec<_>>>()?;
        let (values, beside): (Vec<Vec<f64>>, Vec<f64>) = found.into_iter().unzip();
        Ok(Self {
            values: values.concat(),
            beside,
        })
    }
}

// The mean of one prompt's tokens in the frame.
fn mean(
    sides: &StoredSides<'_>,
    stored: &Stored<'_>,
    task: usize,
    monitor: &Monitor,
) -> Result<Vec<f64>> {
    let path = Path::chosen()?;
    let rows = stored.offsets()[task]..stored.offsets()[task + 1];
    let is_unit = sides.normalize == Normalize::Tokens;
    let stretches = (rows.clone().step_by(STRETCH).collect::<Vec<_>>()).into_par_iter();
    let sums = stretches
        .map(|start| {
            monitor.tick(0)?;
            let stretch = start..(start + STRETCH).min(rows.end);
            let mut sums = vec![0.0; stored.dim()];
            add_stretch(
                path,
                stored,
                sides.frame,
                (stretch, rows.start),
                is_unit,
                &mut sums,
            );
            Ok(sums)
        })
        .collect::<Result<Vec<_>>>()?;
    let mut mean = vec![0.0; stored.dim()];
    for sums in sums {
        mean.iter_mut()
            .zip(sums)
            .for_each(|(mean, sum)| *mean += sum);
    }
    let count = rows.len() as f64;
    mean.iter_mut().for_each(|value| *value /= count);
    Ok(mean)
}

fn add_stretch(
    path: Path,
    stored: &Stored<'_>,
    frame: &Frame,
    (rows, first): (Range<usize>, usize),
    is_unit: bool,
    sums: &mut [f64],
) {
    let dim = stored.dim();
    if !frame.is_empty() {
        for row in rows {
            let mut token = stored.widen_rows(row..row + 1);
            frame.subtract(row - first, &mut token);
            add_rows(path, &token, is_unit, sums);
        }
        return;
    }
    let values = rows.start * dim..rows.end * dim;
    match stored {
        Stored::F16(ragged) => add_rows(path, &ragged.buffer()[values], is_unit, sums),
        Stored::Bf16(ragged) => add_rows(path, &ragged.buffer()[values], is_unit, sums),
        Stored::F32(ragged) => add_rows(path, &ragged.buffer()[values], is_unit, sums),
        Stored::F64(ragged) => add_rows(path, &ragged.buffer()[values], is_unit, sums),
    }
}
