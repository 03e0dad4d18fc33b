//! Nothing that is sent is passed over: what nobody reads of a query or a body is refused like an unknown field.
//!
//! A misspelt `?state=` would list everything, and whoever sends `{"grace":0}` to a route without fields believes that it
//! was heeded. Who asks is judged before, by the guards among a handler's arguments.

use std::collections::BTreeSet;

use actix_web::{FromRequest, Handler, HttpRequest, Responder};
use futures_util::future::LocalBoxFuture;

use super::{error::ApiError, form::Body};
use crate::ops::{self, FieldError};

/// A handler that is called only where it reads all that was sent.
#[derive(Clone)]
pub(super) struct Strict<F> {
    pub(super) handler: F,
    /// The parameters of the query that it reads.
    pub(super) parameters: &'static [&'static str],
}

/// The body stands last, so that it is what the handler's own arguments left of it.
impl<F, Args> Handler<(Args, HttpRequest, Body)> for Strict<F>
where
    F: Handler<Args>,
    F::Output: Responder + 'static,
    Args: FromRequest + 'static,
{
    type Output = Result<F::Output, ApiError>;
    type Future = LocalBoxFuture<'static, Self::Output>;

    fn call(&self, (arguments, request, rest): (Args, HttpRequest, Body)) -> Self::Future {
        let Self { handler, parameters } = self.clone();
        Box::pin(async move {
            refuse_unknown(request.query_string(), parameters)?;
            rest.form_or_nothing(&[]).await?.finish(Some(()))?;
            Ok(handler.call(arguments).await)
        })
    }
}

/// Names under which tokens are sent elsewhere (RFC 6750, section 2.3). Here they are passed over, so that a good header
/// counts whatever stands beside it.
const CREDENTIALS: [&str; 2] = ["access_token", "token"];

fn refuse_unknown(query: &str, known: &[&str]) -> Result<(), ApiError> {
    if query.is_empty() {
        return Ok(());
    }
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query)
        .map_err(|error| ApiError::Malformed(format!("The query cannot be read: {error}.")))?;
    let unknown: BTreeSet<String> = pairs.into_iter().map(|(name, _)| name).collect();
    let unknown: Vec<FieldError> = unknown
        .into_iter()
        .filter(|name| !known.contains(&&**name) && !CREDENTIALS.contains(&&**name))
        .map(|name| match known {
            [] => FieldError::new(name, "is unknown. There are no parameters here."),
            _ => FieldError::new(name, format!("is unknown. The parameters here are: {}.", known.join(", "))),
        })
        .collect();
    if unknown.is_empty() { Ok(()) } else { Err(ops::Error::Invalid(unknown).into()) }
}
