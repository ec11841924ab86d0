//! Random projections of low-rank updates, from their factors alone.
//!
//! Formula     s_k(X) = sum over modules of u_k^T X v_k / sqrt(m), u_k and v_k standard normal
//! Shapes      A [rank, n_in], B [n_out, rank] per module -> m features
//! Range       E s(X).s(Y) = <X, Y>, Var s(X).s(Y) <= 8 |X|^2 |Y|^2 / m
//! Promises    u and v depend on seed and module number alone; factorisation-free up to rounding
//! Zero rows   a module that a task lacks adds 0
//! NaN         refused at the door
//! Precision   u and v in f32, products and sums in f64, features rounded to f32
//! Cost        m rank (n_in + n_out) multiplications a module; B A is never formed
//!
//! The bound: E (u^T X v)^4 = 3 E |X^T u|^4 <= 9 |X|^4, then Cauchy and Schwarz over X and Y.

use rayon::prelude::*;

use super::{Factors, Updates};
use crate::error::{Error, Result};
use crate::random::{fill_normal, stream};
use crate::threads::Monitor;

/// Features `[n_tasks, n_features]` of all tasks.
pub fn sketch(
    updates: &Updates<'_>,
    (n_features, seed): (usize, u64),
    monitor: &Monitor,
) -> Result<Vec<f32>> {
    let n_modules = updates.first().map_or(0, Vec::len);
    let mut sums = vec![0.0f64; updates.len() * n_features];
    for module in 0..n_modules {
        let Some(known) = updates.iter().find_map(|task| task[module].as_ref()) else {
            continue;
        };
        let [_, n_in, n_out] = known.sizes;
        let rows = normals(seed, 2 * module, n_features, n_out);
        let columns = normals(seed, 2 * module + 1, n_features, n_in);
        sums.par_chunks_exact_mut(n_features)
            .zip(updates)
            .try_for_each(|(sums, task)| {
                monitor.tick(1)?;
                let measured = task[module].as_ref();
                measured.map_or(Ok(()), |factors| add(sums, factors, &rows, &columns))
            })?;
    }
    let scale = 1.0 / (n_features as f64).sqrt();
    Ok(sums.iter().map(|sum| (sum * scale) as f32).collect())
}

/// `count` normal vectors of `width` numbers, one stream a side of a module.
fn normals(seed: u64, side: usize, count: usize, width: usize) -> Vec<f32> {
    let mut values = vec![0.0; count * width];
    fill_normal(&mut stream(seed, side as u64), &mut values);
    values.into_iter().map(|value| value as f32).collect()
}

fn add(sums: &mut [f64], factors: &Factors<'_>, rows: &[f32], columns: &[f32]) -> Result<()> {
    let [rank, n_in, n_out] = factors.sizes;
    let (a, b) = (factors.a.widen(), factors.b.widen());
    let fits = a.len() == rank * n_in && b.len() == rank * n_out;
    if !fits || rows.len() != sums.len() * n_out || columns.len() != sums.len() * n_in {
        return Err(Error::Shape(format!(
            "an update of sizes {:?} meets a module of another size",
            factors.sizes
        )));
    }
    for (feature, sum) in sums.iter_mut().enumerate() {
        let (u, v) = (
            &rows[feature * n_out..][..n_out],
            &columns[feature * n_in..][..n_in],
        );
        let mut left = vec![0.0; rank];
        for (&weight, row) in u.iter().zip(b.chunks_exact(rank)) {
            for (total, value) in left.iter_mut().zip(row) {
                *total += f64::from(weight) * value;
            }
        }
        let right = a.chunks_exact(n_in).map(|row| {
            row.iter()
                .zip(v)
                .map(|(value, &weight)| value * f64::from(weight))
                .sum::<f64>()
        });
        *sum += factors.scale * left.iter().zip(right).map(|(l, r)| l * r).sum::<f64>();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Numbers;
    use super::*;

    #[test]
    fn inner_products_of_updates_are_unbiased() {
        let (a, b) = ([1.0, 2.0, 0.0, -1.0], [1.0, 0.0, 0.5, 1.0, -1.0, 2.0]);
        let (c, d) = ([0.5, 1.0], [1.0, 2.0, -1.0]);
        let first = Factors {
            a: Numbers::F64(&a),
            b: Numbers::F64(&b),
            sizes: [2, 2, 3],
            scale: 2.0,
        };
        let second = Factors {
            a: Numbers::F64(&c),
            b: Numbers::F64(&d),
            sizes: [1, 2, 3],
            scale: 1.0,
        };
        // B A of both by hand: rows (2, 4), (1, 0), (-2, -8) and (0.5, 1), (1, 2), (-0.5, -1).
        let truth = 1.0 + 4.0 + 1.0 + 1.0 + 8.0;
        let (xx, yy) = (89.0f64, 7.5f64);
        let updates = vec![vec![Some(first)], vec![Some(second)]];
        let n_features = 20_000;
        let found = sketch(&updates, (n_features, 3), &Monitor::default()).unwrap();
        let (x, y) = found.split_at(n_features);
        let inner: f64 = x.iter().zip(y).map(|(x, y)| f64::from(x * y)).sum();
        let error = (8.0 * xx * yy / n_features as f64).sqrt();
        assert!((inner - truth).abs() < 4.0 * error, "{inner}");
    }
}
