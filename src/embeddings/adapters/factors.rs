//! LoRA and its relatives: factors A and B per module.

mod scale;

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::files::{Tensor, TensorFile, Values};

use super::config::Config;
use super::{Content, Factors, Part, Reading, shape_error, within_base_model};
use scale::Scaling;

/// Options that change what the layer adds, so that `B A` would not be the update.
const OTHER_PRODUCTS: [&str; 5] = [
    "kasa_config",
    "monteclora_config",
    "use_bdlora",
    "use_qalora",
    "arrow_config",
];
/// Initialisations that move a part of the base weights into the factors.
const MOVING_STARTS: [&str; 5] = ["pissa", "olora", "corda", "loftq", "lora_ga"];

const A: usize = 0;
const B: usize = 1;
const E: usize = 2;

/// Key endings: which factor, and whether the module is an embedding table.
const ENDINGS: [(&str, usize, bool); 7] = [
    (".lora_A.weight", A, false),
    (".lora_B.weight", B, false),
    (".lora_A", A, false),
    (".lora_B", B, false),
    (".lora_E", E, false),
    (".lora_embedding_A", A, true),
    (".lora_embedding_B", B, true),
];

/// Keys of one module's factors.
#[derive(Default)]
struct Keys {
    factors: [Option<String>; 3],
    is_embedding: bool,
}

/// All factors of a LORA or ADALORA file.
pub fn read(method: &str, config: &Config, file: &TensorFile) -> Result<Reading> {
    if let Some(option) = OTHER_PRODUCTS.iter().find(|option| is_set(config, option)) {
        return Ok(Reading::nothing(format!(
            "'{option}' is set: the update is not the product of lora_B and lora_A"
        )));
    }
    let mut reading = Reading::default();
    let scaling = Scaling::new(method, config)?;
    let mut modules = Vec::new();
    for (module, keys) in grouped(file, &mut reading)? {
        match assemble(file, &module, &keys, &scaling, config)? {
            Ok(factors) => modules.push(factors),
            Err(reason) => reading.skip(module, reason),
        }
    }
    if modules.is_empty() {
        let skipped = reading.skipped.first().map(|(_, reason)| reason.clone());
        reading.reason = Some(match skipped {
            Some(reason) => format!("no module has a readable update: {reason}"),
            None => "the file holds no tensor".to_string(),
        });
        return Ok(reading);
    }
    add_notes(&mut reading, config)?;
    reading.parts.push(Part {
        suffix: None,
        method: method.to_string(),
        layout: String::new(),
        content: Content::LowRank(modules),
    });
    Ok(reading)
}

fn is_set(config: &Config, option: &str) -> bool {
    config.get(option).is_some_and(|value| *value != false)
}

fn grouped(file: &TensorFile, reading: &mut Reading) -> Result<BTreeMap<String, Keys>> {
    let mut modules: BTreeMap<String, Keys> = BTreeMap::new();
    for key in file.names() {
        let name = within_base_model(&key);
        let found = ENDINGS.iter().find_map(|&(ending, factor, is_embedding)| {
            name.strip_suffix(ending)
                .map(|module| (module.to_string(), factor, is_embedding))
        });
        let Some((module, factor, is_embedding)) = found else {
            let reason = reason_of(&key);
            reading.skip(key, reason);
            continue;
        };
        let keys = modules.entry(module).or_default();
        keys.is_embedding = is_embedding;
        if let Some(earlier) = keys.factors[factor].replace(key) {
            return Err(Error::Format(format!(
                "{}: '{earlier}' and another tensor claim to be the same factor",
                file.label()
            )));
        }
    }
    Ok(modules)
}

fn reason_of(key: &str) -> &'static str {
    if key.ends_with(".lora_magnitude_vector") {
        "DoRA magnitude: it rescales the whole weight, B A is the part that adds"
    } else if key.ends_with(".lora_B.bias") {
        "bias of the update, not part of B A"
    } else if key.ends_with(".base_layer.weight") {
        "copy of a weight of the base model"
    } else if key.ends_with(".bias") {
        "a bias: only its difference to the base model is about the task (base=)"
    } else {
        "not part of the update: a head, another trained module or a resized embedding"
    }
}

