//! The `Idempotency-Key` of a request that makes something, so that a client can send it again until it has an answer.

use actix_web::{
    FromRequest, HttpRequest, HttpResponse,
    dev::Payload,
    http::header::{HeaderMap, HeaderName},
};
use futures_util::future::{Ready, ready};
use uuid::Uuid;

use super::{body::Body, request_source::Source};
use crate::{
    domain::keyed_request::KeyOwner,
    http::{error::ApiError, state::current::State},
    ops::keyed_requests::{self, Once},
};

/// In lower case.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// The longest key, in bytes.
pub(crate) const MAX_KEY: usize = 255;

/// The source and the body of a request that makes something. What it makes is made once for each key.
pub(crate) struct Keyed {
    source: Source,
    body: Body,
    /// An error is answered after the caller was accepted.
    key: Result<Option<String>, ApiError>,
    path: String,
}

impl FromRequest for Keyed {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let source = Source::from_request(request, payload).into_inner();
        let body = Body::from_request(request, payload).into_inner();
        let (key, path) = (key(request.headers()), request.path().to_owned());
        ready(source.and_then(|source| Ok(Self { source, body: body?, key, path })))
    }
}

impl Keyed {
    /// Runs `work`, unless an equal request of `owner` was made before: then the answer is
    /// [`ApiError::AlreadyCreated`], because a secret cannot be shown twice. `way_out` says what was made, and what to do if its
    /// secret was lost.
    pub(crate) async fn once(
        self,
        state: &State,
        owner: KeyOwner,
        way_out: &'static str,
        work: impl AsyncFnOnce(Source, Body) -> Result<HttpResponse, ApiError>,
    ) -> Result<HttpResponse, ApiError> {
        let refuse = async |id| Err(ApiError::AlreadyCreated { id, way_out });
        self.once_or_again(state, owner, refuse, work).await
    }

    /// Runs `work`, unless an equal request of `owner` was made before: then the answer is that of `again` for what it made.
    pub(crate) async fn once_or_again(
        self,
        state: &State,
        owner: KeyOwner,
        again: impl AsyncFnOnce(Uuid) -> Result<HttpResponse, ApiError>,
        work: impl AsyncFnOnce(Source, Body) -> Result<HttpResponse, ApiError>,
    ) -> Result<HttpResponse, ApiError> {
        let Self { source, body, key, path } = self;
        let Some(key) = key? else { return work(source, body).await };
        let (bytes, body) = body.read_ahead().await?;
        let keyed = keyed_requests::request(owner, &key, &path, &bytes);
        let work = work(source.with_key(keyed.clone()), body);
        match keyed_requests::once(&state.ops, &keyed, work, ApiError::operation).await? {
            Once::Made(answer) => Ok(answer),
            Once::MadeBefore(id) => again(id).await,
        }
    }
}

fn key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let mut values = headers.get_all(HEADER);
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(malformed("must be sent once."));
    }
    let is_valid = (1..=MAX_KEY).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic);
    match value.to_str() {
        Ok(key) if is_valid => Ok(Some(key.to_owned())),
        _ => {
            Err(malformed(&format!("must have 1 to {MAX_KEY} visible ASCII characters, for example those of a UUID.")))
        }
    }
}

fn malformed(predicate: &str) -> ApiError {
    ApiError::Malformed(format!("The header {} {predicate}", keyed_requests::HEADER))
}
