//! The sources laid over each other as TOML values, with a note of where each value was written.
//!
//! An unknown name is noted as soon as it is met; types are judged once, after the merge, and the note then says whom
//! to blame. A value that a stronger source replaces is not judged. Every mistake is kept, so that all are told at once.

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
    error::{ConfigError, Mistakes, SettingSource},
    policies,
};
use crate::domain::policy::Policy;

/// How the variables begin that are settings.
pub(super) const VARIABLE_PREFIX: &str = "PATD__";

pub(super) struct Layers {
    /// The keys that exist, and the types by which text from outside is read.
    defaults: Table,
    merged: Table,
    /// By dotted key; what is missing is a default.
    origins: HashMap<String, SettingSource>,
    policies: Vec<Policy>,
    mistakes: Vec<ConfigError>,
    /// The dotted keys whose values are among the mistakes.
    refused: HashSet<String>,
}

/// The text of a configuration file.
pub(super) struct File<'t> {
    pub(super) path: &'t Path,
    pub(super) text: &'t str,
}

impl File<'_> {
    /// The line in which that byte of the text stands.
    pub(super) fn origin(&self, offset: usize) -> SettingSource {
        SettingSource::File { path: self.path.to_owned(), line: self.line(offset) }
    }

    fn line(&self, offset: usize) -> usize {
        self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
    }

    fn not_toml(&self, error: &toml::de::Error, offset: usize) -> ConfigError {
        let problem = error.message().replace('\n', ", ");
        ConfigError::NotToml { path: self.path.to_owned(), line: self.line(offset), problem }
    }
}

impl Layers {
    /// Starts from the text of the defaults, which must hold every key.
    pub(super) fn over(defaults: &str) -> Result<Self, ConfigError> {
        let defaults: Table = toml::from_str(defaults).map_err(|error| ConfigError::Defect(error.to_string()))?;
        Ok(Self {
            merged: defaults.clone(),
            defaults,
            origins: HashMap::new(),
            policies: Vec::new(),
            mistakes: Vec::new(),
            refused: HashSet::new(),
        })
    }

    /// Fails only where the file cannot be read, or is not TOML so that nothing in it can be told from anything else.
    pub(super) fn add_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text = fs::read_to_string(path)
            .map_err(|problem| ConfigError::UnreadableFile { path: path.to_owned(), problem })?;
        let file = File { path, text: &text };
        let parsed =
            DeTable::parse(&text).map_err(|error| file.not_toml(&error, error.span().map_or(0, |span| span.start)))?;
        for (section, content) in in_order(parsed.into_inner()) {
            let origin = file.origin(section.span().start);
            let section = section.into_inner();
            if section == policies::KEY {
                self.policies = policies::read(&content, &file, &mut self.mistakes);
                continue;
            }
            if !self.defaults.contains_key(&*section) {
                self.note_unknown(format!("{section} ({origin})"), &section, "", dotted);
                continue;
            }
            match content.into_inner() {
                DeValue::Table(content) => self.add_section(&file, &section, content),
                other => self.mistakes.push(ConfigError::Refused {
                    found: format!("of type {}", other.type_str()),
                    wanted: format!("a section, written [{section}]"),
                    key: section.into_owned(),
                    origin,
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
                self.note_unknown(format!("{section}.{key} ({})", file.origin(at)), section, &key, dotted);
                continue;
            }
            match Value::deserialize(ValueDeserializer::from(value)) {
                Ok(value) => self.set(section, &key, value, file.origin(at)),
                Err(error) => self.mistakes.push(file.not_toml(&error, at)),
            }
        }
    }

    pub(super) fn add_environment(&mut self, variables: &[(String, String)]) {
        for (name, text) in variables {
            let Some(rest) = name.strip_prefix(VARIABLE_PREFIX) else {
                continue;
            };
            let (section, key) = rest.split_once("__").unwrap_or((rest, ""));
            if let Some((section, key)) = self.place(section, key) {
                self.set_text(&section, &key, text, SettingSource::Variable(name.clone()));
                continue;
            }
            let file_of = key.strip_suffix("_FILE");
            let Some((section, key)) = file_of.and_then(|key| self.place(section, key)) else {
                let (section, key) = (section.to_lowercase(), key.to_lowercase());
                self.note_unknown(name.clone(), &section, &key, variable);
                continue;
            };
            let direct = variable(&section, &key);
            if variables.iter().any(|(other, _)| *other == direct) {
                self.mistakes.push(ConfigError::SetTwice { variable: direct });
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
                    self.mistakes.push(ConfigError::UnreadableValue { variable, path, problem });
                }
            }
        }
    }

