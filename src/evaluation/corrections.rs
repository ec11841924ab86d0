//! P-values of a family of tests, corrected for their number.
//!
//! ```text
//! holm  max over j <= i of min(1, (m - j) p_(j)), ascending, j from 0   any false one at most a
//! bh    min over j >= i of min(1, m p_(j) / (j + 1))                    share of false ones
//! none  as they are
//! ```
//!
//! Source: Holm (1979), Scand. J. Statist. 6; Benjamini and Hochberg (1995), JRSS B 57.

use crate::error::{Error, Result};

/// Corrected p-values in the order given; NaN, a test that was not made, stays and does not count.
pub fn adjusted(p_values: &[f64], method: &str) -> Result<Vec<f64>> {
    let mut order: Vec<usize> = (0..p_values.len())
        .filter(|&at| !p_values[at].is_nan())
        .collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let count = order.len() as f64;
    let mut result = p_values.to_vec();
    match method {
        "none" => {}
        "holm" => {
            let mut largest = 0.0f64;
            for (place, &at) in order.iter().enumerate() {
                largest = largest.max((count - place as f64) * p_values[at]);
                result[at] = largest.min(1.0);
            }
        }
        "bh" => {
            let mut smallest = 1.0f64;
            for (place, &at) in order.iter().enumerate().rev() {
                smallest = smallest.min(count * p_values[at] / (place as f64 + 1.0));
                result[at] = smallest;
            }
        }
        _ => {
            return Err(Error::UnknownName(format!(
                "unknown correction '{method}'; known: 'holm', 'bh', 'none'"
            )));
        }
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corrections_follow_their_definitions() {
        let p = [0.01, 0.04, 0.03, f64::NAN];
        let holm = adjusted(&p, "holm").unwrap();
        assert_eq!(&holm[..3], &[0.03, 0.06, 0.06]);
        assert!(holm[3].is_nan());
        let bh = adjusted(&p, "bh").unwrap();
        assert!((bh[0] - 0.03).abs() < 1e-15 && (bh[2] - 0.04).abs() < 1e-15);
        assert!(adjusted(&p, "bonferroni").is_err());
    }
}
