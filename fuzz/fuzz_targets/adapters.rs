//! Any configuration with any valid weights file whose tensors have the names and shapes that
//! adapters use: read or refused, never a panic.

#![no_main]

use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use kinatlas::embeddings::adapters;
use kinatlas::files::{TensorFile, serialize};
use libfuzzer_sys::fuzz_target;

const METHODS: [&str; 12] = [
    "PROMPT_TUNING",
    "P_TUNING",
    "CPT",
    "MULTITASK_PROMPT_TUNING",
    "PREFIX_TUNING",
    "CARTRIDGE",
    "LORA",
    "ADALORA",
    "IA3",
    "VERA",
    "LN_TUNING",
    "LOHA",
];
const KEYS: [&str; 16] = [
    "prompt_embeddings",
    "prefix_task_cols",
    "prefix_task_rows",
    "base_model.model.x.lora_A.weight",
    "base_model.model.x.lora_B.weight",
    "base_model.model.x.lora_A",
    "base_model.model.x.lora_B",
    "base_model.model.x.lora_E",
    "base_model.model.e.lora_embedding_A",
    "base_model.model.e.lora_embedding_B",
    "base_model.model.x.ia3_l",
    "base_model.model.x.vera_lambda_b",
    "base_model.model.n.ln_tuning_layers.weight",
    "x.base_layer.bias",
    "x.loras.default.lora_A",
    "x.loras.default.lora_B",
];

#[derive(Arbitrary, Debug)]
struct Input {
    /// Below the number of methods: a PEFT configuration; above: free text.
    method: u8,
    tokens: u8,
    copies: Option<u8>,
    rank: u8,
    alpha: i8,
    flags: u8,
    pattern: String,
    text: String,
    tensors: Vec<(u8, Vec<u8>, u8)>,
    base: bool,
}

fuzz_target!(|input: Input| {
    let Some(file) = weights(&input.tensors) else {
        return;
    };
    let base: Vec<TensorFile> = if input.base {
        weights(&input.tensors).into_iter().collect()
    } else {
        Vec::new()
    };
    let text = configuration(&input);
    let _ = adapters::read(Some(&text), &file, &base);
    let _ = adapters::read(None, &file, &base);
});

fn configuration(input: &Input) -> String {
    let Some(method) = METHODS.get(usize::from(input.method)) else {
        return input.text.clone();
    };
    let flag = |bit: u8| input.flags & (1 << bit) != 0;
    let copies = input.copies.map_or("null".into(), |count| count.to_string());
    let pattern = input.pattern.escape_default().to_string().replace("\\'", "'");
    format!(
        r#"{{"peft_type":"{method}","num_virtual_tokens":{},"num_transformer_submodules":{copies},
        "task_type":"SEQ_2_SEQ_LM","r":{rank},"init_r":{rank},"lora_alpha":{},
        "use_rslora":{},"fan_in_fan_out":{},"bias":"{}","modules_to_save":["x"],
        "rank_pattern":{{"{pattern}":{rank}}},"target_parameters":{}}}"#,
        input.tokens,
        input.alpha,
        flag(0),
        flag(1),
        if flag(2) { "all" } else { "none" },
        if flag(3) { r#"["x"]"# } else { "null" },
        rank = input.rank,
    )
}

/// A valid file; each tensor is (name, sizes, first byte).
fn weights(tensors: &[(u8, Vec<u8>, u8)]) -> Option<TensorFile> {
    const LARGEST: usize = 1 << 16;
    let mut described = BTreeMap::new();
    for (key, sizes, fill) in tensors.iter().take(6) {
        let shape: Vec<usize> = sizes.iter().take(4).map(|&size| usize::from(size)).collect();
        let count = shape.iter().product::<usize>();
        if count <= LARGEST {
            let name = KEYS[usize::from(*key) % KEYS.len()];
            described.insert(name, (shape, vec![*fill; count * 2]));
        }
    }
    let named: Vec<(&str, &str, &[usize], &[u8])> = described
        .iter()
        .map(|(name, (shape, bytes))| (*name, "bfloat16", shape.as_slice(), bytes.as_slice()))
        .collect();
    let bytes = serialize(&named, &BTreeMap::new()).ok()?;
    TensorFile::from_bytes("fuzz", bytes).ok()
}
