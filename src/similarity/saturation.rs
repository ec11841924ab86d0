//! Can a matrix of scores tell its sources apart?

/// A row whose foreign scores differ by less than this part of their size differs by rounding
/// only: sums of `dim` products err by about `dim` times 1e-16, and `dim` stays below 10,000.
const ROUNDING: f64 = 1e-12;

/// How much of the scale of scores is in use.
#[derive(Debug, Clone, PartialEq)]
pub struct Saturation {
    /// One minus the mean over targets of (largest - smallest foreign score) / width of the scale:
    /// 1 for constant rows, 0 where every target uses the whole scale. None without a target that
    /// has two foreign sources.
    pub saturation: Option<f64>,
    /// Targets whose foreign scores are equal up to rounding.
    pub constant_rows: Vec<usize>,
}

/// What one row of scores has to say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Number of foreign scores.
    pub count: usize,
    /// The smallest of them.
    pub low: f64,
    /// The largest of them.
    pub high: f64,
}

impl Spread {
    fn largest(&self) -> f64 {
        0.0f64.max(self.low.abs()).max(self.high.abs())
    }
}

/// Looks at one row; `own` is the target's own column among the sources, which is left out.
pub fn spread(row: &[f64], own: Option<usize>) -> Spread {
    let nothing = Spread {
        count: 0,
        low: f64::INFINITY,
        high: f64::NEG_INFINITY,
    };
    let columns = row.iter().enumerate();
    let foreign = columns.filter(|(column, _)| Some(*column) != own);
    foreign.fold(nothing, |seen, (_, &score)| Spread {
        count: seen.count + 1,
        low: seen.low.min(score),
        high: seen.high.max(score),
    })
}

/// Looks at all rows. The scale is `range`, or twice the largest foreign score if None.
pub fn saturation(rows: &[Spread], range: Option<(f64, f64)>) -> Saturation {
    let seen = rows.iter().filter(|row| row.count > 0);
    let width = match range {
        Some((low, high)) => high - low,
        None => 2.0 * seen.map(Spread::largest).fold(0.0, f64::max),
    };
    let mut constant_rows = Vec::new();
    let mut used = Vec::new();
    for (target, row) in rows.iter().enumerate().filter(|(_, row)| row.count > 1) {
        let difference = row.high - row.low;
        if difference <= ROUNDING * row.largest() {
            constant_rows.push(target);
        }
        used.push(if width > 0.0 { difference / width } else { 0.0 });
    }
    used.sort_unstable_by(f64::total_cmp);
    let count = used.len() as f64;
    Saturation {
        saturation: (count > 0.0).then(|| 1.0 - used.iter().sum::<f64>() / count),
        constant_rows,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(
        scores: &[f64],
        n_sources: usize,
        own: &[Option<usize>],
        range: Option<(f64, f64)>,
    ) -> Saturation {
        let rows = scores.chunks_exact(n_sources).zip(own);
        let rows: Vec<Spread> = rows.map(|(row, &own)| spread(row, own)).collect();
        saturation(&rows, range)
    }

    #[test]
    fn the_own_score_does_not_count() {
        let scores = [1.0, 0.5, 0.5, 0.0, 1.0, 1.0];
        let found = seen(&scores, 3, &[Some(0), None], Some((-1.0, 1.0)));
        assert_eq!(found.constant_rows, [0]);
        assert_eq!(found.saturation, Some(1.0 - (0.0 + 0.5) / 2.0));
    }

    #[test]
    fn without_a_range_the_largest_score_sets_the_scale() {
        let found = seen(&[4.0, -4.0], 2, &[None], None);
        assert_eq!(found.saturation, Some(0.0));
        assert_eq!(seen(&[0.0, 0.0], 2, &[None], None).saturation, Some(1.0));
    }

    #[test]
    fn one_foreign_source_has_nothing_to_be_told_from() {
        let found = seen(&[1.0, 0.3], 2, &[Some(0)], None);
        assert_eq!(found.saturation, None);
        assert!(found.constant_rows.is_empty());
    }

    #[test]
    fn rounding_is_no_difference() {
        let scores = [0.3, 0.3 + 1e-16, 0.3 - 1e-14];
        assert_eq!(seen(&scores, 3, &[None], None).constant_rows, [0]);
    }
}
