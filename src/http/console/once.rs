//! Forms that create something without a secret, and that a person may send twice.

use uuid::Uuid;

use super::{
    fields::{Fields, form_id},
    page::PageError,
    person::Person,
};
use crate::{
    domain::keyed_request::KeyOwner,
    http::{error::ApiError, input::request_source::Source},
    ops::keyed_requests::{self, Once},
};

/// Runs `work`, which creates something and returns its id. The id of the form is the key of the request: if it was sent
/// before, nothing is done, and the id is that of what was created then.
pub(super) async fn once(
    person: &Person,
    source: Source,
    fields: &Fields,
    path: &str,
    work: impl AsyncFnOnce(Source) -> Result<Uuid, PageError>,
) -> Result<Uuid, PageError> {
    let ctx = person.ops();
    let form = form_id(fields, ctx.clock.now());
    let form = form.ok_or_else(|| ApiError::Malformed(person.look.texts.say("new-form-too-old")))?;
    let keyed = keyed_requests::request(KeyOwner::User(person.user.user.id), &form.to_string(), path, b"");
    match keyed_requests::once(ctx, &keyed, work(source.with_key(keyed.clone())), PageError::operation).await? {
        Once::Made(id) | Once::MadeBefore(id) => Ok(id),
    }
}
