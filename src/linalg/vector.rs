//! Single vectors: sums in index order, and normalisation that neither overflows nor underflows.

/// `sum of a_h * b_h`, in order.
pub fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).fold(0.0, |sum, (a, b)| sum + a * b)
}

/// Divides by the Euclidean norm; a zero vector stays zero. Dividing by the largest entry first
/// keeps the squares in range, however large or small the vector is.
pub fn unit(values: &mut [f64]) {
    if !scale_by_largest(values) {
        return;
    }
    let norm = dot(values, values).sqrt();
    for value in values.iter_mut() {
        *value /= norm;
    }
}

/// Whether there was anything but zeros to scale.
fn scale_by_largest(values: &mut [f64]) -> bool {
    let largest = values.iter().fold(0.0, |best: f64, v| best.max(v.abs()));
    if largest == 0.0 {
        return false;
    }
    for value in values.iter_mut() {
        *value /= largest;
    }
    true
}

/// A direction, kept so that the cosine with itself is exactly 1.
#[derive(Debug, Clone)]
pub struct Ray {
    // Largest entry 1 in size, unless all are zero.
    values: Vec<f64>,
    square: f64,
}

impl Ray {
    /// The direction of `values`; zeros have none.
    pub fn new(mut values: Vec<f64>) -> Self {
        scale_by_largest(&mut values);
        let square = dot(&values, &values);
        Self { values, square }
    }

    /// Cosine of the angle to `other`; 0 where one side is zero.
    pub fn cosine(&self, other: &Self) -> f64 {
        let product = dot(&self.values, &other.values);
        cosine(product, self.square, other.square)
    }

    /// Its numbers, and the sum of their squares.
    pub fn into_parts(self) -> (Vec<f64>, f64) {
        (self.values, self.square)
    }
}

/// Cosine from a product and two sums of squares; 0 where one side is zero.
pub fn cosine(product: f64, left: f64, right: f64) -> f64 {
    if left == 0.0 || right == 0.0 {
        return 0.0;
    }
    (product / (left * right).sqrt()).clamp(-1.0, 1.0)
}

/// Mean of rows of width `dim`, added in order.
pub fn mean_row(values: &[f64], dim: usize) -> Vec<f64> {
    let mut mean = vec![0.0; dim];
    let rows = values.chunks_exact(dim);
    let count = rows.len() as f64;
    for row in rows {
        for (sum, value) in mean.iter_mut().zip(row) {
            *sum += value;
        }
    }
    for sum in &mut mean {
        *sum /= count;
    }
    mean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_vector_keeps_its_direction_at_any_scale() {
        for scale in [5e-324, 1e-310, 1e-3, 1.0, 1e160, 5e307] {
            let mut values = [3.0 * scale, 0.0, -3.0 * scale];
            unit(&mut values);
            assert!(
                (values[0] - 0.5f64.sqrt()).abs() < 1e-15,
                "{scale}: {values:?}"
            );
            assert_eq!(values[2], -values[0]);
        }
        let mut zero = [0.0; 3];
        unit(&mut zero);
        assert_eq!(zero, [0.0; 3]);
    }

    #[test]
    fn the_cosine_of_a_ray_with_itself_is_exactly_one() {
        let ray = Ray::new(vec![0.1, -0.7, 1e300]);
        let other = Ray::new(vec![1e-300, 0.0, 0.0]);
        assert_eq!(ray.cosine(&ray), 1.0);
        assert_eq!(ray.cosine(&other), other.cosine(&ray));
        assert_eq!(ray.cosine(&Ray::new(vec![0.0; 3])), 0.0);
        assert!(Ray::new(vec![f64::INFINITY]).cosine(&ray).is_nan());
    }

    #[test]
    fn the_mean_row_adds_in_order() {
        assert_eq!(mean_row(&[1.0, 2.0, 3.0, 6.0], 2), [2.0, 4.0]);
    }
}
