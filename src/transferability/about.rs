//! What one score says of itself, in the words of the table users see.

/// What a score reads beside the labels of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Features `[n, dim]` of the target's examples under the source.
    Features,
    /// Probabilities `[n, n_source_classes]` of the source's own classes.
    Probabilities,
    /// One label of the source's own task for every example.
    SourceLabels,
}

impl Needs {
    /// The word users see.
    pub fn name(self) -> &'static str {
        match self {
            Needs::Features => "features",
            Needs::Probabilities => "probabilities",
            Needs::SourceLabels => "source_labels",
        }
    }
}

/// One row of the table of scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct About {
    /// The one name.
    pub name: &'static str,
    /// The score in one line.
    pub formula: &'static str,
    /// What a higher score says.
    pub summary: &'static str,
    /// What it reads.
    pub needs: Needs,
    /// Lowest and highest value.
    pub range: (f64, f64),
    /// Whether multiplying all features by one positive number changes nothing.
    pub scale_free: bool,
    /// Whether an orthogonal map of the features changes nothing.
    pub rotation_free: bool,
    /// Whether adding one row to all examples changes nothing.
    pub translation_free: bool,
    /// Options beyond features and labels.
    pub options: &'static [&'static str],
    /// Where the definition stands.
    pub source: &'static str,
}
