//! Merges the sources of settings as TOML values, and remembers the source of each value.
//!
//! Unknown names are found while a source is added. Types are checked once, after the merge, so a value that a stronger
//! source replaces is not checked. All errors are collected and reported together.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::Path,
};

use serde::{Deserialize, de::DeserializeOwned};
use toml::{
    Spanned, Table, Value,
    de::{DeString, DeTable, DeValue, ValueDeserializer},
};

use super::{
    error::{ConfigError, ConfigErrors, SettingSource},
    file::File,
    policies,
    spelling::{hint, nearest},
};
use crate::domain::policy::Policy;

/// The prefix of environment variables that are settings.
pub(super) const VARIABLE_PREFIX: &str = "PATD__";

/// The dotted keys whose values may contain a password. Messages never show them.
const HIDDEN: [&str; 1] = ["database.url"];

pub(super) struct Layers {
    /// Every key with its default. The type of the default says how text from the environment is parsed.
    defaults: Table,
    merged: Table,
    /// The source of each value by dotted key, unless it is the default.
    sources: HashMap<String, SettingSource>,
    policies: Vec<Policy>,
    errors: Vec<ConfigError>,
    /// The dotted keys whose values are among the errors.
    refused: HashSet<String>,
}

impl Layers {
    /// Starts with the defaults, which must have every key.
    pub(super) fn new(defaults: &str) -> Result<Self, ConfigError> {
        let defaults: Table = toml::from_str(defaults).map_err(|error| ConfigError::Defect(error.to_string()))?;
        Ok(Self {
            merged: defaults.clone(),
            defaults,
            sources: HashMap::new(),
            policies: Vec::new(),
            errors: Vec::new(),
            refused: HashSet::new(),
        })
    }

