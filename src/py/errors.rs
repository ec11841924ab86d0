//! Every Rust error kind becomes its Python class, through one exhaustive match.

use pyo3::exceptions::{PyKeyboardInterrupt, PyOSError, PyValueError};
use pyo3::prelude::*;

use crate::error::Error;

impl From<Error> for PyErr {
    fn from(error: Error) -> PyErr {
        let class = match &error {
            Error::Shape(_) => "ShapeError",
            Error::DType(_) => "DTypeError",
            Error::NonFinite(_) => "NonFiniteError",
            Error::Space(_) => "SpaceError",
            Error::Format(_) => "FormatError",
            Error::UnknownName(_) => "UnknownNameError",
            Error::Mixture(_) => "MixtureError",
            Error::Value(text) => return PyValueError::new_err(text.clone()),
            Error::Io(text) => return PyOSError::new_err(text.clone()),
            Error::Interrupted => return PyKeyboardInterrupt::new_err(()),
        };
        Python::attach(|py| raise(py, class, error.to_string()))
    }
}

fn raise(py: Python<'_>, class: &str, message: String) -> PyErr {
    let instance = py
        .import("kinatlas.errors")
        .and_then(|module| module.getattr(class))
        .and_then(|class| class.call1((message,)));
    match instance {
        Ok(instance) => PyErr::from_value(instance),
        Err(failure) => failure,
    }
}
