//! Adam on the raw weights of the layer, a fresh batch every step: what optimisation reaches.
//!
//! Adam after Kingma and Ba (2015), learning rate falling along half a cosine to zero. The batch is
//! stratified by task and the query is integrated out. Same bits for any number of threads.

use rand::Rng;
use rayon::prelude::*;

use super::gradient::{Example, RawLayer, accumulate};
use super::matrices::{cholesky, root, to_rows, to_vec};
use super::mixture::Mixture;
use super::sequences::dot;
use super::setting::Setting;
use super::simulate::Moments;
use crate::error::Result;
use crate::random::{bulk_stream, fill_normal};
use crate::threads::Monitor;

const FIRST_DECAY: f64 = 0.9;
const SECOND_DECAY: f64 = 0.999;
const FLOOR: f64 = 1e-8;
// Pieces of a batch; small, so that a batch of a few hundred still feeds several threads.
const SEQUENCES_PER_PIECE: usize = 64;
// Stream numbers of the final check start far above those of any training run.
const CHECK_STREAMS: u64 = 1 << 48;

/// How long and how fast.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// Steps, of each of the two phases where attention is frozen half-way.
    pub n_steps: usize,
    /// Fresh sequences of every task in every step.
    pub batch_per_task: usize,
    /// Highest learning rate.
    pub learning_rate: f64,
    /// Sequences of every task that measure the final loss.
    pub n_check: usize,
}

/// What training found.
#[derive(Debug, Clone)]
pub struct Training {
    /// Final raw weights.
    pub layer: RawLayer,
    /// Batch loss (noise included) of every step.
    pub history: Vec<f64>,
    /// Moments of the final loss of every task, noise included, on fresh sequences.
    pub tasks: Vec<Moments>,
}

/// One task, ready to be drawn from.
struct Source {
    lower: Vec<f64>,
    spread: Vec<f64>,
    mean: Vec<f64>,
    input: Vec<f64>,
    noise: f64,
    weight: f64,
}

