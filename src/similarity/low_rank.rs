//! Inner products of low-rank updates, from their factors alone.
//!
//! Formula     <s1 B1 A1, s2 B2 A2> = s1 s2 sum_ij (A1 A2^T)_ij (B1^T B2)_ij, summed over modules;
//!             cosine = inner / sqrt(inner(1, 1) inner(2, 2))
//! Shapes      A [rank, n_in], B [n_out, rank] per module; ranks may differ; result one number
//! Range       inner any, cosine [-1, 1] up to rounding
//! Promises    symmetric, scale-free (cosine), order-free (modules, tasks), factorisation-free:
//!             (B G, G^-1 A) gives the same update
//! Zero rows   a module that one side lacks adds 0; a zero update has cosine 0 with everything
//! NaN         refused at the door; a sum that overflows is an error
//! Precision   stored f16, f32 or f64, all products and sums in f64; `single` multiplies in f32
//! Cost        rank1 rank2 (n_in + n_out) multiplications per module; B A is never formed, factors
//!             of many tasks are stacked into one product
//!
//! The identity is the cyclic trace, tr(A1^T B1^T B2 A2) = tr((A1 A2^T)^T (B1^T B2)). Comparing
//! the concatenated factors instead gives no answer about the update: the same B A has many
//! factorisations, whose concatenations may even point in opposite directions.

mod grid;
mod single;
mod sketch;
mod stack;

use half::f16;

use crate::element::Element;
use crate::error::{Error, Result};

pub use grid::{Asked, Updates, matrix, modules};
pub use sketch::sketch;

/// Which number is made of the inner products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Score {
    /// The inner product itself.
    Inner,
    /// The inner product of the updates divided by their norms.
    Cosine,
}

/// Names and scores, one row per variant.
pub const SCORES: [(&str, Score); 2] = [
    ("low_rank_inner", Score::Inner),
    ("low_rank_cosine", Score::Cosine),
];

impl Score {
    /// The score of that name.
    pub fn from_name(name: &str) -> Result<Self> {
        let found = SCORES.iter().find(|(known, _)| *known == name);
        found.map(|(_, score)| *score).ok_or_else(|| {
            let known: Vec<&str> = SCORES.iter().map(|(known, _)| *known).collect();
            Error::UnknownName(format!(
                "kernel '{name}' does not compare low-rank updates; known are: {}",
                known.join(", ")
            ))
        })
    }
}

/// Row-major numbers in the type they are stored in.
#[derive(Debug, Clone, Copy)]
pub enum Numbers<'a> {
    /// float16
    F16(&'a [f16]),
    /// float32
    F32(&'a [f32]),
    /// float64
    F64(&'a [f64]),
}

impl Numbers<'_> {
    fn len(self) -> usize {
        match self {
            Numbers::F16(values) => values.len(),
            Numbers::F32(values) => values.len(),
            Numbers::F64(values) => values.len(),
        }
    }

    fn widen(self) -> Vec<f64> {
        match self {
            Numbers::F16(values) => widen(values),
            Numbers::F32(values) => widen(values),
            Numbers::F64(values) => values.to_vec(),
        }
    }
}

fn widen<E: Element>(values: &[E]) -> Vec<f64> {
    values.iter().map(|value| value.widen()).collect()
}

impl Factors<'_> {
    fn check(&self) -> Result<()> {
        let [rank, n_in, n_out] = self.sizes;
        let (a, b) = (self.a.len(), self.b.len());
        if rank * n_in * n_out == 0 || a != rank * n_in || b != rank * n_out {
            return Err(Error::Shape(format!(
                "factors hold {a} and {b} numbers, expected rank {rank} times {n_in} and {n_out}"
            )));
        }
        Ok(())
    }
}

/// The update `scale * B A` of one module.
#[derive(Debug, Clone, Copy)]
pub struct Factors<'a> {
    /// A `[rank, n_in]`
    pub a: Numbers<'a>,
    /// B `[n_out, rank]`
    pub b: Numbers<'a>,
    /// Sizes `[rank, n_in, n_out]`.
    pub sizes: [usize; 3],
    /// The number in front.
    pub scale: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::threads::Monitor;

    fn update<'a>(a: &'a [f64], b: &'a [f64], rank: usize, scale: f64) -> Vec<Option<Factors<'a>>> {
        let sizes = [rank, a.len() / rank, b.len() / rank];
        let (a, b) = (Numbers::F64(a), Numbers::F64(b));
        vec![Some(Factors { a, b, sizes, scale })]
    }

    #[test]
    fn factors_of_different_rank_give_the_product_of_the_updates() {
        // B A is [[1, 2], [3, 4]] once as rank two (A the identity) and [[1, 1], [0, 0]] as rank
        // one; the inner product is 1 + 2.
        let tasks = [
            update(&[1.0, 0.0, 0.0, 1.0], &[1.0, 2.0, 3.0, 4.0], 2, 1.0),
            update(&[1.0, 1.0], &[1.0, 0.0], 1, 1.0),
        ];
        let scores = matrix(&tasks, None, Asked::of(Score::Inner), &Monitor::default()).unwrap();
        assert_eq!(scores, ndarray::array![[30.0, 3.0], [3.0, 2.0]]);
        let split = matrix(
            &tasks[..1],
            Some(&tasks),
            Asked::of(Score::Inner),
            &Monitor::default(),
        )
        .unwrap();
        assert_eq!(split, ndarray::array![[30.0, 3.0]]);
    }

    #[test]
    fn an_absent_module_is_a_zero_update() {
        let tasks = [update(&[1.0], &[2.0], 1, 3.0), vec![None]];
        let scores = matrix(&tasks, None, Asked::of(Score::Cosine), &Monitor::default()).unwrap();
        assert_eq!(scores, ndarray::array![[1.0, 0.0], [0.0, 0.0]]);
    }

    #[test]
    fn sizes_and_names_that_do_not_fit_are_refused() {
        let tasks = [
            update(&[1.0, 2.0], &[2.0], 1, 1.0),
            update(&[1.0], &[2.0], 1, 1.0),
        ];
        let refused = matrix(&tasks, None, Asked::of(Score::Inner), &Monitor::default());
        assert!(matches!(refused, Err(Error::Shape(_))));
        assert!(matches!(
            Score::from_name("flatten"),
            Err(Error::UnknownName(_))
        ));
    }
}
