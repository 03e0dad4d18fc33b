//! Requests with an `Idempotency-Key`: what an earlier one with the same key has made.

use uuid::Uuid;

use super::{
    context::Context,
    error::{Error, FieldError},
    new_id::new_id,
};
use crate::{
    domain::keyed_request::{KeyOwner, KeyedRequest},
    store::StoreError,
};

/// The name of the header, as the errors name it.
pub const HEADER: &str = "Idempotency-Key";

/// A request of `owner` to `path` with this key. What it makes gets a new id.
pub fn request(owner: KeyOwner, key: &str, path: &str, body: &[u8]) -> KeyedRequest {
    KeyedRequest::new(owner, key, path, body, new_id())
}

/// What a request with a key has led to.
pub enum Once<T> {
    /// It was made.
    Made(T),
    /// An equal request was made before, and made what has this id.
    MadeBefore(Uuid),
}

/// Runs `work`, which makes the request, unless an equal one was made before. `work` must pass `keyed` to the store.
/// `failure` tells which of its errors are those of an operation.
pub async fn once<T, E: From<Error>>(
    ctx: &Context,
    keyed: &KeyedRequest,
    work: impl Future<Output = Result<T, E>>,
    failure: impl FnOnce(&E) -> Option<&Error>,
) -> Result<Once<T>, E> {
    if let Some(id) = made_before(ctx, keyed).await? {
        return Ok(Once::MadeBefore(id));
    }
    let error = match work.await {
        Ok(made) => return Ok(Once::Made(made)),
        Err(error) => error,
    };
    match failure(&error) {
        // Nobody knows yet whether it was made. A repeat will find out.
        None | Some(Error::Store(StoreError::Unavailable(_))) => Err(error),
        // An equal request may have been made meanwhile, and be the reason of the error. If that cannot be found out, the
        // error is not certain.
        Some(_) => made_before(ctx, keyed).await?.map(Once::MadeBefore).ok_or(error),
    }
}

/// What an equal request has made in the last 24 hours, if it was made. An error if another request had the key.
async fn made_before(ctx: &Context, keyed: &KeyedRequest) -> Result<Option<Uuid>, Error> {
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
