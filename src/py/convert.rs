//! NumPy arrays in, ragged views out. bfloat16 travels as its 16 bits in a uint16 array.

use half::slice::HalfBitsSliceExt;
use half::{bf16, f16};
use numpy::{PyReadonlyArray1, PyReadonlyArray2, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;

use crate::element::Element;
use crate::error::{Error, Result};
use crate::tokens::{Ragged, Stored};

/// A packed token buffer in whichever type it is stored.
pub enum Buffer<'py> {
    /// float16
    F16(PyReadonlyArray2<'py, f16>),
    /// bfloat16 bits
    Bf16(PyReadonlyArray2<'py, u16>),
    /// float32
    F32(PyReadonlyArray2<'py, f32>),
    /// float64
    F64(PyReadonlyArray2<'py, f64>),
}

impl<'py> FromPyObject<'_, 'py> for Buffer<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(array) = object.extract() {
            return Ok(Buffer::F32(array));
        }
        if let Ok(array) = object.extract() {
            return Ok(Buffer::F64(array));
        }
        if let Ok(array) = object.extract() {
            return Ok(Buffer::F16(array));
        }
        if let Ok(array) = object.extract() {
            return Ok(Buffer::Bf16(array));
        }
        let found = match object.cast::<PyUntypedArray>() {
            Ok(array) => format!("a {}-d array of {}", array.ndim(), array.dtype()),
            Err(_) => object.get_type().name()?.to_string(),
        };
        Err(Error::DType(format!(
            "tokens: got {found}, expected a 2-d array of float16, float32, float64 or \
             bfloat16 bits"
        ))
        .into())
    }
}

/// Packed tokens as they cross from Python: the buffer and its row bounds.
pub struct PackedTokens<'py> {
    buffer: Buffer<'py>,
    offsets: Vec<usize>,
}

impl<'py> FromPyObject<'_, 'py> for PackedTokens<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let (buffer, offsets): (Buffer<'py>, PyReadonlyArray1<'py, i64>) = object.extract()?;
        let offsets = to_sizes(&offsets);
        Ok(Self { buffer, offsets })
    }
}

/// Whole numbers as sizes; a negative one becomes the largest size, which every check refuses.
pub fn to_sizes(numbers: &PyReadonlyArray1<'_, i64>) -> Vec<usize> {
    let size = |&number: &i64| usize::try_from(number).unwrap_or(usize::MAX);
    numbers.as_array().iter().map(size).collect()
}

impl PackedTokens<'_> {
    /// A view that may leave the GIL.
    pub fn view(&self) -> Result<Stored<'_>> {
        let offsets = &self.offsets;
        Ok(match &self.buffer {
            Buffer::F16(array) => Stored::F16(ragged(array.as_slice(), offsets, array.shape())?),
            Buffer::F32(array) => Stored::F32(ragged(array.as_slice(), offsets, array.shape())?),
            Buffer::F64(array) => Stored::F64(ragged(array.as_slice(), offsets, array.shape())?),
            Buffer::Bf16(array) => {
                let bits = array
                    .as_slice()
                    .map(|words| words.reinterpret_cast::<bf16>());
                Stored::Bf16(ragged(bits, offsets, array.shape())?)
            }
        })
    }
}

fn ragged<'a, E: Element, F>(
    values: std::result::Result<&'a [E], F>,
    offsets: &'a [usize],
    shape: &[usize],
) -> Result<Ragged<'a, E>> {
    let values = values
        .map_err(|_| Error::Shape("tokens: the packed buffer must be C-contiguous".into()))?;
    Ragged::new(values, offsets, shape[1])
}