    pub(super) fn add_flags(&mut self, flags: &[(&'static str, String)]) {
        for (name, text) in flags {
            let (section, key) = name.split_once('.').unwrap_or((name, ""));
            if self.default_of(section, key).is_none() {
                self.note_unknown(format!("{name} ({})", SettingSource::Flag), section, key, dotted);
                continue;
            }
            self.set_text(section, key, text, SettingSource::Flag);
        }
    }

    /// Reads the whole. A value of another type than its setting's is noted, and its default stands in for it.
    pub(super) fn deserialize<T: DeserializeOwned>(&mut self) -> Result<T, ConfigError> {
        loop {
            let error = match serde_path_to_error::deserialize(Value::Table(self.merged.clone())) {
                Ok(whole) => return Ok(whole),
                Err(error) => error,
            };
            let (key, wanted) = (error.path().to_string(), error.inner().message().to_owned());
            // Otherwise a key is missing or one too many, and only the defaults can be to blame.
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

    /// The policies of the file, or all that is wrong.
    pub(super) fn finish(self) -> Result<Vec<Policy>, Mistakes> {
        if self.mistakes.is_empty() { Ok(self.policies) } else { Err(Mistakes(self.mistakes)) }
    }

    /// Notes that the value of the dotted `key` is not what is `wanted`.
    pub(super) fn refuse(&mut self, key: &str, wanted: impl Into<String>) {
        self.mistakes.push(ConfigError::Refused {
            key: key.to_owned(),
            origin: self.origin(key).clone(),
            found: self.found(key),
            wanted: wanted.into(),
        });
        self.refused.insert(key.to_owned());
    }

    /// Whether it is noted already that the value of the dotted `key` is wrong, so that nothing can be measured by it.
    pub(super) fn is_refused(&self, key: &str) -> bool {
        self.refused.contains(key)
    }

    /// A setting that another one is measured by: its key, source and value, for a sentence.
    pub(super) fn describe(&self, key: &str) -> String {
        format!("{key} ({}), which is {}", self.origin(key), self.found(key))
    }

    fn found(&self, key: &str) -> String {
        let Some(value) = self.value(key) else {
            return "missing".to_owned();
        };
        let kind = value.type_str();
        match (self.origin(key), value) {
            (SettingSource::VariableFile(_), _) => format!("of type {kind} (its value is not shown)"),
            (_, Value::Table(_)) => format!("of type {kind}"),
            // Debug keeps a text with line breaks on one line, which TOML's own form does not.
            (_, Value::String(text)) => format!("the {kind} {text:?}"),
            _ => format!("the {kind} {value}"),
        }
    }

    fn origin(&self, key: &str) -> &SettingSource {
        self.origins.get(key).unwrap_or(&SettingSource::Default)
    }

    fn value(&self, key: &str) -> Option<&Value> {
        key.split_once('.').and_then(|(section, key)| self.merged.get(section)?.get(key))
    }

    fn value_mut(&mut self, key: &str) -> Option<&mut Value> {
        key.split_once('.').and_then(|(section, key)| self.merged.get_mut(section)?.get_mut(key))
    }

    fn set(&mut self, section: &str, key: &str, value: Value, origin: SettingSource) {
        if let Some(Value::Table(content)) = self.merged.get_mut(section) {
            content.insert(key.to_owned(), value);
            self.origins.insert(dotted(section, key), origin);
        }
    }

    fn set_text(&mut self, section: &str, key: &str, text: &str, origin: SettingSource) {
        let value = from_text(text, self.default_of(section, key));
        self.set(section, key, value, origin);
    }

    fn default_of(&self, section: &str, key: &str) -> Option<&Value> {
        self.defaults.get(section)?.get(key)
    }

    /// The section and key that a variable names in upper case.
    fn place(&self, section: &str, key: &str) -> Option<(String, String)> {
        let place = (section.to_lowercase(), key.to_lowercase());
        let upper = place.0.to_uppercase() == section && place.1.to_uppercase() == key;
        (upper && self.default_of(&place.0, &place.1).is_some()).then_some(place)
    }

    fn note_unknown(&mut self, written: String, section: &str, key: &str, spell: fn(&str, &str) -> String) {
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
        self.mistakes.push(ConfigError::Unknown { written, hint: hint(nearest), known });
    }
}

/// The entries of a table as they stand in the file, so that mistakes are told from its top to its end.
pub(super) fn in_order<'i>(table: DeTable<'i>) -> Vec<(Spanned<DeString<'i>>, Spanned<DeValue<'i>>)> {
    let mut entries: Vec<_> = table.into_iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

/// What may have been meant.
pub(super) fn hint(name: Option<impl std::fmt::Display>) -> String {
    name.map_or_else(String::new, |name| format!(", perhaps {name} is meant"))
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

/// Reads `text` as the type of `default`. What cannot be read stays a string, which its reader then refuses by name.
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

/// The known name that is spelt nearly as `written`.
pub(super) fn nearest<N: AsRef<str> + Ord>(written: &str, known: impl IntoIterator<Item = N>) -> Option<N> {
    let fold = |name: &str| name.to_lowercase().replace(['_', '-'], "");
    known
        .into_iter()
        .map(|name| (edits(&fold(written), &fold(name.as_ref())), name))
        .min()
        .filter(|(edits, _)| *edits <= 2)
        .map(|(_, name)| name)
}

/// Levenshtein's distance, in characters.
pub(super) fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, left) in from.chars().zip(1..) {
        let mut diagonal = std::mem::replace(&mut row[0], left);
        for (at, letter) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(*letter != above);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[to.len()]
}
