//! An export of personal data as one JSON document.

use serde::{
    Deserialize, Serialize, Serializer,
    ser::{Error, SerializeMap},
};
use serde_json::value::RawValue;

use crate::domain::export::{ExportRow, ExportValue};

/// A row of an export.
#[derive(Debug)]
pub struct ExportRowView(pub ExportRow);

impl Serialize for ExportRowView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            match value {
                ExportValue::Nothing => map.serialize_entry(name, &())?,
                ExportValue::Id(id) => map.serialize_entry(name, &id.to_string())?,
                ExportValue::Time(at) => map.serialize_entry(name, &at.to_string())?,
                ExportValue::Number(number) => map.serialize_entry(name, number)?,
                ExportValue::Flag(flag) => map.serialize_entry(name, flag)?,
                ExportValue::Text(text) => map.serialize_entry(name, text)?,
                ExportValue::Words(words) => {
                    map.serialize_entry(name, &words.split_whitespace().collect::<Vec<_>>())?;
                }
                ExportValue::Json(json) => {
                    map.serialize_entry(name, serde_json::from_str::<&RawValue>(json).map_err(S::Error::custom)?)?;
                }
            }
        }
        map.end()
    }
}

/// One row of an export as the command line gets it, or only the name of a section.
#[derive(Debug, Serialize, Deserialize)]
pub struct ExportItemView {
    /// The section.
    pub section: String,
    /// The row. `None` at the beginning of the section.
    pub row: Option<Box<RawValue>>,
}

/// Writes an export piece by piece: an object with a list of rows for each section.
#[derive(Debug, Default)]
pub struct ExportDocument {
    text: String,
    section: Option<String>,
    rows: usize,
    has_begun: bool,
}

impl ExportDocument {
    /// Begins a section, unless it is the present one.
    pub fn section(&mut self, name: &str) {
        if self.section.as_deref() == Some(name) {
            return;
        }
        self.text.push_str(if self.has_begun { "],\n\"" } else { "{\n\"" });
        self.has_begun = true;
        self.rows = 0;
        self.text.push_str(name);
        self.text.push_str("\":[");
        self.section = Some(name.to_owned());
    }

    /// Adds a row to the present section. `row` is JSON.
    pub fn row(&mut self, row: &str) {
        self.text.push_str(if self.rows == 0 { "\n" } else { ",\n" });
        self.text.push_str(row);
        self.rows += 1;
    }

    /// Ends the document.
    pub fn end(&mut self) {
        self.text.push_str(if self.has_begun { "]\n}\n" } else { "{}\n" });
    }

    /// Takes what was written since the last call.
    pub fn take(&mut self) -> String {
        std::mem::take(&mut self.text)
    }
}
