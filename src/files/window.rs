//! Part of a tensor, widened into a buffer the caller reuses: however large the file is, only the
//! buffer is in memory. Parts of mapped files are read, not touched through the mapping, because
//! touched pages count as memory of this process, and because a file that was cut short meanwhile
//! is then an error and not the end of the process.

use std::fs::File;

use half::{bf16, f16};
use safetensors::Dtype;

use super::{Contents, TensorFile};
use crate::element::Element;
use crate::error::{Error, Result};

/// A floating-point tensor that is read part by part.
#[derive(Debug, Clone, Copy)]
pub struct Window<'a> {
    file: &'a TensorFile,
    name: &'a str,
    dtype: Dtype,
    first_byte: usize,
    n_values: usize,
}

impl TensorFile {
    /// The tensor called `name`, unread; None if its type is none of the four.
    pub fn window<'a>(&'a self, name: &'a str) -> Option<Window<'a>> {
        let info = self.metadata.info(name)?;
        let size = width(info.dtype)?;
        Some(Window {
            file: self,
            name,
            dtype: info.dtype,
            first_byte: self.start + info.data_offsets.0,
            n_values: (info.data_offsets.1 - info.data_offsets.0) / size,
        })
    }
}

fn width(dtype: Dtype) -> Option<usize> {
    match dtype {
        Dtype::F16 | Dtype::BF16 => Some(2),
        Dtype::F32 => Some(4),
        Dtype::F64 => Some(8),
        _ => None,
    }
}

impl Window<'_> {
    /// How many numbers the tensor has.
    pub fn len(&self) -> usize {
        self.n_values
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.n_values == 0
    }

    /// Reads the numbers `first..first + values.len()`; `bytes` is scratch.
    pub fn read(&self, first: usize, values: &mut [f64], bytes: &mut Vec<u8>) -> Result<()> {
        let size = width(self.dtype).unwrap_or(1);
        bytes.resize(values.len() * size, 0);
        let at = self.first_byte + first * size;
        match &self.file.contents {
            Contents::Owned(all) => {
                let part = all.get(at..at + bytes.len());
                bytes.copy_from_slice(part.ok_or_else(|| self.cut("it ends too early"))?);
            }
            Contents::Mapped(_, file) => {
                read_at(file, at as u64, bytes).map_err(|error| self.cut(&error.to_string()))?;
            }
        }
        match self.dtype {
            Dtype::F16 => decode(bytes, values, f16::from_le_bytes),
            Dtype::BF16 => decode(bytes, values, bf16_from_bytes),
            Dtype::F32 => decode(bytes, values, f32::from_le_bytes),
            _ => decode(bytes, values, f64::from_le_bytes),
        }
        Ok(())
    }

    fn cut(&self, reason: &str) -> Error {
        Error::Io(format!(
            "{}: cannot read tensor '{}': {reason}; the file changed while it was read",
            self.file.label, self.name
        ))
    }
}

/// A bfloat16 as the float32 of the same bits; the library's conversion branches on NaN.
fn bf16_from_bytes(bytes: [u8; 2]) -> f32 {
    f32::from_bits(u32::from(bf16::from_le_bytes(bytes).to_bits()) << 16)
}

fn decode<E: Element, const SIZE: usize>(
    bytes: &[u8],
    values: &mut [f64],
    from: impl Fn([u8; SIZE]) -> E,
) {
    for (value, chunk) in values.iter_mut().zip(bytes.as_chunks().0) {
        *value = from(*chunk).widen();
    }
}

#[cfg(unix)]
fn read_at(file: &File, at: u64, bytes: &mut [u8]) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}

#[cfg(windows)]
fn read_at(file: &File, mut at: u64, mut bytes: &mut [u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        let count = std::os::windows::fs::FileExt::seek_read(file, bytes, at)?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        at += count as u64;
        bytes = &mut bytes[count..];
    }
    Ok(())
}
