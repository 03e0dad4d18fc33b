//! The sources laid over each other as TOML values, with a note of where each value was written.
//!
//! An unknown name is refused as soon as it is met; types are judged once, after the merge, and the note then says whom
//! to blame. A value that a stronger source replaces is not judged.

use std::{collections::HashMap, fs, path::Path};

use serde::{Deserialize, de::DeserializeOwned};
use toml::{
    Spanned, Table, Value,
    de::{DeTable, DeValue, ValueDeserializer},
};

use super::error::{ConfigError, Origin};

/// How the variables begin that are settings.
pub(super) const VARIABLE_PREFIX: &str = "PATD__";

pub(super) struct Layers {
    /// The keys that exist, and the types by which text from outside is read.
    defaults: Table,
    merged: Table,
    /// By dotted key; what is missing is a default.
    origins: HashMap<String, Origin>,
}

impl Layers {
    /// Starts from the text of the defaults, which must hold every key.
    pub(super) fn over(defaults: &str) -> Result<Self, ConfigError> {
        let defaults: Table = toml::from_str(defaults).map_err(|error| ConfigError::Defect(error.to_string()))?;
        Ok(Self { merged: defaults.clone(), defaults, origins: HashMap::new() })
    }

    pub(super) fn add_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text = fs::read_to_string(path)
            .map_err(|problem| ConfigError::UnreadableFile { path: path.to_owned(), problem })?;
        let line_at = |offset| text.bytes().take(offset).filter(|b| *b == b'\n').count() + 1;
        let not_toml = |error: toml::de::Error, line| ConfigError::NotToml {
            path: path.to_owned(),
            line,
            problem: error.message().replace('\n', ", "),
        };
        let parsed = DeTable::parse(&text).map_err(|error| {
            let line = line_at(error.span().map_or(0, |span| span.start));
            not_toml(error, line)
        })?;
        for (section, content) in parsed.into_inner() {
            let origin = |name: &Spanned<_>| Origin::File { path: path.to_owned(), line: line_at(name.span().start) };
            let section_origin = origin(&section);
            let section = section.into_inner();
            if !self.defaults.contains_key(&*section) {
                let written = format!("{section} ({section_origin})");
                return Err(self.unknown(written, &section, "", dotted));
            }
            let content = match content.into_inner() {
                DeValue::Table(content) => content,
                other => {
                    return Err(ConfigError::Refused {
                        found: format!("of type {}", other.type_str()),
                        wanted: format!("a section, written [{section}]"),
                        key: section.into_owned(),
                        origin: section_origin,
                    });
                }
            };
            for (key, value) in content {
                let origin = origin(&key);
                let line = line_at(key.span().start);
                let value =
                    Value::deserialize(ValueDeserializer::from(value)).map_err(|error| not_toml(error, line))?;
                let key = key.into_inner();
                if self.default_of(&section, &key).is_none() {
                    let written = format!("{section}.{key} ({origin})");
                    return Err(self.unknown(written, &section, &key, dotted));
                }
                self.set(&section, &key, value, origin);
            }
        }
        Ok(())
    }

    pub(super) fn add_environment(&mut self, variables: &[(String, String)]) -> Result<(), ConfigError> {
        for (name, text) in variables {
            let Some(rest) = name.strip_prefix(VARIABLE_PREFIX) else {
                continue;
            };
            let (section, key) = rest.split_once("__").unwrap_or((rest, ""));
            if let Some((section, key)) = self.place(section, key) {
                self.set_text(&section, &key, text, Origin::Variable(name.clone()));
                continue;
            }
            let file_of = key.strip_suffix("_FILE");
            let Some((section, key)) = file_of.and_then(|key| self.place(section, key)) else {
                let (section, key) = (section.to_lowercase(), key.to_lowercase());
                return Err(self.unknown(name.clone(), &section, &key, variable));
            };
            let direct = variable(&section, &key);
            if variables.iter().any(|(other, _)| *other == direct) {
                return Err(ConfigError::SetTwice { variable: direct });
            }
            let content = fs::read_to_string(text).map_err(|problem| ConfigError::UnreadableValue {
                variable: name.clone(),
                path: text.into(),
                problem,
            })?;
            let line = content.strip_suffix('\n').unwrap_or(&content);
            let line = line.strip_suffix('\r').unwrap_or(line);
            self.set_text(&section, &key, line, Origin::VariableFile(name.clone()));
        }
        Ok(())
    }

    pub(super) fn add_flags(&mut self, flags: &[(&'static str, String)]) -> Result<(), ConfigError> {
        for (name, text) in flags {
            let (section, key) = name.split_once('.').unwrap_or((name, ""));
            if self.default_of(section, key).is_none() {
                let written = format!("{name} ({})", Origin::Flag);
                return Err(self.unknown(written, section, key, dotted));
            }
            self.set_text(section, key, text, Origin::Flag);
        }
        Ok(())
    }

    pub(super) fn deserialize<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        serde_path_to_error::deserialize(Value::Table(self.merged.clone())).map_err(|error| {
            let key = error.path().to_string();
            let wanted = error.inner().message();
            match self.value(&key) {
                // Otherwise a key is missing or one too many, and only the defaults can be to blame.
                Some(_) if key.contains('.') => self.refuse(&key, wanted),
                _ => ConfigError::Defect(format!("{key}: {wanted}")),
            }
        })
    }

    /// The error that the value of the dotted `key` is not what is `wanted`.
    pub(super) fn refuse(&self, key: &str, wanted: impl Into<String>) -> ConfigError {
        ConfigError::Refused {
            key: key.to_owned(),
            origin: self.origin(key).clone(),
            found: self.found(key),
            wanted: wanted.into(),
        }
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
            (Origin::VariableFile(_), _) => format!("of type {kind} (its value is not shown)"),
            (_, Value::Table(_)) => format!("of type {kind}"),
            // Debug keeps a text with line breaks on one line, which TOML's own form does not.
            (_, Value::String(text)) => format!("the {kind} {text:?}"),
            _ => format!("the {kind} {value}"),
        }
    }

    fn origin(&self, key: &str) -> &Origin {
        self.origins.get(key).unwrap_or(&Origin::Default)
    }

    fn value(&self, key: &str) -> Option<&Value> {
        key.split_once('.').and_then(|(section, key)| self.merged.get(section)?.get(key))
    }

    fn set(&mut self, section: &str, key: &str, value: Value, origin: Origin) {
        if let Some(Value::Table(content)) = self.merged.get_mut(section) {
            content.insert(key.to_owned(), value);
            self.origins.insert(dotted(section, key), origin);
        }
    }

    fn set_text(&mut self, section: &str, key: &str, text: &str, origin: Origin) {
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

    fn unknown(&self, written: String, section: &str, key: &str, spell: fn(&str, &str) -> String) -> ConfigError {
        let (nearest, known) = match self.defaults.get(section).and_then(Value::as_table) {
            Some(content) => (
                nearest(key, content).map(|key| spell(section, key)),
                format!("the keys of [{section}] are {}", names(content)),
            ),
            None => (
                nearest(section, &self.defaults).map(|section| spell(section, key)),
                format!("the sections are {}", names(&self.defaults)),
            ),
        };
        ConfigError::Unknown {
            written,
            hint: nearest.map_or_else(String::new, |name| format!(", perhaps {name} is meant")),
            known,
        }
    }
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

fn nearest<'k>(written: &str, known: &'k Table) -> Option<&'k str> {
    let fold = |name: &str| name.to_lowercase().replace(['_', '-'], "");
    known
        .keys()
        .map(|name| (edits(&fold(written), &fold(name)), name.as_str()))
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
