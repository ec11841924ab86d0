//! The few matrix operations of this room, on faer's dense matrices.

use faer::{Col, ColRef, Mat, MatRef, Side};

use crate::error::{Error, Result};

/// Sum of the diagonal of `left * right`, without forming the product.
pub fn trace_of_product(left: MatRef<'_, f64>, right: MatRef<'_, f64>) -> f64 {
    let mut sum = 0.0;
    for column in 0..left.ncols() {
        for row in 0..left.nrows() {
            sum += left[(row, column)] * right[(column, row)];
        }
    }
    sum
}

/// `column * column'`.
pub fn outer(column: ColRef<'_, f64>) -> Mat<f64> {
    column * column.transpose()
}

/// `left' * middle * right`.
pub fn quadratic(left: ColRef<'_, f64>, middle: MatRef<'_, f64>, right: ColRef<'_, f64>) -> f64 {
    left.transpose() * (middle * right)
}

/// Copies a row-major slice into a matrix.
pub fn from_rows(values: &[f64], n_rows: usize, n_columns: usize) -> Mat<f64> {
    Mat::from_fn(n_rows, n_columns, |row, column| {
        values[row * n_columns + column]
    })
}

/// The numbers of a matrix, row after row.
pub fn to_rows(matrix: MatRef<'_, f64>) -> Vec<f64> {
    (0..matrix.nrows())
        .flat_map(|row| (0..matrix.ncols()).map(move |column| matrix[(row, column)]))
        .collect()
}

/// The numbers of a column.
pub fn to_vec(column: ColRef<'_, f64>) -> Vec<f64> {
    column.iter().copied().collect()
}

/// Eigenvalues of a symmetric matrix, smallest first.
pub fn eigenvalues(matrix: MatRef<'_, f64>) -> Result<Vec<f64>> {
    matrix
        .self_adjoint_eigenvalues(Side::Lower)
        .map_err(|_| Error::Mixture("an eigenvalue iteration did not converge".into()))
}

/// Largest over smallest singular value; infinite for a singular matrix.
pub fn condition_number(matrix: MatRef<'_, f64>) -> Result<f64> {
    let values = matrix
        .singular_values()
        .map_err(|_| Error::Mixture("a singular value iteration did not converge".into()))?;
    let (largest, smallest) = (values[0], values[values.len() - 1]);
    Ok(if smallest > 0.0 {
        largest / smallest
    } else {
        f64::INFINITY
    })
}

/// A matrix R with `R R' = matrix`, for symmetric matrices that may be singular. Eigenvalues
/// below zero by rounding count as zero.
pub fn root(matrix: MatRef<'_, f64>) -> Result<Mat<f64>> {
    let eigen = matrix
        .self_adjoint_eigen(Side::Lower)
        .map_err(|_| Error::Mixture("an eigenvalue iteration did not converge".into()))?;
    let (vectors, values) = (eigen.U(), eigen.S().column_vector());
    Ok(Mat::from_fn(
        matrix.nrows(),
        matrix.ncols(),
        |row, column| vectors[(row, column)] * values[column].max(0.0).sqrt(),
    ))
}

/// Lower triangular L with `L L' = matrix`, for positive definite matrices.
pub fn cholesky(matrix: MatRef<'_, f64>) -> Result<Mat<f64>> {
    let factor = matrix.llt(Side::Lower).map_err(|_| {
        Error::Mixture("a matrix that must be positive definite is singular to rounding".into())
    })?;
    Ok(factor.L().to_owned())
}

/// The least-norm solution of `matrix * x = right`, and the relative size of what it misses.
pub fn least_norm_solution(
    matrix: MatRef<'_, f64>,
    right: ColRef<'_, f64>,
) -> Result<(Col<f64>, f64)> {
    let svd = matrix
        .thin_svd()
        .map_err(|_| Error::Mixture("a singular value iteration did not converge".into()))?;
    let values = svd.S().column_vector();
    // Directions below the rounding of the largest one carry no information.
    let cutoff = values[0] * f64::EPSILON * matrix.nrows() as f64;
    let rotated = svd.U().transpose() * right;
    let scaled = Col::from_fn(rotated.nrows(), |index| {
        if values[index] > cutoff {
            rotated[index] / values[index]
        } else {
            0.0
        }
    });
    let solution = svd.V() * scaled;
    let missed = (right - matrix * &solution).norm_l2();
    let size = right.norm_l2();
    let residual = if size > 0.0 { missed / size } else { 0.0 };
    Ok((solution, residual))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_singular_system_is_solved_where_it_can_be() {
        let matrix = Mat::from_fn(2, 2, |row, column| f64::from(row + column == 0));
        let inside = Col::from_fn(2, |row| if row == 0 { 3.0 } else { 0.0 });
        let (solution, residual) = least_norm_solution(matrix.as_ref(), inside.as_ref()).unwrap();
        assert_eq!((solution[0], solution[1], residual), (3.0, 0.0, 0.0));
        let outside = Col::from_fn(2, |row| row as f64);
        let (_, residual) = least_norm_solution(matrix.as_ref(), outside.as_ref()).unwrap();
        assert_eq!(residual, 1.0);
    }

    #[test]
    fn a_root_rebuilds_a_singular_matrix() {
        let matrix = outer(Col::from_fn(3, |row| row as f64 + 1.0).as_ref());
        let root = root(matrix.as_ref()).unwrap();
        assert!((&root * root.transpose() - &matrix).norm_max() < 1e-14 * 14.0);
    }
}
