//! Methods that store one vector per module: all of them together are one token.

use crate::error::{Error, Result};
use crate::files::{Tensor, TensorFile};

use super::config::Config;
use super::{Reading, within_base_model};

/// The value at which an IA3 vector changes nothing. Cosines around 0 instead of around 1 would
/// make all tasks look alike.
const IA3_IDENTITY: f64 = 1.0;

/// IA3: learned vector minus one, modules in sorted order.
pub fn read_ia3(file: &TensorFile) -> Result<Reading> {
    let found = Vectors::collect(file, &[".ia3_l"], IA3_IDENTITY)?;
    let mut reading = Reading::tokens("IA3", found.layout(), Tensor::row(found.values));
    reading.note("1 was subtracted from every number: an IA3 vector of ones changes nothing");
    for key in found.others {
        reading.skip(key, "not an IA3 vector: a head or another trained module");
    }
    Ok(reading)
}

/// VeRA: the two scaling vectors; the random matrices between them are shared by all tasks of
/// one seed, so they say nothing about the task but decide who may be compared.
pub fn read_vera(config: &Config, file: &TensorFile) -> Result<Reading> {
    let found = Vectors::collect(file, &[".vera_lambda_b", ".vera_lambda_d"], 0.0)?;
    let seed = config.count("projection_prng_key")?.unwrap_or(0);
    let layout = format!("{}|projection={seed}", found.layout());
    let mut reading = Reading::tokens("VERA", layout, Tensor::row(found.values));
    for key in found.others {
        let reason = match key.rsplit('.').next() {
            Some("vera_A" | "vera_B") => "random projection, the same for every task of one seed",
            _ => "not a VeRA vector: a head or another trained module",
        };
        reading.skip(key, reason);
    }
    Ok(reading)
}

/// Numbers of many small tensors behind each other, and a fingerprint of what stands where.
pub struct Vectors {
    pub values: Vec<f64>,
    pub others: Vec<String>,
    names: String,
}

impl Vectors {
    fn collect(file: &TensorFile, suffixes: &[&str], identity: f64) -> Result<Self> {
        let mut found = Self::empty();
        for key in file.names() {
            if suffixes.iter().any(|suffix| key.ends_with(suffix)) {
                let values = file.tensor(&key)?.values.widen();
                let shifted = values.into_iter().map(|value| value - identity).collect();
                found.push(within_base_model(&key), shifted);
            } else {
                found.others.push(key);
            }
        }
        if found.values.is_empty() {
            return Err(Error::Format(format!(
                "{}: no tensor ends with {}",
                file.label(),
                suffixes.join(" or ")
            )));
        }
        Ok(found)
    }

    pub fn empty() -> Self {
        Self {
            values: Vec::new(),
            others: Vec::new(),
            names: String::new(),
        }
    }

    pub fn push(&mut self, name: &str, values: Vec<f64>) {
        self.names.push_str(&format!("{name}:{};", values.len()));
        self.values.extend(values);
    }

    /// Two tokens may meet only if the same modules stand at the same places.
    pub fn layout(&self) -> String {
        let (dim, print) = (self.values.len(), fingerprint(&self.names));
        format!("dim={dim}|modules={print:016x}")
    }
}

/// FNV-1a, 64 bits: a stable short name for a list of modules, not a defence against forgery.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
