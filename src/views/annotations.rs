//! The annotations of a token.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::annotations::Annotations;

/// The description and the metadata of a token. What it does not have is omitted.
#[derive(Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AnnotationsView {
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<String, String>,
}

impl AnnotationsView {
    /// The annotations, if there are any.
    pub fn new(annotations: Option<&Annotations>) -> Self {
        let Some(Annotations { description, metadata }) = annotations else { return Self::default() };
        Self {
            description: description.as_ref().map(ToString::to_string),
            metadata: metadata.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        }
    }
}
