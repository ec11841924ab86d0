//! Whatever bytes arrive, the readers answer with a result, never with a panic.

// A helper of a test may fail like the test itself.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use kinatlas::embeddings::adapters;
use kinatlas::files::{TensorFile, serialize};
use proptest::prelude::*;

fn file(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = TensorFile::from_bytes("random", bytes);
    }

    #[test]
    fn no_damage_to_a_valid_file_makes_the_reader_panic(
        at in 0usize..200, byte in any::<u8>(), keep in 0usize..220,
    ) {
        let header = r#"{"__metadata__":{"k":"v"},"a":{"dtype":"BF16","shape":[2,2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}"#;
        let mut bytes = file(header, &[7; 12]);
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.truncate(keep.max(1));
        if let Ok(file) = TensorFile::from_bytes("damaged", bytes) {
            for name in file.names() {
                let _ = file.tensor(&name);
            }
        }
    }
}

const KEYS: [&str; 12] = [
    "prompt_embeddings",
    "prefix_task_cols",
    "prefix_task_rows",
    "base_model.model.x.lora_A.weight",
    "base_model.model.x.lora_B.weight",
    "base_model.model.x.lora_E",
    "base_model.model.e.lora_embedding_A",
    "base_model.model.e.lora_embedding_B",
    "base_model.model.x.ia3_l",
    "base_model.model.x.vera_lambda_b",
    "base_model.model.n.ln_tuning_layers.weight",
    "x.base_layer.bias",
];
const METHODS: [&str; 9] = [
    "PROMPT_TUNING",
    "MULTITASK_PROMPT_TUNING",
    "PREFIX_TUNING",
    "LORA",
    "ADALORA",
    "IA3",
    "VERA",
    "LN_TUNING",
    "OTHER",
];

fn weights(tensors: &[(usize, Vec<usize>)]) -> TensorFile {
    let mut described = BTreeMap::new();
    for (key, shape) in tensors {
        let bytes = vec![0x3f; shape.iter().product::<usize>() * 4];
        described.insert(KEYS[key % KEYS.len()], (shape.clone(), bytes));
    }
    let named: Vec<(&str, &str, &[usize], &[u8])> = described
        .iter()
        .map(|(name, (shape, bytes))| (*name, "float32", shape.as_slice(), bytes.as_slice()))
        .collect();
    let bytes = serialize(&named, &BTreeMap::new()).unwrap();
    TensorFile::from_bytes("random", bytes).unwrap()
}

proptest! {
    #[test]
    fn no_configuration_and_no_shapes_make_the_adapters_panic(
        tensors in prop::collection::vec((0usize..12, prop::collection::vec(0usize..5, 0..4)), 0..6),
        method in prop::sample::select(METHODS.to_vec()),
        numbers in (0usize..6, prop::option::of(0usize..4), 0usize..6, -2i32..9),
        words in ("[a-z(.*]{0,6}", "none|all|lora_only"),
        with_base in any::<bool>(),
    ) {
        let (tokens, copies, rank, alpha) = numbers;
        let copies = copies.map_or("null".to_string(), |count| count.to_string());
        let (pattern, bias) = words;
        let config = format!(
            r#"{{"peft_type":"{method}","num_virtual_tokens":{tokens},
            "num_transformer_submodules":{copies},"r":{rank},"init_r":{rank},
            "lora_alpha":{alpha},"bias":"{bias}","rank_pattern":{{"{pattern}":{rank}}}}}"#
        );
        let base: Vec<TensorFile> = with_base.then(|| weights(&tensors)).into_iter().collect();
        let _ = adapters::read(Some(&config), &weights(&tensors), &base);
        let _ = adapters::read(None, &weights(&tensors), &base);
    }

    #[test]
    fn no_text_makes_the_configuration_panic(text in ".{0,80}") {
        let _ = adapters::read(Some(&text), &weights(&[(0, vec![2, 2])]), &[]);
    }
}
