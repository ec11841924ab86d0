//! What a kernel is: a form each prompt is brought into once, and a score between two forms.

use crate::tokens::TokenMatrix;

/// What a kernel says about itself; tests try to break every promise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct About {
    /// The one name, everywhere.
    pub name: &'static str,
    /// The score in one line.
    pub formula: &'static str,
    /// What the score measures, in one sentence.
    pub summary: &'static str,
    /// Lowest and highest score between unit tokens.
    pub range: (f64, f64),
    /// Exchanging source and target changes nothing; otherwise the kernel has a direction.
    pub symmetric: bool,
    /// Multiplying a prompt by a positive number changes nothing, even without normalisation.
    pub scale_free: bool,
    /// Reordering the tokens of a prompt changes nothing.
    pub order_free: bool,
    /// Token i of one prompt is set against token i of the other.
    pub needs_equal_length: bool,
    /// Every token looks for its best partners, so a shared initialisation can capture the search.
    pub seeks_partners: bool,
    /// Parameters the kernel takes beyond the common ones.
    pub parameters: &'static [&'static str],
}

/// A kernel with its parameters.
pub trait Rule: Sync {
    /// One prompt as this kernel compares it.
    type Form: Send + Sync;

    /// Whether `both` costs no more than `score`.
    const BOTH_AT_ONCE: bool = false;

    /// Brings one prompt into the form that is compared.
    fn form(&self, tokens: TokenMatrix<'_>) -> Self::Form;

    /// Source to target.
    fn score(&self, source: &Self::Form, target: &Self::Form) -> f64;

    /// Source to target and target to source.
    fn both(&self, source: &Self::Form, target: &Self::Form) -> (f64, f64) {
        (self.score(source, target), self.score(target, source))
    }
}
