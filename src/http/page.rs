//! What lists that are answered in pages share.

use actix_web::web::Query;

use super::error::ApiError;
use crate::ops::FieldError;

/// The most items on a page, and as many as there are without `?limit=`.
const LARGEST: u32 = 100;

/// The parameters of a list that knows no others.
pub(super) const PARAMETERS: &[&str] = &["limit", "cursor"];

/// The query of a request, kept as text so that a mistake is answered like one in a form.
pub(super) fn read<T>(query: Result<Query<T>, actix_web::Error>) -> Result<T, ApiError> {
    let query = query.map_err(|error| ApiError::Malformed(format!("The query cannot be read: {error}.")))?;
    Ok(query.into_inner())
}

/// How many items to answer.
pub(super) fn limit(text: Option<String>) -> Result<u32, ApiError> {
    let Some(text) = text else { return Ok(LARGEST) };
    let limit = text.parse().ok().filter(|limit| (1..=LARGEST).contains(limit));
    limit.ok_or_else(|| FieldError::new("limit", format!("must be a whole number from 1 to {LARGEST}.")).into())
}