    /// Fails only if the file cannot be read or is not TOML. Other errors are collected.
    pub(super) fn add_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text = fs::read_to_string(path)
            .map_err(|problem| ConfigError::UnreadableFile { path: path.to_owned(), problem })?;
        self.add_text(path, &text)
    }

    /// Adds the content of a file.
    pub(super) fn add_text(&mut self, path: &Path, text: &str) -> Result<(), ConfigError> {
        let file = File { path, text };
        let parsed =
            DeTable::parse(text).map_err(|error| file.not_toml(&error, error.span().map_or(0, |span| span.start)))?;
        for (section, content) in in_order(parsed.into_inner()) {
            let set_in = file.source_at(section.span().start);
            let section = section.into_inner();
            if section == policies::KEY {
                self.policies = policies::read(&content, &file, &mut self.errors);
                continue;
            }
            if !self.defaults.contains_key(&*section) {
                self.add_unknown(format!("{section} ({set_in})"), &section, "", dotted);
                continue;
            }
            match content.into_inner() {
                DeValue::Table(content) => self.add_section(&file, &section, content),
                other => self.errors.push(ConfigError::Refused {
                    found: format!("of type {}", other.type_str()),
                    wanted: format!("a section, written [{section}]"),
                    key: section.into_owned(),
                    set_in,
                }),
            }
        }
        Ok(())
    }

    fn add_section(&mut self, file: &File<'_>, section: &str, content: DeTable<'_>) {
        for (key, value) in in_order(content) {
            let at = key.span().start;
            let key = key.into_inner();
            if self.default_of(section, &key).is_none() {
                self.add_unknown(format!("{section}.{key} ({})", file.source_at(at)), section, &key, dotted);
                continue;
            }
            match Value::deserialize(ValueDeserializer::from(value)) {
                Ok(value) => self.set(section, &key, value, file.source_at(at)),
                Err(error) => self.errors.push(file.not_toml(&error, at)),
            }
        }
    }

    pub(super) fn add_environment(&mut self, variables: &[(String, String)]) {
        for (name, text) in variables {
            let Some(path) = name.strip_prefix(VARIABLE_PREFIX) else {
                continue;
            };
            let (section, key) = path.split_once("__").unwrap_or((path, ""));
            if let Some((section, key)) = self.setting_named(section, key) {
                self.set_text(&section, &key, text, SettingSource::Variable(name.clone()));
                continue;
            }
            let file_of = key.strip_suffix("_FILE");
            let Some((section, key)) = file_of.and_then(|key| self.setting_named(section, key)) else {
                let (section, key) = (section.to_lowercase(), key.to_lowercase());
                self.add_unknown(name.clone(), &section, &key, variable);
                continue;
            };
            let direct = variable(&section, &key);
            if variables.iter().any(|(other, _)| *other == direct) {
                self.errors.push(ConfigError::SetTwice { variable: direct });
                continue;
            }
            match fs::read_to_string(text) {
                Ok(content) => {
                    let line = content.strip_suffix('\n').unwrap_or(&content);
                    let line = line.strip_suffix('\r').unwrap_or(line);
                    self.set_text(&section, &key, line, SettingSource::VariableFile(name.clone()));
                }
                Err(problem) => {
                    let (variable, path) = (name.clone(), text.into());
                    self.errors.push(ConfigError::UnreadableValue { variable, path, problem });
                }
            }
        }
    }

    pub(super) fn add_flags(&mut self, flags: &[(&'static str, String)]) {
        for (name, text) in flags {
            let (section, key) = name.split_once('.').unwrap_or((name, ""));
            if self.default_of(section, key).is_none() {
                self.add_unknown(format!("{name} ({})", SettingSource::Flag), section, key, dotted);
                continue;
            }
            self.set_text(section, key, text, SettingSource::Flag);
        }
    }

    /// Converts the merged values to `T`. A value of the wrong type is an error; its default replaces it, so that the other
    /// values can still be checked.
    pub(super) fn deserialize<T: DeserializeOwned>(&mut self) -> Result<T, ConfigError> {
        loop {
            let error = match serde_path_to_error::deserialize(Value::Table(self.merged.clone())) {
                Ok(settings) => return Ok(settings),
                Err(error) => error,
            };
            let (key, wanted) = (error.path().to_string(), error.inner().message().to_owned());
            // An unknown or missing key at this point is a defect of the defaults.
            let default = key.split_once('.').and_then(|(section, key)| self.default_of(section, key)).cloned();
            let Some(default) = default.filter(|_| !self.is_refused(&key)) else {
                return Err(ConfigError::Defect(format!("{key}: {wanted}")));
            };
            self.refuse(&key, wanted);
            if let Some(value) = self.value_mut(&key) {
                *value = default;
            }
        }
    }

    /// The policies of the file, or all errors.
    pub(super) fn finish(self) -> Result<Vec<Policy>, ConfigErrors> {
        if self.errors.is_empty() { Ok(self.policies) } else { Err(ConfigErrors(self.errors)) }
    }

    /// Adds the error that the value of the dotted `key` must be `wanted`.
    pub(super) fn refuse(&mut self, key: &str, wanted: impl Into<String>) {
        self.errors.push(ConfigError::Refused {
            key: key.to_owned(),
            set_in: self.source(key).clone(),
            found: self.found(key),
            wanted: wanted.into(),
        });
        self.refused.insert(key.to_owned());
    }

    /// Whether the value of the dotted `key` already has an error, so that other values cannot be compared with it.
    pub(super) fn is_refused(&self, key: &str) -> bool {
        self.refused.contains(key)
    }

    /// The key, source and value of a setting, for the error of another one that is compared with it.
    pub(super) fn describe(&self, key: &str) -> String {
        format!("{key} ({}), which is {}", self.source(key), self.found(key))
    }

    /// Whether any source sets the value of the dotted `key`.
    pub(super) fn is_set(&self, key: &str) -> bool {
        self.sources.contains_key(key)
    }

    fn found(&self, key: &str) -> String {
        let Some(value) = self.value(key) else {
            return "missing".to_owned();
        };
        let kind = value.type_str();
        match (self.source(key), value) {
            _ if HIDDEN.contains(&key) => format!("of type {kind} (its value is not shown)"),
            (SettingSource::VariableFile(_), _) => format!("of type {kind} (its value is not shown)"),
            (_, Value::Table(_)) => format!("of type {kind}"),
            // The debug format keeps a text with line breaks on one line; the format of TOML does not.
            (_, Value::String(text)) => format!("the {kind} {text:?}"),
            _ => format!("the {kind} {value}"),
        }
    }

    fn source(&self, key: &str) -> &SettingSource {
        self.sources.get(key).unwrap_or(&SettingSource::Default)
    }

    fn value(&self, key: &str) -> Option<&Value> {
        key.split_once('.').and_then(|(section, key)| self.merged.get(section)?.get(key))
    }

    fn value_mut(&mut self, key: &str) -> Option<&mut Value> {
        key.split_once('.').and_then(|(section, key)| self.merged.get_mut(section)?.get_mut(key))
    }

    fn set(&mut self, section: &str, key: &str, value: Value, source: SettingSource) {
        if let Some(Value::Table(content)) = self.merged.get_mut(section) {
            content.insert(key.to_owned(), value);
            self.sources.insert(dotted(section, key), source);
        }
    }

    fn set_text(&mut self, section: &str, key: &str, text: &str, source: SettingSource) {
        let value = from_text(text, self.default_of(section, key));
        self.set(section, key, value, source);
    }

    fn default_of(&self, section: &str, key: &str) -> Option<&Value> {
        self.defaults.get(section)?.get(key)
    }

    /// The section and key that a variable names, in upper case, if there is such a setting.
    fn setting_named(&self, section: &str, key: &str) -> Option<(String, String)> {
        let setting = (section.to_lowercase(), key.to_lowercase());
        let is_upper_case = setting.0.to_uppercase() == section && setting.1.to_uppercase() == key;
        (is_upper_case && self.default_of(&setting.0, &setting.1).is_some()).then_some(setting)
    }

    fn add_unknown(&mut self, written: String, section: &str, key: &str, spell: fn(&str, &str) -> String) {
        let (nearest, known) = match self.defaults.get(section).and_then(Value::as_table) {
            Some(content) => (
                nearest(key, content.keys()).map(|key| spell(section, key)),
                format!("the keys of [{section}] are {}", names(content)),
            ),
            None => (
                nearest(section, self.defaults.keys()).map(|section| spell(section, key)),
                format!("the sections are {}", names(&self.defaults)),
            ),
        };
        self.errors.push(ConfigError::Unknown { written, hint: hint(nearest), known });
    }
}

/// The entries of a table in the order of the file, so that errors are reported in that order.
fn in_order<'i>(table: DeTable<'i>) -> Vec<(Spanned<DeString<'i>>, Spanned<DeValue<'i>>)> {
    let mut entries: Vec<_> = table.into_iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

fn dotted(section: &str, key: &str) -> String {
    match key {
        "" => section.to_owned(),
        _ => format!("{section}.{key}"),
    }
}

fn variable(section: &str, key: &str) -> String {
    format!("{VARIABLE_PREFIX}{section}__{key}").to_uppercase()
}

/// Parses `text` as the type of `default`. If that fails, it stays a string, which is then refused as a wrong type.
fn from_text(text: &str, default: Option<&Value>) -> Value {
    let value = match default {
        Some(Value::Integer(_)) => text.trim().parse().ok().map(Value::Integer),
        Some(Value::Boolean(_)) => text.trim().parse().ok().map(Value::Boolean),
        Some(Value::Array(_)) if text.trim_start().starts_with('[') => text.trim().parse().ok(),
        Some(Value::Array(_)) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Some(Value::Array(items.map(Value::from).collect()))
        }
        _ => None,
    };
    value.unwrap_or_else(|| text.into())
}

fn names(table: &Table) -> String {
    table.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}
