//! The fields of a JSON body: checks them and collects all mistakes.
//!
//! Unknown fields are errors. If a misspelt field were ignored, its default would apply: "abilites" would be full
//! access.

use std::fmt;

use serde_json::{Map, Value};

use super::strict_json;
use crate::{
    http::error::ApiError,
    ops::{self, FieldError},
};

/// The fields of a body that are not read yet, and the mistakes that were found so far.
pub(crate) struct Form {
    fields: Map<String, Value>,
    known: &'static [&'static str],
    /// The prefix of the field names, if this form is an item of another: `tokens.0.`.
    prefix: String,
    errors: Vec<FieldError>,
}

impl Form {
    /// Parses a JSON object with the fields `known`.
    pub(crate) fn parse(bytes: &[u8], known: &'static [&'static str]) -> Result<Self, ApiError> {
        match strict_json::parse(bytes)? {
            Value::Object(fields) => Ok(Self::of(fields, known)),
            _ => Err(ApiError::Malformed("The body must be a JSON object.".to_owned())),
        }
    }

    /// These fields, of which `known` are known.
    pub(crate) const fn of(fields: Map<String, Value>, known: &'static [&'static str]) -> Self {
        Self { fields, known, prefix: String::new(), errors: Vec::new() }
    }

    /// The fields that are not read yet.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }

    /// Whether the field is an empty list.
    pub(crate) fn is_empty_list(&self, field: &str) -> bool {
        self.fields.get(field).is_some_and(|value| value.as_array().is_some_and(Vec::is_empty))
    }

    /// Whether the field is null.
    pub(crate) fn is_null(&self, field: &str) -> bool {
        self.fields.get(field).is_some_and(Value::is_null)
    }

    /// Whether the field was sent, even as null.
    pub(crate) fn has(&self, field: &str) -> bool {
        self.fields.contains_key(field)
    }

    /// Refuses null for a field that restricts something. Otherwise a client that left a variable unset by mistake would
    /// get more than it wants. `remedy` is a whole sentence.
    pub(crate) fn refuse_null(&mut self, field: &str, remedy: &str) {
        if self.is_null(field) {
            self.fields.remove(field);
            self.refuse(field, format!("must not be null. {remedy}"));
        }
    }

    /// Refuses fields that are parameters of the query on this route, and says so.
    pub(super) fn refuse_parameters(&mut self, parameters: &[&str]) {
        for name in parameters {
            if self.fields.remove(*name).is_some() {
                self.refuse(name, format!("must not be in the body. Send it as a query parameter: ?{name}=VALUE."));
            }
        }
    }

    /// A required string. `None` means that there is a mistake.
    pub(crate) fn required<T, E: fmt::Display>(
        &mut self,
        field: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let missing = self.fields.get(field).is_none_or(Value::is_null);
        if missing {
            self.fields.remove(field);
            self.refuse(field, "is required.");
            return None;
        }
        self.optional(field, parse)
    }

    /// A string that may be missing or null.
    pub(crate) fn optional<T, E: fmt::Display>(
        &mut self,
        field: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match self.fields.remove(field)? {
            Value::Null => None,
            Value::String(text) => self.checked(field, parse(&text)),
            _ => self.checked::<T, _>(field, Err("must be a string.")),
        }
    }

    /// A whole number within `range` that may be missing or null.
    pub(crate) fn optional_number(&mut self, field: &str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let value = self.fields.remove(field).filter(|value| !value.is_null())?;
        let (min, max) = (range.start(), range.end());
        let number = value.as_u64().filter(|number| range.contains(number));
        self.checked(field, number.ok_or_else(|| format!("must be a whole number from {min} to {max}.")))
    }

    /// A boolean that may be missing or null.
    pub(crate) fn optional_bool(&mut self, field: &str) -> Option<bool> {
        let value = self.fields.remove(field).filter(|value| !value.is_null())?;
        self.checked(field, value.as_bool().ok_or("must be true or false."))
    }

    /// A list of strings that may be missing or null. The error of an invalid item names its place: `abilities.0`.
    pub(crate) fn optional_list<T, E: fmt::Display>(
        &mut self,
        field: &str,
        max: usize,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        let items = match self.fields.remove(field)? {
            Value::Null => return None,
            Value::Array(items) if items.len() <= max => items,
            Value::Array(_) => {
                return self.checked(field, Err(format!("must not have more than {max} items.")));
            }
            _ => return self.checked(field, Err("must be an array.")),
        };
        let mut list = Vec::with_capacity(items.len());
        for (at, item) in items.iter().enumerate() {
            let field = format!("{field}.{at}");
            let parsed = match item {
                Value::String(text) => self.checked(&field, parse(text)),
                _ => self.checked(&field, Err("must be a string.")),
            };
            list.extend(parsed);
        }
        Some(list)
    }

    /// An object of strings with at most `max` keys that may be missing or null: its keys and values. `keys` is the word for
    /// its keys.
    pub(crate) fn optional_texts(&mut self, field: &str, max: usize, keys: &str) -> Option<Vec<(String, String)>> {
        let pairs = match self.fields.remove(field)? {
            Value::Null => return None,
            Value::Object(pairs) if pairs.len() <= max => pairs,
            Value::Object(_) => return self.checked(field, Err(format!("must not have more than {max} {keys}."))),
            _ => return self.checked(field, Err("must be an object of strings.")),
        };
        let mut texts = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            match value {
                Value::String(text) => texts.push((key, text)),
                _ => self.refuse(&format!("{field}.{key}"), "must be a string."),
            }
        }
        Some(texts)
    }

    /// A required list of strings.
    pub(crate) fn required_list<T, E: fmt::Display>(
        &mut self,
        field: &str,
        max: usize,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        if self.fields.get(field).is_none_or(Value::is_null) {
            self.fields.remove(field);
            self.refuse(field, "is required.");
            return None;
        }
        self.optional_list(field, max, parse)
    }

    /// How many fields were sent and are not null.
    pub(crate) fn count_given(&self) -> usize {
        self.fields.values().filter(|value| !value.is_null()).count()
    }

    /// A field that may be `true`, missing or null.
    pub(crate) fn optional_true(&mut self, field: &str) -> Option<()> {
        match self.fields.remove(field)? {
            Value::Null => None,
            Value::Bool(true) => Some(()),
            _ => self.checked(field, Err("must be true.")),
        }
    }

    /// A field that is `true` or a list of strings, or missing. `Some(None)` means `true`.
    pub(crate) fn optional_true_or_list<T, E: fmt::Display>(
        &mut self,
        field: &str,
        max: usize,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Option<Vec<T>>> {
        match self.fields.get(field)? {
            Value::Array(_) => return self.optional_list(field, max, parse).map(Some),
            Value::Bool(true) => {}
            _ => self.refuse(field, "must be true or an array."),
        }
        self.fields.remove(field);
        Some(None)
    }

    /// A required list of objects with the fields `known`. `read` makes a value of each. Errors name the place of a
    /// field: `tokens.0.token`.
    pub(crate) fn required_forms<T>(
        &mut self,
        field: &str,
        max: usize,
        known: &'static [&'static str],
        read: impl Fn(&mut Form) -> Option<T>,
    ) -> Option<Vec<T>> {
        let items = match self.fields.remove(field) {
            Some(Value::Array(items)) if items.len() <= max => items,
            Some(Value::Array(_)) => return self.checked(field, Err(format!("must not have more than {max} items."))),
            None | Some(Value::Null) => return self.checked(field, Err("is required.")),
            Some(_) => return self.checked(field, Err("must be an array.")),
        };
        let mut values = Vec::with_capacity(items.len());
        for (at, item) in items.into_iter().enumerate() {
            let Value::Object(fields) = item else {
                self.refuse(&format!("{field}.{at}"), "must be an object.");
                continue;
            };
            let prefix = format!("{}{field}.{at}.", self.prefix);
            let mut form = Form { fields, known, prefix, errors: Vec::new() };
            values.extend(read(&mut form));
            form.refuse_unknown();
            self.errors.append(&mut form.errors);
        }
        Some(values)
    }

    /// Adds an error of `field`. `predicate` continues the sentence "The FIELD field".
    pub(crate) fn refuse(&mut self, field: &str, predicate: impl fmt::Display) {
        self.errors.push(FieldError::new(format!("{}{field}", self.prefix), predicate));
    }

    /// Returns `required` if there is no mistake. Fields that were not read are unknown, and so mistakes.
    pub(crate) fn finish<T>(mut self, required: Option<T>) -> Result<T, ApiError> {
        self.refuse_unknown();
        match required {
            Some(value) if self.errors.is_empty() => Ok(value),
            _ => Err(ops::Error::Invalid(self.errors).into()),
        }
    }

    fn refuse_unknown(&mut self) {
        if self.fields.is_empty() {
            return;
        }
        let known = match self.known {
            [] => "There are no fields here.".to_owned(),
            known => format!("The fields here are: {}.", known.join(", ")),
        };
        for (field, _) in std::mem::take(&mut self.fields) {
            self.refuse(&field, format!("is unknown. {known}"));
        }
    }

    fn checked<T, E: fmt::Display>(&mut self, field: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.refuse(field, error)).ok()
    }
}
