//! Requests with an `Idempotency-Key`: what an earlier one with the same key has made.

use uuid::Uuid;

use super::{
    context::Context,
    error::{Error, FieldError},
    new_id::new_id,
};
use crate::domain::keyed_request::{KeyOwner, KeyedRequest};

/// The name of the header, as the errors name it.
pub const HEADER: &str = "Idempotency-Key";

/// A request of `owner` to `path` with this key. What it makes gets a new id.
pub fn request(owner: KeyOwner, key: &str, path: &str, body: &[u8]) -> KeyedRequest {
    KeyedRequest::new(owner, key, path, body, new_id())
}

/// What an equal request has made in the last 24 hours, if it was made. An error if another request had the key.
pub async fn made_before(ctx: &Context, keyed: &KeyedRequest) -> Result<Option<Uuid>, Error> {
    let found = ctx.store.made_request(keyed.account, keyed.key).await?;
    match found.filter(|found| found.is_remembered(ctx.clock.recordable())) {
        None => Ok(None),
        Some(found) if found.request == keyed.request => Ok(Some(found.made)),
        Some(_) => Err(key_of_another_request()),
    }
}

fn key_of_another_request() -> Error {
    let message = format!(
        "The {HEADER} header has a key that another request had in the last 24 hours, with another path or another body. \
         Send a new key, or the same request again."
    );
    FieldError { field: HEADER.to_owned(), message }.into()
}
