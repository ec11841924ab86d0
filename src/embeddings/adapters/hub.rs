//! AdapterHub folders: the adapter's name stays inside the keys, heads live in another file.

use crate::error::Result;
use crate::files::TensorFile;

use super::config::Config;
use super::{Content, Factors, Part, Reading, shape_error};

/// Releases below this stored alpha and never applied it (adapters#770).
const FIRST_SCALED_RELEASE: (u32, u32) = (1, 1);

/// Prompt tuning as tokens, LoRA as factors; other methods have no such reading.
pub fn read(config: &Config, file: &TensorFile) -> Result<Reading> {
    let name = config.text("name")?.unwrap_or("default").to_string();
    let Some(method) = config.section("config").ok().flatten() else {
        return Ok(no_reading("named configuration"));
    };
    match method.text("architecture")? {
        Some("prompt_tuning") => read_prompt(&name, file),
        Some("lora") => read_lora(&name, config, &method, file),
        other => Ok(no_reading(other.unwrap_or("bottleneck"))),
    }
}

fn no_reading(architecture: &str) -> Reading {
    Reading::nothing(format!(
        "AdapterHub architecture '{architecture}' is neither a token matrix nor a product of two \
         factors"
    ))
}

fn read_prompt(name: &str, file: &TensorFile) -> Result<Reading> {
    let ending = format!("prompt_tunings.{name}.prompt_embedding.weight");
    let Some(key) = file.names().into_iter().find(|key| key.ends_with(&ending)) else {
        return Ok(Reading::nothing(format!("no tensor ends with {ending}")));
    };
    let prompt = file.tensor(&key)?;
    if prompt.shape.len() != 2 || prompt.shape.contains(&0) {
        return Err(shape_error(
            file,
            &key,
            &prompt.shape,
            "[prompt_length, hidden]",
        ));
    }
    let layout = format!("dim={}", prompt.shape[1]);
    let mut reading = Reading::tokens("PROMPT_TUNING", layout, prompt);
    for other in file.names().into_iter().filter(|other| *other != key) {
        reading.skip(other, "not the prompt of this adapter");
    }
    Ok(reading)
}

fn read_lora(name: &str, config: &Config, method: &Config, file: &TensorFile) -> Result<Reading> {
    let mode = method.text("composition_mode")?.unwrap_or("add");
    if mode != "add" || method.flag("use_gating")? {
        return Ok(Reading::nothing(format!(
            "LoRA with composition_mode '{mode}' or gating is not an added product B A"
        )));
    }
    let (down, up) = (
        format!(".loras.{name}.lora_A"),
        format!(".loras.{name}.lora_B"),
    );
    let scale = lora_scale(config, method)?;
    let mut reading = Reading::default();
    let mut modules = Vec::new();
    for key in file.names() {
        if let Some(module) = key.strip_suffix(&down) {
            match factors(file, module, &key, &format!("{module}{up}"), scale)? {
                Ok(factors) => modules.push(factors),
                Err(reason) => reading.skip(key.clone(), reason),
            }
        } else if !key.ends_with(&up) {
            reading.skip(key, "not a LoRA factor of this adapter");
        }
    }
    if modules.is_empty() {
        reading.reason = Some(format!(
            "no readable pair of tensors ends with {down} and {up}"
        ));
        return Ok(reading);
    }
    reading.parts.push(Part {
        suffix: None,
        method: "LORA".into(),
        layout: String::new(),
        content: Content::LowRank(modules),
    });
    Ok(reading)
}

fn factors(
    file: &TensorFile,
    module: &str,
    down: &str,
    up: &str,
    scale: f64,
) -> Result<std::result::Result<Factors, String>> {
    let (a, b) = (file.tensor(down)?, file.tensor(up)?);
    if a.shape.len() != 2 || a.shape.contains(&0) {
        return Err(shape_error(file, down, &a.shape, "[rank, n_in]"));
    }
    if b.shape.len() != 2 || b.shape.contains(&0) {
        return Err(shape_error(file, up, &b.shape, "[n_out, rank]"));
    }
    if b.shape[1] != a.shape[0] {
        return Ok(Err(
            "merged attention projections: several products share one tensor".into(),
        ));
    }
    Ok(Ok(Factors {
        module: module.to_string(),
        a,
        b,
        scale,
        is_transposed: false,
    }))
}

fn lora_scale(config: &Config, method: &Config) -> Result<f64> {
    let rank = method.required("r", method.number("r")?)?;
    let alpha = method.required("alpha", method.number("alpha")?)?;
    if rank <= 0.0 {
        return Err(method.refused(&format!("'r' is {rank}, expected at least 1")));
    }
    let version = config
        .text("version")?
        .and_then(|text| text.strip_prefix("adapters."));
    let is_unscaled = version
        .and_then(release)
        .is_some_and(|found| found < FIRST_SCALED_RELEASE);
    Ok(if is_unscaled { 1.0 } else { alpha / rank })
}

fn release(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.').map(|part| part.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}
