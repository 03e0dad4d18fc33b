//! What every request for a page passes first: there is a console, and no other site sends a form to it.
//!
//! Browsers say in `Sec-Fetch-Site` which site a request comes from (W3C Fetch Metadata), and older ones at least in
//! `Origin` (RFC 6454). A form that has neither is refused, so there is no way in for a client that hides both.

use std::future::{Ready, ready};

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::header::{self, HeaderMap, HeaderName},
};

use super::{
    look::Look,
    page::{PageError, Refused},
    settings::Console,
};
use crate::http::error::ApiError;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// A request that may reach a page.
pub(crate) struct Gate(pub(super) Look);

impl FromRequest for Gate {
    type Error = Refused;
    type Future = Ready<Result<Self, Refused>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let look = Look::of(request);
        if !look.console().is_enabled {
            return ready(Err(look.refused(ApiError::UnknownRoute)));
        }
        if request.method().is_safe() || is_same_origin(request.headers(), look.console()) {
            return ready(Ok(Self(look)));
        }
        ready(Err(look.refused(PageError::ForeignForm)))
    }
}

/// Whether a form was sent by a page of this server.
fn is_same_origin(headers: &HeaderMap, console: &Console) -> bool {
    let mut sites = headers.get_all(SEC_FETCH_SITE);
    match (sites.next(), sites.next()) {
        (Some(site), None) => site == "same-origin",
        (Some(_), Some(_)) => false,
        (None, _) => {
            let mut origins = headers.get_all(header::ORIGIN);
            let (Some(origin), None) = (origins.next(), origins.next()) else { return false };
            origin.to_str().is_ok_and(|origin| console.is_own(origin, headers))
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn accepts(base_url: Option<&str>, headers: &[(&'static str, &'static str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        is_same_origin(&map, &Console::at(base_url))
    }

    #[test]
    fn only_a_form_of_this_server_is_accepted() {
        let host = ("host", "tokens.example:8443");
        assert!(accepts(None, &[host, ("sec-fetch-site", "same-origin")]));
        assert!(accepts(None, &[host, ("origin", "https://tokens.example:8443")]));
        for forged in [
            vec![],
            vec![("sec-fetch-site", "cross-site")],
            vec![("sec-fetch-site", "same-site")],
            vec![("sec-fetch-site", "none")],
            vec![("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
            vec![("sec-fetch-site", "cross-site"), ("origin", "https://tokens.example:8443")],
            vec![("origin", "null")],
            vec![("origin", "https://evil.example")],
            vec![("origin", "https://tokens.example")],
            vec![("origin", "https://tokens.example:8443.evil.example")],
            vec![("origin", "https://evil.example/?https://tokens.example:8443")],
            vec![("origin", "https://tokens.example:8443"), ("origin", "https://evil.example")],
            vec![("referer", "https://tokens.example:8443/console")],
        ] {
            let headers: Vec<_> = std::iter::once(host).chain(forged).collect();
            assert!(!accepts(None, &headers), "{headers:?}");
        }
    }

    #[test]
    fn a_base_url_counts_instead_of_the_host() {
        let base = Some("https://tokens.example.com");
        let host = ("host", "10.0.0.7:8080");
        assert!(accepts(base, &[host, ("origin", "https://tokens.example.com")]));
        assert!(!accepts(base, &[host, ("origin", "http://10.0.0.7:8080")]));
        assert!(!accepts(base, &[host, ("origin", "http://tokens.example.com")]), "another scheme");
    }
}
