//! The traps of adapter files, on the committed fixtures and without Python.

// A helper of a test may fail like the test itself.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};

use kinatlas::embeddings::adapters::{self, Content, Factors, Reading};
use kinatlas::files::{Tensor, TensorFile};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn open(folder: &Path, base: &[TensorFile]) -> Reading {
    let config = std::fs::read_to_string(folder.join("adapter_config.json")).unwrap();
    let names = ["adapter_model.safetensors", "adapter.safetensors"];
    let path = names
        .iter()
        .map(|name| folder.join(name))
        .find(|path| path.exists());
    let file = TensorFile::open(&path.unwrap()).unwrap();
    adapters::read(Some(&config), &file, base).unwrap()
}

fn read(row: &str) -> Reading {
    open(&fixtures().join("adapters").join(row), &[])
}

fn tokens(reading: &Reading) -> &Tensor {
    match &reading.parts[0].content {
        Content::Tokens(tensor) => tensor,
        other => panic!("expected tokens, got {other:?}"),
    }
}

fn factors(reading: &Reading) -> &[Factors] {
    match &reading.parts[0].content {
        Content::LowRank(modules) => modules,
        other => panic!("expected factors, got {other:?}"),
    }
}

#[test]
fn only_the_trained_half_of_an_encoder_decoder_prompt_is_read() {
    assert_eq!(tokens(&read("prompt_tuning_seq2seq")).shape, [5, 16]);
    assert_eq!(tokens(&read("p_tuning_seq2seq")).shape, [5, 16]);
    assert_eq!(read("multitask_prompt_tuning").parts.len(), 3);
}

#[test]
fn stored_types_are_kept() {
    assert_eq!(
        tokens(&read("prompt_tuning_bf16")).values.dtype(),
        "bfloat16"
    );
    assert_eq!(tokens(&read("prompt_tuning_f16")).values.dtype(), "float16");
}

#[test]
fn the_width_of_a_prefix_is_what_the_file_says() {
    assert_eq!(tokens(&read("prefix_tuning")).shape, [5, 64]);
    assert_eq!(tokens(&read("prefix_tuning_gqa")).shape, [5, 32]);
}

#[test]
fn scales_follow_the_variant_of_lora() {
    let close = |row: &str, wanted: f64| {
        for module in factors(&read(row)) {
            assert!(
                (module.scale - wanted).abs() < 1e-15,
                "{row}: {}",
                module.scale
            );
        }
    };
    close("lora/mnli", 7.0 / 3.0);
    close("lora_rslora", 7.0 / 3f64.sqrt());
    // The divisor is the rank before pruning, four, not the two or three rows that survived.
    close("adalora_pruned", 9.0 / (4.0 + 1e-5));
    close("adapter_hub_lora_old/mrpc", 1.0);
}

#[test]
fn only_tables_and_turned_layers_are_transposed() {
    for module in factors(&read("lora_embedding")) {
        assert_eq!(
            module.is_transposed,
            module.module.ends_with("embed_tokens")
        );
    }
    assert!(
        factors(&read("lora_fan_in_fan_out"))
            .iter()
            .all(|module| module.is_transposed)
    );
    assert!(
        factors(&read("lora_conv"))
            .iter()
            .all(|module| !module.is_transposed)
    );
}

#[test]
fn retrained_weights_need_the_base_model_and_leave_heads_out() {
    let base = TensorFile::open(&fixtures().join("base/bert/model.safetensors")).unwrap();
    let folder = fixtures().join("adapters/lora_bias_all");
    assert_eq!(open(&folder, &[]).parts.len(), 1);
    let both = open(&folder, &[base]);
    assert_eq!(both.parts.len(), 2);
    assert!(
        both.skipped
            .iter()
            .all(|(key, _)| key.contains("classifier")),
        "{:?}",
        both.skipped
    );
    assert!(read("ln_tuning").reason.unwrap().contains("base="));
}

#[test]
fn two_adapters_may_meet_only_if_their_layouts_agree() {
    assert_eq!(
        read("ia3/mnli").parts[0].layout,
        read("ia3/rte").parts[0].layout
    );
    assert_eq!(
        read("vera").parts[0].layout,
        read("vera_projection").parts[0].layout
    );
    assert_ne!(
        read("ia3/mnli").parts[0].layout,
        read("vera").parts[0].layout
    );
}
