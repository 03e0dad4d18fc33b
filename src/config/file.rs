//! The text of a configuration file, and the line of each byte in it.

use std::path::Path;

use super::error::{ConfigError, SettingSource};

pub(super) struct File<'t> {
    pub(super) path: &'t Path,
    pub(super) text: &'t str,
}

impl File<'_> {
    /// The source of a setting that stands at this byte of the text.
    pub(super) fn source_at(&self, offset: usize) -> SettingSource {
        SettingSource::File { path: self.path.to_owned(), line: self.line(offset) }
    }

    /// The error for a text that is not TOML at this byte.
    pub(super) fn not_toml(&self, error: &toml::de::Error, offset: usize) -> ConfigError {
        let problem = error.message().replace('\n', ", ");
        ConfigError::NotToml { path: self.path.to_owned(), line: self.line(offset), problem }
    }

    fn line(&self, offset: usize) -> usize {
        self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
    }
}
