//! Adapter folders of PEFT and AdapterHub: a configuration and a weights file in, tokens or
//! low-rank updates out. Neither torch nor the base model is needed, except where a method
//! retrains weights of the base model itself.
//!
//! The layouts are those that `tests/fixtures` holds one example of each, written by PEFT.

mod config;
mod differences;
mod factors;
mod hub;
mod prompts;
mod vectors;

use crate::error::{Error, Result};
use crate::files::{Tensor, TensorFile};

use config::{Config, Library};

/// What a folder gave, what it did not give, and why.
#[derive(Debug, Default)]
pub struct Reading {
    /// Name of the base model as the configuration states it.
    pub base_model: Option<String>,
    /// Everything that can be compared.
    pub parts: Vec<Part>,
    /// Tensors that are not part of the result, each with the reason.
    pub skipped: Vec<(String, String)>,
    /// What a user should know about the result.
    pub notes: Vec<String>,
    /// Why there is nothing to compare, where `parts` is empty.
    pub reason: Option<String>,
}

/// One comparable thing.
#[derive(Debug)]
pub struct Part {
    /// Told apart from others of the same folder by this; None for the only one.
    pub suffix: Option<String>,
    /// The method in PEFT's words.
    pub method: String,
    /// What coordinates mean, beyond base model and method: parts of equal layout may meet.
    pub layout: String,
    /// The numbers.
    pub content: Content,
}

/// Tokens, or an update that stays factored.
#[derive(Debug)]
pub enum Content {
    /// `[n_tokens, dim]`
    Tokens(Tensor),
    /// One pair of factors per adapted module.
    LowRank(Vec<Factors>),
}

/// The update `scale * B A` of one module.
#[derive(Debug, Clone, PartialEq)]
pub struct Factors {
    /// Module name within the base model.
    pub module: String,
    /// A `[rank, n_in]`
    pub a: Tensor,
    /// B `[n_out, rank]`
    pub b: Tensor,
    /// The number in front of B A.
    pub scale: f64,
    /// Whether the base model stores this weight as `[n_in, n_out]`.
    pub is_transposed: bool,
}

impl Reading {
    fn nothing(reason: impl Into<String>) -> Self {
        Self {
            reason: Some(reason.into()),
            ..Self::default()
        }
    }

    fn tokens(method: &str, layout: String, tensor: Tensor) -> Self {
        let part = Part {
            suffix: None,
            method: method.to_string(),
            layout,
            content: Content::Tokens(tensor),
        };
        Self {
            parts: vec![part],
            ..Self::default()
        }
    }

    fn skip(&mut self, key: impl Into<String>, reason: impl Into<String>) {
        self.skipped.push((key.into(), reason.into()));
    }

    fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }
}

/// Reads one adapter. `config` is the text of `adapter_config.json`, absent for a plain file of
/// biases; `base` holds the base model's weights where the caller has them.
pub fn read(config: Option<&str>, file: &TensorFile, base: &[TensorFile]) -> Result<Reading> {
    let Some(text) = config else {
        return differences::read_biases(file, base);
    };
    let config = Config::parse(text, file.label())?;
    let mut reading = match config.library()? {
        Library::AdapterHub => hub::read(&config, file)?,
        Library::Peft(method) => read_peft(&method, &config, file, base)?,
    };
    reading.base_model = config.base_model()?;
    Ok(reading)
}

fn read_peft(
    method: &str,
    config: &Config,
    file: &TensorFile,
    base: &[TensorFile],
) -> Result<Reading> {
    match method {
        "PROMPT_TUNING" | "P_TUNING" | "CPT" => prompts::read_prompt(method, config, file),
        "MULTITASK_PROMPT_TUNING" => prompts::read_multitask(config, file),
        "PREFIX_TUNING" | "CARTRIDGE" => prompts::read_prefix(method, file),
        "LORA" | "ADALORA" => {
            let mut reading = factors::read(method, config, file)?;
            differences::add_biases(&mut reading, config, file, base)?;
            Ok(reading)
        }
        "IA3" => vectors::read_ia3(file),
        "VERA" => vectors::read_vera(config, file),
        "LN_TUNING" => differences::read_layer_norms(config, file, base),
        _ => Ok(Reading::nothing(format!(
            "peft_type {method} is neither a token matrix nor a product of two factors"
        ))),
    }
}

/// Module path of a key on disk: PEFT puts its own wrappers in front of non-prompt methods.
fn within_base_model(key: &str) -> &str {
    key.strip_prefix("base_model.model.").unwrap_or(key)
}

fn shape_error(file: &TensorFile, key: &str, shape: &[usize], wanted: &str) -> Error {
    Error::Shape(format!(
        "{}: tensor '{key}' has shape {shape:?}, expected {wanted}",
        file.label()
    ))
}
