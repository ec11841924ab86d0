//! Cached features of a frozen backbone, as a head reads them.

use super::real::Real;
use crate::error::{Error, Result};

/// Features of `n` rows; `own` may hold more experts than the head uses.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a, T> {
    x: &'a [T],
    shared: &'a [T],
    own: &'a [T],
    order: &'a [usize],
    dim: usize,
    width: usize,
    n_own: usize,
}

impl<'a, T: Real> Rows<'a, T> {
    /// `x [n, dim]`, `shared [n, width]`, `own [n, n_own, width]`; source `k` of the head is
    /// expert `order[k]`.
    pub fn new(
        x: &'a [T],
        shared: &'a [T],
        own: &'a [T],
        order: &'a [usize],
        sizes: (usize, usize, usize),
    ) -> Result<Self> {
        let (dim, width, n_own) = sizes;
        let n = x.len().checked_div(dim).unwrap_or(0);
        let fits = x.len() == n * dim
            && shared.len() == n * width
            && own.len() == n * n_own * width
            && order.iter().all(|&at| at < n_own);
        if n == 0 || !fits {
            return Err(Error::Shape(format!(
                "features do not fit together: x holds {} numbers of dim {dim}, shared {} of \
                 width {width}, own {} of {n_own} sources, of which {order:?} are used",
                x.len(),
                shared.len(),
                own.len()
            )));
        }
        Ok(Self {
            x,
            shared,
            own,
            order,
            dim,
            width,
            n_own,
        })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.x.len() / self.dim
    }

    /// Never: rows without a row are refused.
    pub fn is_empty(&self) -> bool {
        self.x.is_empty()
    }

    /// Width of the embedded input.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Width of every representation.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of sources the head reads.
    pub fn n_sources(&self) -> usize {
        self.order.len()
    }

    /// Embedded input of one row.
    #[inline(always)]
    pub fn x(&self, row: usize) -> &'a [T] {
        &self.x[row * self.dim..][..self.dim]
    }

    /// Shared representation of one row.
    #[inline(always)]
    pub fn shared(&self, row: usize) -> &'a [T] {
        &self.shared[row * self.width..][..self.width]
    }

    /// Representation of one row by the expert of source `k`.
    #[inline(always)]
    pub fn own(&self, row: usize, k: usize) -> &'a [T] {
        &self.own[(row * self.n_own + self.order[k]) * self.width..][..self.width]
    }
}
