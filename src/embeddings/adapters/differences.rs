//! Methods that retrain weights of the base model: layer norms and biases, minus the originals.

use crate::error::{Error, Result};
use crate::files::{Tensor, TensorFile};

use super::config::Config;
use super::vectors::Vectors;
use super::{Content, Part, Reading, within_base_model};

const BIAS: &str = ".bias";
const LAYER_NORM_COPY: &str = ".ln_tuning_layers";
/// Copies that PEFT keeps of heads; `bias="all"` saves them under these names as well.
const HEAD_COPIES: [&str; 2] = [".modules_to_save.", ".original_module."];
const HEAD_REASON: &str = "a head: it is trained from scratch, there is no original to subtract";

/// Layer-norm tuning: weights and biases of all layer norms minus those of the base model.
pub fn read_layer_norms(
    config: &Config,
    file: &TensorFile,
    base: &[TensorFile],
) -> Result<Reading> {
    if base.is_empty() {
        return Ok(Reading::nothing(
            "layer norms are retrained weights of the base model; pass its folder as base= to \
             read the difference",
        ));
    }
    let is_trained = |key: &str| key.contains(LAYER_NORM_COPY);
    read_difference("LN_TUNING", file, base, &heads(config), is_trained)
}

/// A plain file that holds nothing but biases (BitFit).
pub fn read_biases(file: &TensorFile, base: &[TensorFile]) -> Result<Reading> {
    if !file.names().iter().all(|key| key.ends_with(BIAS)) {
        return Err(Error::Format(format!(
            "{}: no adapter_config.json beside it, and not all tensors are biases",
            file.label()
        )));
    }
    if base.is_empty() {
        return Ok(Reading::nothing(
            "biases are retrained weights of the base model; pass its folder as base= to read the \
             difference",
        ));
    }
    read_difference("BIAS", file, base, &[], |_| true)
}

/// Biases that a LoRA trained along (`bias="all"` or `"lora_only"`), as a part of their own.
pub fn add_biases(
    reading: &mut Reading,
    config: &Config,
    file: &TensorFile,
    base: &[TensorFile],
) -> Result<()> {
    let is_trained = !matches!(config.text("bias")?, None | Some("none"));
    if !is_trained || base.is_empty() || reading.parts.is_empty() {
        return Ok(());
    }
    let is_bias = |key: &str| key.ends_with(BIAS) && !key.ends_with(".lora_B.bias");
    let biases = read_difference("BIAS", file, base, &heads(config), is_bias)?;
    let unread = |key: &String| biases.skipped.iter().any(|(other, _)| other == key);
    reading
        .skipped
        .retain(|(key, _)| !is_bias(key) || unread(key));
    reading.parts.extend(biases.parts);
    Ok(())
}

fn heads(config: &Config) -> Vec<&str> {
    config.texts("modules_to_save")
}

fn is_head(key: &str, heads: &[&str]) -> bool {
    HEAD_COPIES.iter().any(|copy| key.contains(copy))
        || key.split('.').any(|word| heads.contains(&word))
}

fn read_difference(
    method: &str,
    file: &TensorFile,
    base: &[TensorFile],
    heads: &[&str],
    is_trained: impl Fn(&str) -> bool,
) -> Result<Reading> {
    let mut reading = Reading::default();
    let mut found = Vectors::empty();
    for key in file.names() {
        if !is_trained(&key) || is_head(&key, heads) {
            reading.skip(key, HEAD_REASON);
            continue;
        }
        let name = within_base_model(&key)
            .replace(LAYER_NORM_COPY, "")
            .replace(".base_layer.", ".");
        match original(&name, base)? {
            Some(tensor) => {
                let difference = subtract(file, &key, file.tensor(&key)?, &tensor)?;
                found.push(&name, difference);
            }
            None => reading.skip(key, "the base model has no tensor of this name"),
        }
    }
    if found.values.is_empty() {
        reading.reason = Some("no trained tensor has a counterpart in the base model".into());
        return Ok(reading);
    }
    reading.note("trained weights minus those of the base model, in float64");
    reading.parts.push(Part {
        suffix: None,
        method: method.to_string(),
        layout: found.layout(),
        content: Content::Tokens(Tensor::row(found.values)),
    });
    Ok(reading)
}

fn subtract(file: &TensorFile, key: &str, trained: Tensor, original: &Tensor) -> Result<Vec<f64>> {
    if trained.shape != original.shape {
        let wanted = format!("{:?} as in the base model", original.shape);
        return Err(super::shape_error(file, key, &trained.shape, &wanted));
    }
    let (trained, original) = (trained.values.widen(), original.values.widen());
    Ok(trained
        .iter()
        .zip(original)
        .map(|(after, before)| after - before)
        .collect())
}

/// The tensor of the base model: the same name, or one that differs by one leading word, because
/// a bare encoder and the model around it name the same weight `encoder.x` and `bert.encoder.x`.
fn original(name: &str, base: &[TensorFile]) -> Result<Option<Tensor>> {
    for file in base {
        if file.shape(name).is_some() {
            return file.tensor(name).map(Some);
        }
    }
    let is_same =
        |key: &str| behind_first_word(name) == Some(key) || behind_first_word(key) == Some(name);
    for file in base {
        if let Some(key) = file.names().into_iter().find(|key| is_same(key)) {
            return file.tensor(&key).map(Some);
        }
    }
    Ok(None)
}

fn behind_first_word(name: &str) -> Option<&str> {
    name.split_once('.').map(|(_, rest)| rest)
}
