//! Reads TOML values of the configuration file one by one, and collects an error with its line for each that is wrong.

use std::fmt::Display;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    error::ConfigError,
    file::File,
    spelling::{hint, nearest},
};

/// A value with its position in the text.
pub(super) type Item<'v, 'i> = &'v Spanned<DeValue<'i>>;

/// Continues after each error. `path` arguments are the path of a value, such as `policies[0].rules[1]`.
pub(super) struct Reader<'f> {
    pub(super) file: &'f File<'f>,
    pub(super) errors: &'f mut Vec<ConfigError>,
}

impl Reader<'_> {
    /// The fields of a table that may have the keys `known`.
    pub(super) fn fields<'v, 'i>(
        &mut self,
        path: &str,
        value: Item<'v, 'i>,
        known: &[&str],
    ) -> Option<&'v DeTable<'i>> {
        let all = known.join(", ");
        let fields = self.checked(path, value, &format!("a table of {all}"), DeValue::as_table)?;
        self.expect_known(&format!("{path}."), fields, known);
        Some(fields)
    }

    /// Adds an error for each key that is not among `known`. `prefix` is written before the key.
    pub(super) fn expect_known(&mut self, prefix: &str, fields: &DeTable<'_>, known: &[&str]) {
        for key in fields.keys().filter(|key| !known.contains(&&**key.get_ref())) {
            let set_in = self.file.source_at(key.span().start);
            let nearest = nearest(key.get_ref(), known.iter().copied());
            self.errors.push(ConfigError::Unknown {
                written: format!("{prefix}{} ({set_in})", key.get_ref()),
                hint: hint(nearest),
                known: format!("the keys here are {}", known.join(", ")),
            });
        }
    }

    /// The value of a key that must be there.
    pub(super) fn required<'v, 'i>(
        &mut self,
        path: &str,
        table: Item<'_, '_>,
        fields: &'v DeTable<'i>,
        key: &str,
        wanted: &str,
    ) -> Option<Item<'v, 'i>> {
        let value = fields.get(key);
        if value.is_none() {
            self.add_error(format!("{path}.{key}"), table, "missing".to_owned(), wanted);
        }
        value
    }

    /// The items of an array, each with its path.
    pub(super) fn items<'v, 'i>(
        &mut self,
        path: &str,
        value: Item<'v, 'i>,
        wanted: &str,
    ) -> Vec<(String, Item<'v, 'i>)> {
        let items = self.checked(path, value, &format!("an array of {wanted}"), DeValue::as_array);
        items.into_iter().flatten().enumerate().map(|(at, item)| (format!("{path}[{at}]"), item)).collect()
    }

    /// A list of strings, or `None` if there is none. Strings that `parse` rejects are left out.
    pub(super) fn list<T>(
        &mut self,
        path: &str,
        fields: &DeTable<'_>,
        key: &str,
        wanted: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<Vec<T>> {
        let items = self.items(&format!("{path}.{key}"), fields.get(key)?, "strings");
        let read = |(path, item): (String, Item<'_, '_>)| {
            self.checked(&path, item, wanted, |value| value.as_str().and_then(&parse))
        };
        Some(items.into_iter().filter_map(read).collect())
    }

    /// The value as `read` converts it. If that fails, adds an error.
    pub(super) fn checked<'v, 'i, T>(
        &mut self,
        path: &str,
        value: Item<'v, 'i>,
        wanted: &str,
        read: impl FnOnce(&'v DeValue<'i>) -> Option<T>,
    ) -> Option<T> {
        let read = read(value.get_ref());
        if read.is_none() {
            self.refuse(path, value, wanted);
        }
        read
    }

    /// Adds the error that the value must be `wanted`.
    pub(super) fn refuse(&mut self, path: &str, value: Item<'_, '_>, wanted: &str) {
        let found = match value.get_ref() {
            DeValue::String(text) => format!("the string {text:?}"),
            DeValue::Boolean(switch) => switch.to_string(),
            DeValue::Array(items) if items.is_empty() => "empty".to_owned(),
            other => format!("of type {}", other.type_str()),
        };
        self.add_error(path.to_owned(), value, found, wanted);
    }

    /// The text as `parse` reads it. Its errors read on from the name of a field, and no message shows the text.
    pub(super) fn parsed<T, E: Display>(
        &mut self,
        path: &str,
        value: Item<'_, '_>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.checked(path, value, "a string", DeValue::as_str)?;
        match parse(text) {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                let set_in = self.file.source_at(value.span().start);
                self.errors.push(ConfigError::Unusable(format!("{path} ({set_in}) {error}")));
                None
            }
        }
    }

    fn add_error(&mut self, key: String, at: Item<'_, '_>, found: String, wanted: &str) {
        let set_in = self.file.source_at(at.span().start);
        self.errors.push(ConfigError::Refused { key, set_in, found, wanted: wanted.to_owned() });
    }
}
