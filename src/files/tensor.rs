//! One tensor out of a file: its shape and its numbers in the type they are stored in.

use half::{bf16, f16};
use safetensors::Dtype;

use crate::element::Element;

/// Numbers in the type they are stored in.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// float16
    F16(Vec<f16>),
    /// bfloat16
    Bf16(Vec<bf16>),
    /// float32
    F32(Vec<f32>),
    /// float64
    F64(Vec<f64>),
}

/// A tensor of any number of dimensions, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Sizes; their product is the number of values.
    pub shape: Vec<usize>,
    /// The numbers.
    pub values: Values,
}

impl Values {
    /// The name users see.
    pub fn dtype(&self) -> &'static str {
        match self {
            Values::F16(_) => f16::NAME,
            Values::Bf16(_) => bf16::NAME,
            Values::F32(_) => f32::NAME,
            Values::F64(_) => f64::NAME,
        }
    }

    /// The same numbers as `f64`, exactly.
    pub fn widen(&self) -> Vec<f64> {
        match self {
            Values::F16(values) => widen(values),
            Values::Bf16(values) => widen(values),
            Values::F32(values) => widen(values),
            Values::F64(values) => values.clone(),
        }
    }

    fn truncate(&mut self, length: usize) {
        match self {
            Values::F16(values) => values.truncate(length),
            Values::Bf16(values) => values.truncate(length),
            Values::F32(values) => values.truncate(length),
            Values::F64(values) => values.truncate(length),
        }
    }
}

fn widen<E: Element>(values: &[E]) -> Vec<f64> {
    values.iter().map(|value| value.widen()).collect()
}

impl Tensor {
    /// Little-endian bytes as a tensor; None where the type is not one of the four.
    pub fn from_bytes(dtype: Dtype, shape: &[usize], bytes: &[u8]) -> Option<Self> {
        let values = match dtype {
            Dtype::F16 => Values::F16(decode(bytes, f16::from_le_bytes)),
            Dtype::BF16 => Values::Bf16(decode(bytes, bf16::from_le_bytes)),
            Dtype::F32 => Values::F32(decode(bytes, f32::from_le_bytes)),
            Dtype::F64 => Values::F64(decode(bytes, f64::from_le_bytes)),
            _ => return None,
        };
        Some(Self {
            shape: shape.to_vec(),
            values,
        })
    }

    /// Numbers in `f64` as one row `[1, n]`.
    pub fn row(values: Vec<f64>) -> Self {
        Self {
            shape: vec![1, values.len()],
            values: Values::F64(values),
        }
    }

    /// The first `rows` rows along the first dimension.
    pub fn first_rows(mut self, rows: usize) -> Self {
        if let Some(first) = self.shape.first_mut() {
            *first = rows.min(*first);
            self.values.truncate(product(&self.shape));
        }
        self
    }

    /// The same numbers as a matrix: everything behind the first dimension in one row.
    pub fn flattened(mut self) -> Self {
        let columns = product(self.shape.get(1..).unwrap_or_default());
        self.shape = vec![self.shape.first().copied().unwrap_or(1), columns];
        self
    }
}

/// A tensor without numbers may claim sizes whose product overflows.
fn product(sizes: &[usize]) -> usize {
    sizes
        .iter()
        .fold(1, |product: usize, &size| product.saturating_mul(size))
}

fn decode<E, const SIZE: usize>(bytes: &[u8], from: fn([u8; SIZE]) -> E) -> Vec<E> {
    bytes
        .as_chunks()
        .0
        .iter()
        .map(|chunk| from(*chunk))
        .collect()
}
