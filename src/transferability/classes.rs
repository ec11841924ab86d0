//! Classes of the examples, numbered from 0 in order of first appearance.

use super::features::Features;
use crate::error::{Error, Result};

/// Class of every example and the size of every class; no class is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classes {
    codes: Vec<usize>,
    counts: Vec<usize>,
}

impl Classes {
    /// Numbers the labels by first appearance, so that neither names nor gaps between numbers
    /// reach any sum.
    pub fn new(labels: &[usize]) -> Result<Self> {
        let mut places = std::collections::HashMap::new();
        let codes: Vec<usize> = labels
            .iter()
            .map(|&label| {
                let next = places.len();
                *places.entry(label).or_insert(next)
            })
            .collect();
        if places.len() < 2 {
            return Err(Error::Shape(format!(
                "labels: {} examples of {} class, expected at least two classes",
                labels.len(),
                places.len()
            )));
        }
        let mut counts = vec![0; places.len()];
        codes.iter().for_each(|&code| counts[code] += 1);
        Ok(Self { codes, counts })
    }

    /// Class of every example.
    pub fn codes(&self) -> &[usize] {
        &self.codes
    }

    /// Examples of every class, at least one.
    pub fn counts(&self) -> &[usize] {
        &self.counts
    }

    /// Number of classes.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Never true; classes are at least two.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Number of examples.
    pub fn n(&self) -> usize {
        self.codes.len()
    }

    /// Share of the examples in a class.
    pub fn share(&self, class: usize) -> f64 {
        self.counts[class] as f64 / self.n() as f64
    }

    /// Mean row of every class.
    pub fn means(&self, features: &Features) -> Vec<Vec<f64>> {
        let mut means = vec![vec![0.0; features.dim()]; self.len()];
        for (row, &code) in features.rows().zip(&self.codes) {
            means[code]
                .iter_mut()
                .zip(row)
                .for_each(|(sum, v)| *sum += v);
        }
        for (mean, &count) in means.iter_mut().zip(&self.counts) {
            mean.iter_mut().for_each(|sum| *sum /= count as f64);
        }
        means
    }
}
