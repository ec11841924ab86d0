//! Boxes whose label sets differ: do they order pairs of probes alike?
//!
//! ```text
//! Formula   CKA = |A'B|^2 / (|A'A| |B'B|), A and B centred over probes; RSA = Spearman of the
//!           inner products of all pairs of probes
//! Shapes    responses A [n_probes, p], B [n_probes, q] -> one number
//! Range     CKA [0, 1], RSA [-1, 1]
//! Promises  symmetric; free of rotations and permutations of labels, of scale, of probe order
//! Zero rows a box that never changes its answer has similarity 0 with everything
//! NaN       refused
//! Precision f64; equal inner products share their rank
//! Cost      CKA n p q multiplications; RSA n^2 (p + q) / 2 and two sorts of n^2 / 2 numbers
//! ```
//!
//! Source: Kornblith et al. (2019), equation 4; Kriegeskorte et al. (2008) for RSA.

use ndarray::{ArrayView2, Axis};

use super::check_finite;
use super::coordinates::rank_shares;
use super::paired::ratio;
use crate::error::{Error, Result};

fn centred(responses: ArrayView2<'_, f64>) -> Result<ndarray::Array2<f64>> {
    check_finite(&responses.insert_axis(Axis(0)), "responses")?;
    let first = responses.row(0).to_owned();
    let moved = &responses - &first;
    let mean = moved.sum_axis(Axis(0)) / responses.nrows() as f64;
    Ok(moved - &mean)
}

fn check_probes(first: &ArrayView2<'_, f64>, second: &ArrayView2<'_, f64>) -> Result<()> {
    if first.nrows() == second.nrows() {
        return Ok(());
    }
    Err(Error::Shape(format!(
        "one box answered {} probes, the other {}; expected the same probes",
        first.nrows(),
        second.nrows()
    )))
}

/// Linear centred kernel alignment.
pub fn cka(first: ArrayView2<'_, f64>, second: ArrayView2<'_, f64>) -> Result<f64> {
    check_probes(&first, &second)?;
    let (a, b) = (centred(first)?, centred(second)?);
    let square = |m: ndarray::Array2<f64>| m.iter().map(|value| value * value).sum::<f64>();
    let (own_a, own_b) = (square(a.t().dot(&a)), square(b.t().dot(&b)));
    Ok(ratio(square(a.t().dot(&b)), own_a, own_b))
}

/// Representational similarity: rank correlation of the inner products of probes.
pub fn rsa(first: ArrayView2<'_, f64>, second: ArrayView2<'_, f64>) -> Result<f64> {
    check_probes(&first, &second)?;
    let ranks = |responses| -> Result<Vec<f64>> {
        let own = centred(responses)?;
        let n = own.nrows();
        let pairs = (0..n).flat_map(|i| (0..i).map(move |j| (i, j)));
        Ok(rank_shares(
            &pairs
                .map(|(i, j)| own.row(i).dot(&own.row(j)))
                .collect::<Vec<_>>(),
        ))
    };
    let (a, b) = (ranks(first)?, ranks(second)?);
    let sum = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    Ok(ratio(sum(&a, &b), sum(&a, &a), sum(&b, &b)))
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn a_rotation_and_a_scale_change_nothing() {
        let a = array![[1.0, 0.0], [0.0, 2.0], [3.0, 1.0], [-1.0, 0.5]];
        let turned = a.dot(&array![[0.6, -0.8], [0.8, 0.6]]) * 3.0;
        assert!((cka(a.view(), turned.view()).unwrap() - 1.0).abs() < 1e-12);
        assert!((rsa(a.view(), turned.view()).unwrap() - 1.0).abs() < 1e-12);
        assert!(cka(a.view(), turned.slice(ndarray::s![..3, ..])).is_err());
    }
}
