//! The number in front of `B A`, and the ranks and alphas that patterns override.

use regex::Regex;
use serde_json::Value;

use super::super::config::Config;
use crate::error::Result;

/// Added by AdaLoRA to its divisor (adalora/layer.py).
const ADALORA_EPSILON: f64 = 1e-5;

/// How ranks and alphas become a scale.
pub struct Scaling<'a> {
    config: &'a Config,
    kind: Kind,
    rank: usize,
    alpha: f64,
    ranks: Vec<Override>,
    alphas: Vec<Override>,
}

#[derive(PartialEq)]
enum Kind {
    Plain,
    RankStabilized,
    Adaptive,
}

struct Override {
    name: String,
    pattern: Regex,
    value: f64,
}

impl<'a> Scaling<'a> {
    pub fn new(method: &str, config: &'a Config) -> Result<Self> {
        let kind = match method {
            "ADALORA" => Kind::Adaptive,
            _ if config.flag("use_rslora")? => Kind::RankStabilized,
            _ => Kind::Plain,
        };
        // AdaLoRA's rank_pattern lists surviving ranks, it overrides nothing.
        let (rank, ranks, alphas) = match kind {
            Kind::Adaptive => ("init_r", Vec::new(), Vec::new()),
            _ => (
                "r",
                overrides(config, "rank_pattern")?,
                overrides(config, "alpha_pattern")?,
            ),
        };
        Ok(Self {
            rank: config.required(rank, config.count(rank)?)?,
            alpha: config.required("lora_alpha", config.number("lora_alpha")?)?,
            config,
            kind,
            ranks,
            alphas,
        })
    }

    /// AdaLoRA may prune a module to nothing.
    pub fn allows_rank_zero(&self) -> bool {
        self.kind == Kind::Adaptive
    }

    /// Whether the configuration gives this module the rank found in the file.
    pub fn is_stated_rank(&self, module: &str, found: usize) -> bool {
        self.kind == Kind::Adaptive || self.stated_rank(module) == found as f64
    }

    /// Scale of a module whose factors have `found` rows in the file.
    pub fn of(&self, module: &str, found: usize) -> Result<f64> {
        if !self.is_stated_rank(module, found) {
            return Err(self.config.refused(&format!(
                "module '{module}' has rank {found} in the file but rank {} by 'r' and \
                 'rank_pattern'; the scale lora_alpha / r is unknown",
                self.stated_rank(module)
            )));
        }
        let alpha = lookup(&self.alphas, module).unwrap_or(self.alpha);
        let rank = found as f64;
        Ok(match self.kind {
            Kind::Plain => alpha / rank,
            Kind::RankStabilized => alpha / rank.sqrt(),
            // The divisor is the rank before pruning: PEFT carries it over when it prunes.
            Kind::Adaptive => {
                let alpha = if alpha > 0.0 { alpha } else { rank };
                alpha / (self.rank as f64 + ADALORA_EPSILON)
            }
        })
    }

    fn stated_rank(&self, module: &str) -> f64 {
        lookup(&self.ranks, module).unwrap_or(self.rank as f64)
    }
}

/// The first pattern that matches decides, as in PEFT.
fn lookup(overrides: &[Override], module: &str) -> Option<f64> {
    overrides
        .iter()
        .find(|entry| entry.name == module || entry.pattern.is_match(module))
        .map(|entry| entry.value)
}

fn overrides(config: &Config, key: &str) -> Result<Vec<Override>> {
    let entries = config.object(key)?.into_iter().flatten();
    entries
        .map(|(name, value)| entry(config, key, name, value))
        .collect()
}

/// PEFT anchors a pattern at the end of the name and at a dot or the start before it.
fn entry(config: &Config, key: &str, name: &str, value: &Value) -> Result<Override> {
    let pattern = Regex::new(&format!(r"^(?:.*\.)?(?:{name})$")).map_err(|error| {
        config.refused(&format!(
            "'{key}' holds the pattern '{name}', which cannot be used: {error}"
        ))
    })?;
    let value = value.as_f64().ok_or_else(|| {
        config.refused(&format!(
            "'{key}' gives '{name}' the value {value}, expected a number"
        ))
    })?;
    Ok(Override {
        name: name.to_string(),
        pattern,
        value,
    })
}