/// Factors of one module, or the reason why they do not form `B A`.
fn assemble(
    file: &TensorFile,
    module: &str,
    keys: &Keys,
    scaling: &Scaling,
    config: &Config,
) -> Result<std::result::Result<Factors, String>> {
    let [Some(key_a), Some(key_b), _] = &keys.factors else {
        return Err(Error::Format(format!(
            "{}: module '{module}' has only one of lora_A and lora_B",
            file.label()
        )));
    };
    let (a, b) = (file.tensor(key_a)?, file.tensor(key_b)?);
    check_complete(file, key_a, &a, scaling.allows_rank_zero())?;
    check_complete(file, key_b, &b, scaling.allows_rank_zero())?;
    let rank = a.shape[0];
    if b.shape[1] != rank && a.shape.len() > 2 {
        return Ok(Err(
            "grouped convolution: lora_B mixes only part of the ranks".into(),
        ));
    }
    if b.shape[1] != rank || b.shape[2..].iter().any(|&size| size != 1) {
        let wanted = format!("[n_out, {rank}] to match lora_A {:?}", a.shape);
        return Err(shape_error(file, key_b, &b.shape, &wanted));
    }
    if !config.texts("target_parameters").is_empty() && !scaling.is_stated_rank(module, rank) {
        return Ok(Err(
            "target_parameters: a stack of experts, not one product".into(),
        ));
    }
    let scale = scaling.of(module, rank)?;
    let is_transposed =
        keys.is_embedding || (a.shape.len() == 2 && config.flag("fan_in_fan_out")?);
    let a = match &keys.factors[E] {
        Some(key) => scaled_rows(file, key, a)?,
        None => a.flattened(),
    };
    Ok(Ok(Factors {
        module: module.to_string(),
        a,
        b: b.flattened(),
        scale,
        is_transposed,
    }))
}

/// Shards that were never gathered are saved one-dimensional or empty; PEFT itself warns of it.
fn check_complete(file: &TensorFile, key: &str, tensor: &Tensor, may_be_empty: bool) -> Result<()> {
    if tensor.shape.len() >= 2 && (may_be_empty || !tensor.shape.contains(&0)) {
        return Ok(());
    }
    let wanted = "a non-empty matrix; were sharded parameters gathered before saving?";
    Err(shape_error(file, key, &tensor.shape, wanted))
}

/// AdaLoRA keeps singular values apart: row r of A times E_r. Pruned ranks have E = 0.
fn scaled_rows(file: &TensorFile, key: &str, a: Tensor) -> Result<Tensor> {
    let singular = file.tensor(key)?;
    if singular.shape != [a.shape[0], 1] {
        let wanted = format!("[{}, 1]", a.shape[0]);
        return Err(shape_error(file, key, &singular.shape, &wanted));
    }
    let mut tensor = a.flattened();
    let columns = tensor.shape[1].max(1);
    let mut values = tensor.values.widen();
    for (row, factor) in values.chunks_mut(columns).zip(singular.values.widen()) {
        row.iter_mut().for_each(|value| *value *= factor);
    }
    tensor.values = Values::F64(values);
    Ok(tensor)
}

fn add_notes(reading: &mut Reading, config: &Config) -> Result<()> {
    if config.flag("use_dora")? {
        reading.note("DoRA: only the added part B A is read; magnitudes rescale the rest");
    }
    if config.flag("lora_bias")? {
        reading.note("lora_bias: the bias of the update is not part of B A");
    }
    if config.get("alora_invocation_tokens").is_some() {
        reading.note("aLoRA: the update acts only after the invocation tokens");
    }
    let start = config
        .get("init_lora_weights")
        .and_then(|value| value.as_str());
    if let Some(start) =
        start.filter(|word| MOVING_STARTS.iter().any(|known| word.starts_with(known)))
    {
        reading.note(format!(
            "initialised by {start}: B A contains a part of the base weights unless converted"
        ));
    }
    Ok(())
}
