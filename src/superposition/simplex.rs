//! Formula      min_w ||z - D'w||^2 with sum w = 1 (affine), and w >= 0 as well (simplex)
//! Shapes       Gram matrix G = D D' [n_tasks, n_tasks], b = D z [n_tasks] -> w [n_tasks]
//! Range        affine: any sign, sum 1; simplex: [0, 1], sum 1
//! Promises     relabelling tasks permutes w; a simplex solution that is inside is the affine one
//! Zero rows    affinely dependent centroids are refused before (`identifiable`)
//! NaN          refused before
//! Precision    f64; Cholesky on differences from one support vector
//! Cost         n_tasks^3 a step, at most a few n_tasks steps in practice
//!
//! The simplex solution is found by a primal active set: solve on the support, walk to the
//! boundary if a weight turns negative, add the task with the most negative multiplier, stop when
//! there is none. The objective falls at every step, so no support comes twice.

/// Weights with sum 1 and any sign; None when the support is affinely dependent.
pub fn affine(gram: &[f64], linear: &[f64]) -> Option<Vec<f64>> {
    let support: Vec<usize> = (0..linear.len()).collect();
    on_support(gram, linear, &support)
}

/// Weights with sum 1 and no negative entry; None when the tasks are affinely dependent.
pub fn simplex(gram: &[f64], linear: &[f64]) -> Option<Vec<f64>> {
    let n_tasks = linear.len();
    let inside = affine(gram, linear)?;
    if inside.iter().all(|&weight| weight >= 0.0) {
        return Some(inside);
    }
    let cost = |task: usize| 0.5 * gram[task * n_tasks + task] - linear[task];
    let start = (0..n_tasks).min_by(|&l, &r| cost(l).total_cmp(&cost(r)))?;
    let mut weights = vec![0.0; n_tasks];
    weights[start] = 1.0;
    let mut support = vec![start];
    let scale = gram
        .iter()
        .chain(linear)
        .fold(0.0_f64, |top, value| top.max(value.abs()));
    // Each pass adds one task and may drop some; without rounding it ends far below this bound.
    for _ in 0..(1_usize << n_tasks.min(20)) {
        settle(gram, linear, &mut weights, &mut support)?;
        let gradient: Vec<f64> = (0..n_tasks)
            .map(|task| {
                let row = &gram[task * n_tasks..(task + 1) * n_tasks];
                row.iter().zip(&weights).map(|(g, w)| g * w).sum::<f64>() - linear[task]
            })
            .collect();
        let level = support
            .iter()
            .map(|&task| gradient[task])
            .fold(f64::INFINITY, f64::min);
        let entering = (0..n_tasks)
            .filter(|task| !support.contains(task))
            .min_by(|&l, &r| gradient[l].total_cmp(&gradient[r]));
        match entering {
            Some(task) if gradient[task] < level - f64::EPSILON * 64.0 * scale => {
                support.push(task)
            }
            _ => return Some(weights),
        }
    }
    Some(weights)
}

/// Moves to the optimum of the support, leaving the tasks whose weight reaches zero on the way.
fn settle(
    gram: &[f64],
    linear: &[f64],
    weights: &mut [f64],
    support: &mut Vec<usize>,
) -> Option<()> {
    loop {
        let wanted = on_support(gram, linear, support)?;
        let blocked = support
            .iter()
            .filter(|&&task| wanted[task] < 0.0)
            .map(|&task| (weights[task] / (weights[task] - wanted[task]), task))
            .min_by(|l, r| l.0.total_cmp(&r.0));
        let Some((step, leaving)) = blocked else {
            weights.copy_from_slice(&wanted);
            return Some(());
        };
        for &task in support.iter() {
            weights[task] += step * (wanted[task] - weights[task]);
        }
        weights[leaving] = 0.0;
        support.retain(|&task| task != leaving);
    }
}

fn on_support(gram: &[f64], linear: &[f64], support: &[usize]) -> Option<Vec<f64>> {
    let n_tasks = linear.len();
    let (&base, others) = support.split_first()?;
    let g = |row: usize, column: usize| gram[row * n_tasks + column];
    let size = others.len();
    let mut matrix = vec![0.0; size * size];
    let mut right = vec![0.0; size];
    for (row, &first) in others.iter().enumerate() {
        for (column, &second) in others.iter().enumerate() {
            matrix[row * size + column] =
                g(first, second) - g(first, base) - g(base, second) + g(base, base);
        }
        right[row] = linear[first] - linear[base] - g(first, base) + g(base, base);
    }
    solve_positive(&mut matrix, &mut right, size)?;
    let mut weights = vec![0.0; n_tasks];
    weights[base] = 1.0 - right.iter().sum::<f64>();
    for (&task, &weight) in others.iter().zip(&right) {
        weights[task] = weight;
    }
    Some(weights)
}

