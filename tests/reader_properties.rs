//! Whatever bytes arrive, the readers answer with a result, never with a panic.

use kinatlas::files::TensorFile;
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
