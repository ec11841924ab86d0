//! Products of row-major matrices of either precision, written into memory the caller owns.

use faer::linalg::matmul::matmul;
use faer::traits::RealField;
use faer::{Accum, MatMut, MatRef, Par};

use super::registers::clear_registers;

/// A row-major matrix `[rows, columns]`, read as it lies or transposed.
#[derive(Debug, Clone, Copy)]
pub struct Operand<'a, T> {
    values: &'a [T],
    shape: (usize, usize),
    is_transposed: bool,
}

impl<'a, T> Operand<'a, T> {
    /// `values [rows, columns]` as it lies.
    pub fn new(values: &'a [T], rows: usize, columns: usize) -> Self {
        Self {
            values,
            shape: (rows, columns),
            is_transposed: false,
        }
    }

    /// The same numbers, rows and columns exchanged.
    pub fn transposed(self) -> Self {
        Self {
            is_transposed: !self.is_transposed,
            ..self
        }
    }

    fn view(&self) -> MatRef<'a, T> {
        let lying = MatRef::from_row_major_slice(self.values, self.shape.0, self.shape.1);
        if self.is_transposed {
            lying.transpose()
        } else {
            lying
        }
    }
}

/// `out = left right`, `out` row-major. On one thread: who calls is parallel already.
pub fn multiply<T: RealField>(out: &mut [T], left: Operand<'_, T>, right: Operand<'_, T>) {
    product(out, Accum::Replace, left, right);
}

/// `out += left right`, as `multiply`.
pub fn multiply_add<T: RealField>(out: &mut [T], left: Operand<'_, T>, right: Operand<'_, T>) {
    product(out, Accum::Add, left, right);
}

fn product<T: RealField>(out: &mut [T], accum: Accum, left: Operand<'_, T>, right: Operand<'_, T>) {
    let (left, right) = (left.view(), right.view());
    let out = MatMut::from_row_major_slice_mut(out, left.nrows(), right.ncols());
    matmul(out, accum, left, right, T::one_impl(), Par::Seq);
    clear_registers();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_worked_by_hand_in_every_layout() {
        let left = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let right = [1.0, 0.0, -1.0, 2.0, 1.0, 1.0];
        let wanted = [2.0f64, 7.0, 5.0, 16.0];
        let mut out = [f64::NAN; 4];
        multiply(
            &mut out,
            Operand::new(&left, 2, 3),
            Operand::new(&right, 3, 2),
        );
        assert_eq!(out, wanted);
        let turned = [1.0, 4.0, 2.0, 5.0, 3.0, 6.0];
        multiply(
            &mut out,
            Operand::new(&turned, 3, 2).transposed(),
            Operand::new(&right, 3, 2),
        );
        assert_eq!(out, wanted);
        multiply_add(
            &mut out,
            Operand::new(&left, 2, 3),
            Operand::new(&right, 3, 2),
        );
        assert_eq!(out, wanted.map(|value| 2.0 * value));
        let turned = [1.0f32, -1.0, 1.0, 0.0, 2.0, 1.0];
        let mut single = [0.0f32; 4];
        multiply(
            &mut single,
            Operand::new(&left.map(|value| value as f32), 2, 3),
            Operand::new(&turned, 2, 3).transposed(),
        );
        assert_eq!(single.map(f64::from), wanted);
    }
}
