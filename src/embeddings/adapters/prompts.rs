//! Methods that store virtual tokens.

use crate::error::Result;
use crate::files::{Tensor, TensorFile, Values};

use super::config::Config;
use super::{Content, Part, Reading, shape_error};

const PROMPT: &str = "prompt_embeddings";
const COLUMNS: &str = "prefix_task_cols";
const ROWS: &str = "prefix_task_rows";

/// Prompt tuning, P-tuning (baked at save time) and context-aware prompt tuning.
///
/// For encoder-decoder models PEFT saves the prompt twice as long as it is used: forward takes
/// the first `num_virtual_tokens` rows, the others keep their initial values. Two tasks that
/// share an initialisation seed would look alike through those rows alone.
pub fn read_prompt(method: &str, config: &Config, file: &TensorFile) -> Result<Reading> {
    let prompt = matrix(file, PROMPT)?;
    let used = config.required("num_virtual_tokens", config.count("num_virtual_tokens")?)?;
    let copies = submodules(config)?;
    let (rows, dim) = (prompt.shape[0], prompt.shape[1]);
    if rows != used && Some(rows) != used.checked_mul(copies) {
        let wanted = format!("{used} virtual tokens times {copies} submodules");
        return Err(shape_error(file, PROMPT, &prompt.shape, &wanted));
    }
    let mut reading = Reading::tokens(method, format!("dim={dim}"), prompt.first_rows(used));
    if rows > used {
        reading.note(format!(
            "rows {used} to {} belong to the decoder, which PEFT never trains: left out",
            rows - 1
        ));
    }
    others_skipped(&mut reading, file, &[PROMPT]);
    Ok(reading)
}

/// Multitask prompt tuning: the effective prompt of task t is the shared prompt times
/// `cols[t] rows[t]`, number by number (arXiv 2303.02861, equation 2; the decoder half is used).
pub fn read_multitask(config: &Config, file: &TensorFile) -> Result<Reading> {
    let shared = matrix(file, PROMPT)?;
    let (columns, rows) = (file.tensor(COLUMNS)?, file.tensor(ROWS)?);
    let (n_tokens, dim) = (shared.shape[0], shared.shape[1]);
    let (n_tasks, n_ranks) = match (&columns.shape[..], &rows.shape[..]) {
        (&[tasks, tokens, ranks], &[tasks_too, ranks_too, width])
            if (tasks, tokens, ranks, width) == (tasks_too, n_tokens, ranks_too, dim)
                && tasks * ranks > 0 =>
        {
            (tasks, ranks)
        }
        _ => {
            let wanted = format!(
                "[n_tasks, {n_tokens}, n_ranks] beside {ROWS} [n_tasks, n_ranks, {dim}], got {:?}",
                rows.shape
            );
            return Err(shape_error(file, COLUMNS, &columns.shape, &wanted));
        }
    };
    let mut reading = Reading::default();
    let (shared, columns, rows) = (
        shared.values.widen(),
        columns.values.widen(),
        rows.values.widen(),
    );
    for task in 0..n_tasks {
        let left = &columns[task * n_tokens * n_ranks..(task + 1) * n_tokens * n_ranks];
        let right = &rows[task * n_ranks * dim..(task + 1) * n_ranks * dim];
        reading.parts.push(Part {
            suffix: Some(format!("task{task}")),
            method: "MULTITASK_PROMPT_TUNING".into(),
            layout: format!("dim={dim}|rows={n_tokens}"),
            content: Content::Tokens(Tensor {
                shape: vec![n_tokens, dim],
                values: Values::F64(effective(&shared, left, right, n_ranks, dim)),
            }),
        });
    }
    if submodules(config)? > 1 {
        reading.note("rows of the encoder come first, rows of the decoder after them");
    }
    others_skipped(&mut reading, file, &[PROMPT, COLUMNS, ROWS]);
    Ok(reading)
}

/// Prefix tuning and cartridges: one row per virtual token, keys and values of every layer side
/// by side. The width is what the file says: PEFT changed it for grouped-query attention, so no
/// formula holds for all files.
pub fn read_prefix(method: &str, file: &TensorFile) -> Result<Reading> {
    let prefix = matrix(file, PROMPT)?;
    let layout = format!("dim={}", prefix.shape[1]);
    let mut reading = Reading::tokens(method, layout, prefix);
    reading.note("each row holds keys, then values, of every layer in turn");
    others_skipped(&mut reading, file, &[PROMPT]);
    Ok(reading)
}

fn effective(shared: &[f64], left: &[f64], right: &[f64], n_ranks: usize, dim: usize) -> Vec<f64> {
    let mut prompt = Vec::with_capacity(shared.len());
    for (index, value) in shared.iter().enumerate() {
        let (token, column) = (index / dim, index % dim);
        let product: f64 = (0..n_ranks)
            .map(|rank| left[token * n_ranks + rank] * right[rank * dim + column])
            .sum();
        prompt.push(value * product);
    }
    prompt
}

/// Files of old releases do not state the number of submodules, the task type does.
fn submodules(config: &Config) -> Result<usize> {
    Ok(match config.count("num_transformer_submodules")? {
        Some(count) => count,
        None if config.text("task_type")? == Some("SEQ_2_SEQ_LM") => 2,
        None => 1,
    })
}

fn matrix(file: &TensorFile, key: &str) -> Result<Tensor> {
    let tensor = file.tensor(key)?;
    match tensor.shape[..] {
        [rows, columns] if rows > 0 && columns > 0 => Ok(tensor),
        _ => Err(shape_error(
            file,
            key,
            &tensor.shape,
            "a matrix with at least one row",
        )),
    }
}

fn others_skipped(reading: &mut Reading, file: &TensorFile, used: &[&str]) {
    for key in file.names() {
        if !used.contains(&key.as_str()) {
            reading.skip(
                key,
                "not part of the prompt: a head or another trained module",
            );
        }
    }
}
