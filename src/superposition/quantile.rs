//! Percentile intervals of replicates.

// With more than this part undefined, the defined replicates no longer speak for the statistic.
const UNDEFINED_ALLOWED: f64 = 0.05;

/// The central `confidence` interval of `values`; (NaN, NaN) when over 5 % of them are NaN.
pub fn interval(values: &mut Vec<f64>, confidence: f64) -> (f64, f64) {
    let n_all = values.len();
    values.retain(|value| !value.is_nan());
    let undefined = (n_all - values.len()) as f64;
    if values.is_empty() || undefined > UNDEFINED_ALLOWED * n_all as f64 {
        return (f64::NAN, f64::NAN);
    }
    values.sort_unstable_by(f64::total_cmp);
    let tail = 0.5 * (1.0 - confidence);
    (quantile(values, tail), quantile(values, 1.0 - tail))
}

/// Linear interpolation between order statistics, as NumPy's default.
pub fn quantile(sorted: &[f64], level: f64) -> f64 {
    let place = level * (sorted.len() - 1) as f64;
    let below = sorted[place.floor() as usize];
    let above = sorted[place.ceil() as usize];
    let part = place - place.floor();
    if below == above || part == 0.0 {
        below
    } else {
        below + part * (above - below)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_interpolate_and_keep_infinity() {
        assert_eq!(quantile(&[0.0, 1.0, 2.0], 0.25), 0.5);
        let mut values = vec![1.0, f64::INFINITY, f64::INFINITY];
        assert_eq!(interval(&mut values, 0.5), (f64::INFINITY, f64::INFINITY));
        assert!(interval(&mut vec![f64::NAN, 1.0], 0.9).0.is_nan());
    }
}
