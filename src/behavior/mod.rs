//! What black boxes answer, as numbers: paired responses, ridge surrogates, and their errors.
//!
//! ```text
//! answers [n_boxes, n_probes, n_replicates, n_labels] --coordinates--> responses
//! responses --paired--> similarity with intervals          (probes shared)
//! responses --kinship--> CKA and RSA                       (label sets differ)
//! responses --drift--> the same endpoint as last week?
//! features, responses --ridge--> embeddings                (probes differ, data sets)
//! ```

pub mod alignment;
pub mod coordinates;
mod drawn;
pub mod drift;
pub mod paired;
pub mod replicated;
pub mod ridge;
pub mod shares;

use ndarray::ArrayView3;

use crate::error::{Error, Result};

/// Refuses empty arrays and anything but finite numbers.
pub(crate) fn check_finite(values: &ArrayView3<'_, f64>, what: &str) -> Result<()> {
    if values.is_empty() {
        return Err(Error::Shape(format!(
            "{what}: shape {:?}, expected at least one box, probe and coordinate",
            values.dim()
        )));
    }
    match values.indexed_iter().find(|(_, value)| !value.is_finite()) {
        Some(((box_, probe, _), value)) => Err(Error::NonFinite(format!(
            "{what}: box {box_}, probe {probe} is {value}, expected finite numbers"
        ))),
        None => Ok(()),
    }
}
