//! Any bytes as a weights file: opened or refused, never a panic, never memory beyond the file.

#![no_main]

use kinatlas::files::TensorFile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(file) = TensorFile::from_bytes("fuzz", bytes.to_vec()) {
        for name in file.names() {
            let _ = file.tensor(&name);
        }
    }
});
