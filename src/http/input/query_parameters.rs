//! Refuses query parameters and body fields that a handler does not read.
//!
//! If a misspelt `?state=` were ignored, the answer would list everything. If `{"grace":0}` were ignored by a route
//! without fields, the client would believe that it was applied. The guard among a handler's arguments runs first.

use std::collections::BTreeSet;

use actix_web::{FromRequest, Handler, HttpRequest, Responder};
use futures_util::future::LocalBoxFuture;

use super::{body::Body, query_pairs::key_of};
use crate::{
    http::error::ApiError,
    ops::{self, FieldError},
};

/// A handler that is called only if it reads everything that was sent.
#[derive(Clone)]
pub(crate) struct Strict<F> {
    pub(crate) handler: F,
    /// The query parameters that it reads.
    pub(crate) parameters: &'static [&'static str],
}

/// The body is extracted last: it is empty if one of the handler's own arguments has taken it.
impl<F, Args> Handler<(Args, HttpRequest, Body)> for Strict<F>
where
    F: Handler<Args>,
    F::Output: Responder + 'static,
    Args: FromRequest + 'static,
{
    type Output = Result<F::Output, ApiError>;
    type Future = LocalBoxFuture<'static, Self::Output>;

    fn call(&self, (arguments, request, unread): (Args, HttpRequest, Body)) -> Self::Future {
        let Self { handler, parameters } = self.clone();
        Box::pin(async move {
            refuse_unknown(request.query_string(), parameters)?;
            let mut form = unread.form_or_nothing(&[]).await?;
            form.refuse_parameters(parameters);
            form.finish(Some(()))?;
            Ok(handler.call(arguments).await)
        })
    }
}

/// Parameters in which clients of other servers send tokens (RFC 6750, section 2.3). They are ignored, so that a
/// request that also has the header is accepted.
const CREDENTIALS: [&str; 2] = ["access_token", "token"];

/// Whether `given` is the parameter `known`. A known one with the end `[KEY]` stands for all keys.
fn is(given: &str, known: &str) -> bool {
    known.strip_suffix("[KEY]").map_or(given == known, |name| key_of(given, name).is_some())
}

fn refuse_unknown(query: &str, known: &[&str]) -> Result<(), ApiError> {
    if query.is_empty() {
        return Ok(());
    }
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query)
        .map_err(|error| ApiError::Malformed(format!("The query cannot be read: {error}.")))?;
    let unknown: BTreeSet<String> = pairs.into_iter().map(|(name, _)| name).collect();
    let unknown: Vec<FieldError> = unknown
        .into_iter()
        .filter(|name| !known.iter().any(|known| is(name, known)) && !CREDENTIALS.contains(&&**name))
        .map(|name| match known {
            [] => FieldError::new(name, "is unknown. There are no parameters here."),
            _ => FieldError::new(name, format!("is unknown. The parameters here are: {}.", known.join(", "))),
        })
        .collect();
    if unknown.is_empty() { Ok(()) } else { Err(ops::Error::Invalid(unknown).into()) }
}
