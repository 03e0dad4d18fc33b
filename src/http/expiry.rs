//! The word ahead: whose token ends soon is told with every answer.

use std::time::Duration;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::{domain::time::Timestamp, ops::clock::Clock};

/// How long before its end it is said.
const AHEAD: Duration = Duration::from_hours(30 * 24);

const X_TOKEN_EXPIRES_AT: HeaderName = HeaderName::from_static("x-token-expires-at");

/// Says when the token ends, if that is soon. A token without an end costs nothing here.
pub(super) fn announce(headers: &mut HeaderMap, end: Option<Timestamp>, clock: &Clock) {
    if let Some(end) = end
        && end <= clock.now().plus(AHEAD)
        && let Ok(value) = HeaderValue::from_str(&end.to_string())
    {
        headers.insert(X_TOKEN_EXPIRES_AT, value);
    }
}
