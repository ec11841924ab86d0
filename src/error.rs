//! The one error type of the crate; `py::errors` maps every kind to its Python class.

/// What went wrong, by kind. The message says what, where, got, wanted and the way out.
#[derive(Debug, thiserror::Error, Clone, PartialEq)]
pub enum Error {
    /// Sizes that do not fit together.
    #[error("{0}")]
    Shape(String),
    /// An element type that is not accepted.
    #[error("{0}")]
    DType(String),
    /// NaN or infinity where finite numbers are required.
    #[error("{0}")]
    NonFinite(String),
    /// Two spaces that must not meet.
    #[error("{0}")]
    Space(String),
    /// Bytes that are not what their format promises.
    #[error("{0}")]
    Format(String),
    /// A name nobody knows.
    #[error("{0}")]
    UnknownName(String),
    /// A number outside its allowed range.
    #[error("{0}")]
    Value(String),
    /// A mixture of tasks, or a question about one, that makes no sense.
    #[error("{0}")]
    Mixture(String),
    /// The operating system refused to hand over a file.
    #[error("{0}")]
    Io(String),
    /// The caller asked to stop (Ctrl-C).
    #[error("interrupted")]
    Interrupted,
}

/// Result with the crate's error.
pub type Result<T> = std::result::Result<T, Error>;
