//! The cookie that carries a session: `__Host-patd`, which no other host, no subdomain and no plain HTTP can set (RFC 6265bis).
//!
//! On this machine there is no TLS, so it is `patd` there, without `Secure`. The API does not read it.

use actix_web::{
    HttpRequest,
    cookie::{Cookie, SameSite, time::Duration},
};
use zeroize::Zeroizing;

use super::look::Look;
use crate::domain::time::Timestamp;

/// The name of the cookie for this browser.
fn name(look: &Look) -> &'static str {
    if look.is_secure { "__Host-patd" } else { "patd" }
}

/// The secret of a session that the browser sent.
pub(super) fn read(request: &HttpRequest, look: &Look) -> Option<Zeroizing<String>> {
    request.cookie(name(look)).map(|cookie| Zeroizing::new(cookie.value().to_owned()))
}

/// A cookie that keeps the session until it expires.
pub(super) fn keep(look: &Look, secret: &str, now: Timestamp, expires_at: Timestamp) -> Cookie<'static> {
    let seconds = i64::try_from(expires_at.since(now).as_secs()).unwrap_or(i64::MAX);
    cookie(look, secret.to_owned(), Duration::seconds(seconds))
}

/// A cookie that removes the session from the browser.
pub(super) fn forget(look: &Look) -> Cookie<'static> {
    cookie(look, String::new(), Duration::ZERO)
}

fn cookie(look: &Look, value: String, max_age: Duration) -> Cookie<'static> {
    // The prefix __Host- needs the path /.
    Cookie::build(name(look), value)
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(look.is_secure)
        .max_age(max_age)
        .finish()
}
