//! The query parameters of lists that are answered in pages.

use actix_web::web::Query;
use serde::Deserialize;

use crate::{
    domain::{page::PageRequest, text::Name},
    http::error::ApiError,
    ops::FieldError,
};

/// The most items of a page, and the default of `?limit=`.
const MAX_ITEMS: u32 = 100;

/// The parameters of a list without filters.
pub(crate) const PARAMETERS: &[&str] = &["limit", "cursor"];

/// The query of a list without filters. Its values are kept as text, so that an invalid one is answered like an invalid
/// field.
#[derive(Deserialize)]
pub(crate) struct PageQuery {
    limit: Option<String>,
    cursor: Option<String>,
}

impl PageQuery {
    pub(crate) fn request(self) -> Result<PageRequest, ApiError> {
        Ok(PageRequest { cursor: self.cursor, limit: limit(self.limit)? })
    }
}

/// The parsed query of a request.
pub(crate) fn read<T>(query: Result<Query<T>, actix_web::Error>) -> Result<T, ApiError> {
    let query = query.map_err(|error| ApiError::Malformed(format!("The query cannot be read: {error}.")))?;
    Ok(query.into_inner())
}

/// The text that is searched. An empty one searches nothing.
pub(crate) fn search(text: Option<String>) -> Result<Option<String>, ApiError> {
    let search = text.filter(|search| !search.is_empty());
    match &search {
        Some(text) if text.chars().count() > Name::MAX_CHARS => {
            Err(FieldError::new("search", "must not be greater than 255 characters.").into())
        }
        _ => Ok(search),
    }
}

/// How many items a page has.
pub(crate) fn limit(text: Option<String>) -> Result<u32, ApiError> {
    let Some(text) = text else { return Ok(MAX_ITEMS) };
    let limit = text.parse().ok().filter(|limit| (1..=MAX_ITEMS).contains(limit));
    limit.ok_or_else(|| FieldError::new("limit", format!("must be a whole number from 1 to {MAX_ITEMS}.")).into())
}