/// Cholesky solution in place; None when the matrix is not positive definite.
fn solve_positive(matrix: &mut [f64], right: &mut [f64], size: usize) -> Option<()> {
    for column in 0..size {
        let before: f64 = (0..column).map(|k| matrix[column * size + k].powi(2)).sum();
        let pivot = matrix[column * size + column] - before;
        if pivot.is_nan() || pivot <= 0.0 {
            return None;
        }
        matrix[column * size + column] = pivot.sqrt();
        for row in column + 1..size {
            let before: f64 = (0..column)
                .map(|k| matrix[row * size + k] * matrix[column * size + k])
                .sum();
            matrix[row * size + column] =
                (matrix[row * size + column] - before) / matrix[column * size + column];
        }
    }
    for row in 0..size {
        let before: f64 = (0..row).map(|k| matrix[row * size + k] * right[k]).sum();
        right[row] = (right[row] - before) / matrix[row * size + row];
    }
    for row in (0..size).rev() {
        let after: f64 = (row + 1..size)
            .map(|k| matrix[k * size + row] * right[k])
            .sum();
        right[row] = (right[row] - after) / matrix[row * size + row];
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn problem(points: &[Vec<f64>], target: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let dot = |l: &[f64], r: &[f64]| l.iter().zip(r).map(|(a, b)| a * b).sum::<f64>();
        let gram = points
            .iter()
            .flat_map(|l| points.iter().map(move |r| dot(l, r)))
            .collect();
        (
            gram,
            points.iter().map(|point| dot(point, target)).collect(),
        )
    }

    fn objective(gram: &[f64], linear: &[f64], weights: &[f64]) -> f64 {
        let n_tasks = linear.len();
        let square: f64 = (0..n_tasks * n_tasks)
            .map(|cell| gram[cell] * weights[cell / n_tasks] * weights[cell % n_tasks])
            .sum();
        0.5 * square - linear.iter().zip(weights).map(|(b, w)| b * w).sum::<f64>()
    }

    /// The best of all supports, which is what the active set must find.
    fn exhaustive(gram: &[f64], linear: &[f64]) -> f64 {
        (1_u32..1 << linear.len())
            .filter_map(|bits| {
                let support: Vec<usize> = (0..linear.len())
                    .filter(|task| bits >> task & 1 == 1)
                    .collect();
                on_support(gram, linear, &support)
            })
            .filter(|weights| weights.iter().all(|&weight| weight >= 0.0))
            .map(|weights| objective(gram, linear, &weights))
            .fold(f64::INFINITY, f64::min)
    }

    #[test]
    fn a_point_beyond_an_edge_lands_on_the_edge() {
        let points = [vec![0.0, 0.0], vec![1.0, 0.0], vec![0.0, 1.0]];
        let (gram, linear) = problem(&points, &[0.25, -3.0]);
        let found = simplex(&gram, &linear).unwrap();
        for (weight, wanted) in found.iter().zip([0.75, 0.25, 0.0]) {
            assert!((weight - wanted).abs() < 1e-15, "{found:?}");
        }
        assert!(affine(&gram, &linear).unwrap()[2] < 0.0);
    }

    #[test]
    fn equal_points_have_no_weights() {
        let points = [vec![1.0, 0.0], vec![1.0, 0.0]];
        let (gram, linear) = problem(&points, &[0.0, 0.0]);
        assert_eq!(affine(&gram, &linear), None);
    }

    proptest! {
        #[test]
        fn the_active_set_finds_what_trying_every_support_finds(
            raw in prop::collection::vec(-1.0..1.0_f64, 7 * 8),
            n_tasks in 2_usize..7,
        ) {
            let points: Vec<Vec<f64>> = raw.chunks(8).take(n_tasks).map(<[f64]>::to_vec).collect();
            let target: Vec<f64> = raw[6 * 8..].iter().map(|value| 2.0 * value).collect();
            let (gram, linear) = problem(&points, &target);
            let found = simplex(&gram, &linear).unwrap();
            prop_assert!(found.iter().all(|&weight| weight >= 0.0));
            prop_assert!((found.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            let best = exhaustive(&gram, &linear);
            prop_assert!(objective(&gram, &linear, &found) <= best + 1e-9 * (1.0 + best.abs()));
        }
    }
}
