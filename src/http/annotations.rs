//! The fields and the query parameters for the annotations of a token.

use super::{
    error::ApiError,
    input::{form::Form, query_pairs::QueryPairs},
};
use crate::{
    domain::annotations::{Annotations, Description, Metadata},
    ops::FieldError,
};

/// Reads the annotations of a new token.
pub(super) fn read(form: &mut Form) -> Annotations {
    let description = form.optional("description", Description::parse_optional).flatten();
    Annotations { description, metadata: metadata(form).unwrap_or_default() }
}

/// The field `description` of a change. `None` if it was not sent, `Some(None)` if it is null or empty.
pub(super) fn new_description(form: &mut Form) -> Option<Option<Description>> {
    form.has("description").then(|| form.optional("description", Description::parse_optional).flatten())
}

/// The field `metadata`. `None` if it was not sent. Null is like an empty object.
pub(super) fn metadata(form: &mut Form) -> Option<Metadata> {
    if !form.has("metadata") {
        return None;
    }
    let mut metadata = Metadata::default();
    for (key, value) in form.optional_texts("metadata", Metadata::MAX, "keys").unwrap_or_default() {
        let added = Metadata::check(&key, &value);
        match added {
            Ok(()) => {
                if let Err(error) = metadata.insert(&key, &value) {
                    form.refuse("metadata", error);
                }
            }
            Err(error) => form.refuse(&format!("metadata.{key}"), error),
        }
    }
    Some(metadata)
}

/// The name of the parameters that filter by metadata, in lists of parameters.
pub(super) const PARAMETER: &str = "metadata[KEY]";

/// The keys and values of all parameters like `metadata[team]=payments`.
pub(super) fn filter(query: &mut QueryPairs) -> Result<Metadata, ApiError> {
    let mut wanted = Metadata::default();
    for (key, value) in query.take_indexed("metadata") {
        let refuse = |error: &dyn ToString| FieldError::new(format!("metadata[{key}]"), error.to_string());
        Metadata::check(&key, &value).map_err(|error| refuse(&error))?;
        if wanted.get(&key).is_some() {
            return Err(refuse(&"must be given once: a token has one value for each key.").into());
        }
        wanted.insert(&key, &value).map_err(|error| refuse(&error))?;
    }
    Ok(wanted)
}
