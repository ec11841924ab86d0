//! `adapter_config.json`, asked in types; PEFT and AdapterHub use the same file name.

use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// Who wrote the folder.
pub enum Library {
    /// PEFT, with its `peft_type`.
    Peft(String),
    /// AdapterHub's adapters.
    AdapterHub,
}

/// A parsed configuration; every question names the file when the answer has the wrong type.
pub struct Config {
    values: Map<String, Value>,
    label: String,
}

impl Config {
    pub fn parse(text: &str, label: &str) -> Result<Self> {
        let label = format!("{label}, adapter_config.json");
        match serde_json::from_str(text) {
            Ok(Value::Object(values)) => Ok(Self { values, label }),
            Ok(_) => Err(Error::Format(format!("{label}: expected a JSON object"))),
            Err(error) => Err(Error::Format(format!("{label}: not valid JSON: {error}"))),
        }
    }

    pub fn library(&self) -> Result<Library> {
        if let Some(method) = self.text("peft_type")? {
            return Ok(Library::Peft(method.to_string()));
        }
        if self.get("config").is_some() || self.get("version").is_some() {
            return Ok(Library::AdapterHub);
        }
        Err(self.refused("has neither 'peft_type' (PEFT) nor 'config' (AdapterHub)"))
    }

    pub fn base_model(&self) -> Result<Option<String>> {
        let known = match self.library()? {
            Library::Peft(_) => self.text("base_model_name_or_path")?,
            Library::AdapterHub => self.text("model_name")?,
        };
        Ok(known.filter(|name| !name.is_empty()).map(str::to_string))
    }

    /// The value of a key, where JSON's null counts as absent.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key).filter(|value| !value.is_null())
    }

    pub fn text(&self, key: &str) -> Result<Option<&str>> {
        self.typed(key, "text", Value::as_str)
    }

    pub fn count(&self, key: &str) -> Result<Option<usize>> {
        self.typed(key, "a whole number", |value| {
            value.as_u64().and_then(|count| usize::try_from(count).ok())
        })
    }

    pub fn number(&self, key: &str) -> Result<Option<f64>> {
        self.typed(key, "a number", Value::as_f64)
    }

    pub fn flag(&self, key: &str) -> Result<bool> {
        Ok(self
            .typed(key, "true or false", Value::as_bool)?
            .unwrap_or(false))
    }

    pub fn object(&self, key: &str) -> Result<Option<&Map<String, Value>>> {
        self.typed(key, "an object", Value::as_object)
    }

    /// Texts of a list; absent and non-list values give none.
    pub fn texts(&self, key: &str) -> Vec<&str> {
        let list = self.get(key).and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    }

    /// The object below `key` as a configuration of its own.
    pub fn section(&self, key: &str) -> Result<Option<Self>> {
        Ok(self.object(key)?.map(|values| Self {
            values: values.clone(),
            label: self.label.clone(),
        }))
    }

    pub fn required<T>(&self, key: &str, found: Option<T>) -> Result<T> {
        found.ok_or_else(|| self.refused(&format!("'{key}' is missing")))
    }

    pub fn refused(&self, reason: &str) -> Error {
        Error::Format(format!("{}: {reason}", self.label))
    }

    fn typed<'a, T>(
        &'a self,
        key: &str,
        wanted: &str,
        convert: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>> {
        self.get(key)
            .map(|value| {
                convert(value)
                    .ok_or_else(|| self.refused(&format!("'{key}' is {value}, expected {wanted}")))
            })
            .transpose()
    }
}