/// Trains from `start`.
pub fn train(
    mixture: &Mixture,
    n_examples: usize,
    setting: Setting,
    start: RawLayer,
    schedule: Schedule,
    seed: u64,
    monitor: &Monitor,
) -> Result<Training> {
    let sources = (0..mixture.n_tasks())
        .map(|task| {
            Ok(Source {
                lower: to_rows(cholesky(mixture.input(task))?.as_ref()),
                spread: to_rows(root(mixture.covariance(task))?.as_ref()),
                mean: to_vec(mixture.mean(task).as_ref()),
                input: to_rows(mixture.input(task)),
                noise: mixture.noise(task),
                weight: mixture.weight(task),
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let mut run = Run {
        sources,
        n_examples,
        seed,
        layer: start,
        history: Vec::new(),
        next_stream: 0,
    };
    let (prompts, heads) = (setting.has_prompts(), setting.has_heads());
    if setting.is_finetuned() {
        // Attention must not get used to prompts it will not have.
        let blank = vec![0.0; run.layer.prompts.len()];
        let prompts_later = std::mem::replace(&mut run.layer.prompts, blank);
        run.phase([true, true, true, false, false], schedule, monitor)?;
        run.layer.prompts = prompts_later;
        run.phase([false, false, false, prompts, heads], schedule, monitor)?;
    } else {
        if !prompts {
            run.layer.prompts.fill(0.0);
        }
        run.phase([true, true, true, prompts, heads], schedule, monitor)?;
    }
    run.next_stream = CHECK_STREAMS;
    let losses = run.batch(schedule.n_check, monitor)?.1;
    Ok(Training {
        layer: run.layer,
        history: run.history,
        tasks: losses,
    })
}

struct Run {
    sources: Vec<Source>,
    n_examples: usize,
    seed: u64,
    layer: RawLayer,
    history: Vec<f64>,
    next_stream: u64,
}

impl Run {
    fn phase(&mut self, trained: [bool; 5], schedule: Schedule, monitor: &Monitor) -> Result<()> {
        let (width, n_tasks) = (self.layer.width, self.sources.len());
        let mut first = RawLayer::zeros(width, n_tasks);
        let mut second = RawLayer::zeros(width, n_tasks);
        for step in 0..schedule.n_steps {
            let (gradient, tasks) = self.batch(schedule.batch_per_task, monitor)?;
            let loss = self.average(&tasks);
            self.history.push(loss);
            let part = step as f64 / schedule.n_steps as f64;
            let rate = schedule.learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * part).cos());
            let age = (step + 1) as i32;
            let corrections = (1.0 - FIRST_DECAY.powi(age), 1.0 - SECOND_DECAY.powi(age));
            let groups = self.layer.groups_mut().into_iter().zip(gradient.groups());
            let memories = first.groups_mut().into_iter().zip(second.groups_mut());
            for (((values, slopes), (means, squares)), is_trained) in
                groups.zip(memories).zip(trained)
            {
                if is_trained {
                    update(values, slopes, means, squares, rate, corrections);
                }
            }
        }
        Ok(())
    }

    fn average(&self, tasks: &[Moments]) -> f64 {
        let weighted = self.sources.iter().zip(tasks);
        weighted
            .map(|(source, task)| source.weight * task.mean)
            .sum()
    }

    /// Gradient of the mixture's loss and the loss of every task, on fresh sequences.
    fn batch(&mut self, per_task: usize, monitor: &Monitor) -> Result<(RawLayer, Vec<Moments>)> {
        let pieces_per_task = per_task.div_ceil(SEQUENCES_PER_PIECE);
        let n_pieces = pieces_per_task * self.sources.len();
        let first_stream = self.next_stream;
        self.next_stream += n_pieces as u64;
        let results: Vec<_> = (0..n_pieces)
            .into_par_iter()
            .map(|piece| {
                let (task, number) = (piece / pieces_per_task, piece % pieces_per_task);
                let count = SEQUENCES_PER_PIECE.min(per_task - number * SEQUENCES_PER_PIECE);
                let mut generator = bulk_stream(self.seed, first_stream + piece as u64);
                self.piece(task, count, per_task, &mut generator)
            })
            .collect();
        monitor.tick(1)?;
        let mut gradient = RawLayer::zeros(self.layer.width, self.sources.len());
        let mut tasks = vec![Moments::default(); self.sources.len()];
        for (piece, (part, losses)) in results.iter().enumerate() {
            gradient.add(part);
            let task = piece / pieces_per_task;
            tasks[task] = tasks[task].merged(Moments::of(losses));
        }
        for (task, source) in tasks.iter_mut().zip(&self.sources) {
            task.mean += source.noise;
        }
        Ok((gradient, tasks))
    }

    fn piece(
        &self,
        task: usize,
        count: usize,
        per_task: usize,
        generator: &mut impl Rng,
    ) -> (RawLayer, Vec<f64>) {
        let width = self.layer.width;
        let (dim, source) = (width - 1, &self.sources[task]);
        let mut gradient = RawLayer::zeros(width, self.sources.len());
        let mut tokens = vec![0.0; self.n_examples * width];
        let (mut draw, mut vector) = (vec![0.0; dim], vec![0.0; dim]);
        let deviation = source.noise.sqrt();
        let weight = source.weight / per_task as f64;
        let losses = (0..count)
            .map(|_| {
                fill_normal(generator, &mut draw);
                let rows = source.spread.chunks_exact(dim).zip(&source.mean);
                for (value, (spread, mean)) in vector.iter_mut().zip(rows) {
                    *value = mean + dot(spread, &draw);
                }
                for token in tokens.chunks_exact_mut(width) {
                    fill_normal(generator, &mut draw);
                    for row in 0..dim {
                        // L is lower triangular.
                        let lower = &source.lower[row * dim..=row * dim + row];
                        token[row] = dot(lower, &draw[..=row]);
                    }
                    fill_normal(generator, &mut token[dim..]);
                    token[dim] = deviation * token[dim] + dot(&token[..dim], &vector);
                }
                let example = Example {
                    tokens: &tokens,
                    vector: &vector,
                    input: &source.input,
                    task,
                };
                accumulate(&self.layer, example, weight, &mut gradient)
            })
            .collect();
        (gradient, losses)
    }
}

fn update(
    values: &mut [f64],
    slopes: &[f64],
    means: &mut [f64],
    squares: &mut [f64],
    rate: f64,
    corrections: (f64, f64),
) {
    for (((value, slope), mean), square) in values.iter_mut().zip(slopes).zip(means).zip(squares) {
        *mean += (1.0 - FIRST_DECAY) * (slope - *mean);
        *square += (1.0 - SECOND_DECAY) * (slope * slope - *square);
        *value -= rate * (*mean / corrections.0) / ((*square / corrections.1).sqrt() + FLOOR);
    }
}
