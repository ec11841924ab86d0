use std::collections::BTreeMap;
use std::path::PathBuf;

use super::*;
use crate::files::serialize;

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("kinatlas-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, file: &str, tensors: &[(&str, Vec<f32>)]) -> PathBuf {
        let bytes: Vec<Vec<u8>> = tensors
            .iter()
            .map(|(_, values)| values.iter().flat_map(|v| v.to_le_bytes()).collect())
            .collect();
        let shapes: Vec<[usize; 1]> = tensors.iter().map(|(_, values)| [values.len()]).collect();
        let named: Vec<(&str, &str, &[usize], &[u8])> = tensors
            .iter()
            .zip(shapes.iter().zip(&bytes))
            .map(|((name, _), (shape, bytes))| (*name, "float32", &shape[..], &bytes[..]))
            .collect();
        let path = self.0.join(file);
        std::fs::write(&path, serialize(&named, &BTreeMap::new()).unwrap()).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn open(path: &std::path::Path) -> Checkpoint {
    Checkpoint::open(path).unwrap()
}

#[test]
fn a_difference_is_the_same_from_one_file_and_from_shards() {
    let folder = Folder::new("shards");
    let long: Vec<f32> = (0..STRETCH + PIECE + 7).map(|i| (i % 13) as f32).collect();
    let twice: Vec<f32> = long.iter().map(|v| 2.0 * v).collect();
    let base = open(&folder.write(
        "base.safetensors",
        &[("a", vec![1.0, 2.0]), ("b", long.clone())],
    ));
    let tuned = open(&folder.write(
        "tuned.safetensors",
        &[("a", vec![1.5, 0.0]), ("b", twice.clone())],
    ));
    folder.write("one.safetensors", &[("b", twice)]);
    folder.write("two.safetensors", &[("a", vec![1.5, 0.0])]);
    let index = folder.0.join("model.safetensors.index.json");
    let map = r#"{"weight_map": {"b": "one.safetensors", "a": "two.safetensors"}}"#;
    std::fs::write(&index, map).unwrap();
    let whole = difference(&base, &tuned, Form::Flat, &Monitor::default()).unwrap();
    let shards = difference(&base, &open(&folder.0), Form::Flat, &Monitor::default()).unwrap();
    assert_eq!(whole, shards);
    assert_eq!(whole.values[..2], [0.5, -2.0]);
    assert!(
        whole.values[2..]
            .iter()
            .zip(&long)
            .all(|(a, b)| *a == f64::from(*b))
    );
    let sketch = Sketch::new(3, 64).unwrap();
    let found = difference(&base, &tuned, Form::Projected(sketch), &Monitor::default()).unwrap();
    let mut expected = vec![0.0; 64];
    sketch.add(0, &whole.values, &mut expected);
    // Small whole numbers and halves: every order of additions gives the same sums.
    assert_eq!(found.values, expected);
    let each = difference(&base, &tuned, Form::Tensors(sketch), &Monitor::default()).unwrap();
    let sum: Vec<f64> = (0..64)
        .map(|i| each.values[i] + each.values[64 + i])
        .collect();
    assert_eq!(sum, expected);
    assert_ne!(each.base, 0);

    let found = products(&base, &[tuned, open(&index)], &Monitor::default()).unwrap();
    assert_eq!(found.tensors, ["a", "b"]);
    let square: f64 = long.iter().map(|v| f64::from(v * v)).sum();
    assert_eq!(found.values, [vec![4.25; 4], vec![square; 4]].concat());
}

#[test]
fn a_changed_base_has_another_fingerprint() {
    let folder = Folder::new("fingerprint");
    let tuned = open(&folder.write("t.safetensors", &[("a", vec![0.0; 9])]));
    let print = |values: Vec<f32>| {
        let base = open(&folder.write("b.safetensors", &[("a", values)]));
        difference(&base, &tuned, Form::Flat, &Monitor::default())
            .unwrap()
            .base
    };
    let mut values = vec![1.0; 9];
    let first = print(values.clone());
    values[8] = 2.0;
    assert_ne!(first, print(values));
}

#[test]
fn what_is_missing_or_does_not_match_is_named() {
    let folder = Folder::new("missing");
    let base = open(&folder.write("base.safetensors", &[("a", vec![1.0, 2.0])]));
    let refused = |tensors: &[(&str, Vec<f32>)]| {
        let tuned = open(&folder.write("tuned.safetensors", tensors));
        let found = difference(&base, &tuned, Form::Flat, &Monitor::default());
        found.unwrap_err().to_string()
    };
    assert!(refused(&[("a", vec![1.0])]).contains("'a' has shape [2]"));
    assert!(refused(&[("b", vec![1.0])]).contains("'a' is in"));
    assert!(refused(&[("a", vec![1.0, f32::NAN])]).contains("number 1 of tensor 'a'"));
    assert!(refused(&[("a", vec![1.0, 0.0]), ("c", vec![1.0])]).contains("'c' is in"));
    let text = |name: &str, body: &str| {
        let path = folder.0.join(format!("{name}.safetensors.index.json"));
        std::fs::write(&path, body).unwrap();
        Checkpoint::open(&path).unwrap_err().to_string()
    };
    let shard = r#"{"weight_map": {"a": "gone.safetensors"}}"#;
    assert!(text("x", shard).contains("gone.safetensors that"));
    let outside = r#"{"weight_map": {"a": "../base.safetensors"}}"#;
    assert!(text("x", outside).contains("'a' names no file"));
    let wrong = r#"{"weight_map": {"z": "base.safetensors"}}"#;
    assert!(text("x", wrong).contains("does not hold the tensor 'z'"));
    assert!(text("y", "{}").contains("weight_map"));
    assert!(
        Checkpoint::open(&folder.0)
            .unwrap_err()
            .to_string()
            .contains("both describe")
    );
}
