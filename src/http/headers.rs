//! Headers that several kinds of answers have.

use std::time::Duration;

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::{
    domain::time::Timestamp,
    ops::{clock::Clock, usage_limits::RateState},
};

const X_RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RATELIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_TOKEN_EXPIRES_AT: HeaderName = HeaderName::from_static("x-token-expires-at");

/// How long before its expiry a token is said to expire.
const EXPIRY_NOTICE: Duration = Duration::from_hours(30 * 24);

/// The headers of every answer. No handler sets any of them, so they are appended, which takes half as long as
/// replacing.
pub(crate) fn add_common(headers: &mut HeaderMap, request_id: HeaderValue) {
    headers.append(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.append(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.append(X_REQUEST_ID, request_id);
}

/// The rate state of a token that has a rate limit.
pub(crate) fn add_rate_state(headers: &mut HeaderMap, rate_state: RateState) {
    headers.insert(X_RATELIMIT_LIMIT, rate_state.limit.into());
    headers.insert(X_RATELIMIT_REMAINING, rate_state.remaining.into());
    headers.insert(X_RATELIMIT_RESET, rate_state.resets_at.unix().into());
}

/// The expiry of the token, if it is near. The clock is read only for tokens with an expiry.
pub(crate) fn add_token_expiry(headers: &mut HeaderMap, expires_at: Option<Timestamp>, clock: &Clock) {
    if let Some(expires_at) = expires_at
        && expires_at <= clock.now().plus(EXPIRY_NOTICE)
        && let Ok(value) = HeaderValue::from_str(&expires_at.to_string())
    {
        headers.insert(X_TOKEN_EXPIRES_AT, value);
    }
}
