//! Answers pages: renders templates, sets their headers, and makes a page of each error.

use std::fmt;

use actix_web::{
    HttpResponse, ResponseError,
    body::BoxBody,
    http::{
        StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
};
use askama::Template;

use super::{cookie, layout::Layout, look::Look};
use crate::{
    http::error::ApiError,
    ops::{self, Throttled},
};

/// Nothing but what this server sends: no script or style within a page, no other host, no frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; \
                      frame-ancestors 'none'; base-uri 'none'";
const CONTENT_SECURITY_POLICY: HeaderName = header::CONTENT_SECURITY_POLICY;

/// Where the console begins.
pub(super) const ROOT: &str = "/console";

/// Why there is no page.
#[derive(Debug)]
pub(crate) enum PageError {
    /// Nobody is signed in.
    SignIn,
    /// Another site sent the form, or the browser does not say who did.
    ForeignForm,
    /// An error of the API.
    Api(ApiError),
}

impl<E: Into<ApiError>> From<E> for PageError {
    fn from(error: E) -> Self {
        Self::Api(error.into())
    }
}

impl PageError {
    /// The error of the operation, if one failed.
    pub(super) const fn operation(&self) -> Option<&ops::Error> {
        match self {
            Self::Api(error) => error.operation(),
            _ => None,
        }
    }
}

/// A [`PageError`] that is shown.
pub(crate) struct Refused(Box<(Look, PageError)>);

impl Refused {
    pub(super) fn new(look: Look, error: PageError) -> Self {
        Self(Box::new((look, error)))
    }
}

impl Look {
    /// The page that says why there is no other.
    pub(super) fn refused(&self, error: impl Into<PageError>) -> Refused {
        Refused::new(self.clone(), error.into())
    }
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.1.fmt(f)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.1 {
            PageError::SignIn => f.write_str("nobody is signed in"),
            PageError::ForeignForm => f.write_str("not a form of this server"),
            PageError::Api(error) => error.fmt(f),
        }
    }
}

impl ResponseError for Refused {
    fn status_code(&self) -> StatusCode {
        match &self.0.1 {
            PageError::SignIn => StatusCode::SEE_OTHER,
            PageError::ForeignForm => StatusCode::FORBIDDEN,
            PageError::Api(error) => error.code().status(),
        }
    }

    fn error_response(&self) -> HttpResponse {
        let (look, error) = &*self.0;
        match error {
            PageError::SignIn => {
                let next = serde_urlencoded::to_string([("next", &look.path)]).expect("text is a form");
                let mut response = see(&format!("/console/sign-in?{next}"));
                // The browser holds a session that has ended, or none.
                let _ = response.add_cookie(&cookie::forget(look));
                response
            }
            PageError::ForeignForm => {
                let texts = look.texts;
                error_page(look, StatusCode::FORBIDDEN, texts.say("error-foreign"), texts.say("error-foreign-way-out"))
            }
            // Programs do not know that there could be a console.
            PageError::Api(error @ ApiError::UnknownRoute) if !look.console().is_enabled => error.error_response(),
            PageError::Api(error) => {
                let (message, way_out) = in_words(look, error);
                let mut response = error_page(look, error.code().status(), message, way_out);
                if let Some(retry) = error.error_response().headers().get(header::RETRY_AFTER) {
                    response.headers_mut().insert(header::RETRY_AFTER, retry.clone());
                }
                response
            }
        }
    }
}

/// What an error means to a person, and what they can do.
pub(super) fn in_words(look: &Look, error: &ApiError) -> (String, String) {
    let texts = look.texts;
    let wait = |seconds: u64| texts.count("error-wait", seconds);
    match error {
        ApiError::UnknownRoute => (texts.say("error-no-page"), texts.say("error-no-page-way-out")),
        ApiError::Ops(ops::Error::NotFound) => (texts.say("error-not-found"), texts.say("error-not-found-way-out")),
        ApiError::Ops(ops::Error::Throttled(Throttled { retry_after, .. })) => {
            (texts.say("error-throttled"), wait(retry_after.as_secs().max(1)))
        }
        ApiError::Ops(ops::Error::SignInRefused) => (texts.say("error-sign-in"), texts.say("error-sign-in-way-out")),
        ApiError::Ops(ops::Error::Busy) => (texts.say("error-busy"), wait(1)),
        ApiError::Ops(ops::Error::AdminRequired) => (texts.say("error-admin"), String::new()),
        ApiError::Ops(ops::Error::RoleRequired) => (texts.say("error-role"), String::new()),
        _ if error.code().status() == StatusCode::SERVICE_UNAVAILABLE => {
            (texts.say("error-unavailable"), error.message().into_owned())
        }
        _ => (error.message().into_owned(), String::new()),
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    layout: Layout,
    message: String,
    way_out: String,
}

fn error_page(look: &Look, status: StatusCode, message: String, way_out: String) -> HttpResponse {
    show(status, &ErrorPage { layout: Layout::of_nobody(look, &message), message, way_out })
}

/// Answers a page.
pub(super) fn show(status: StatusCode, page: &impl Template) -> HttpResponse {
    match page.render() {
        Ok(html) => {
            let mut response = HttpResponse::with_body(status, BoxBody::new(html));
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
            headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
            headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
            headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
            // The language and the person decide what a page shows.
            headers.insert(header::VARY, HeaderValue::from_static("Cookie, Accept-Language"));
            response
        }
        Err(error) => ApiError::from(ops::Error::Internal(format!("a page cannot be made: {error}"))).error_response(),
    }
}

/// Sends the browser to another page, with GET. `path` has no text of a client.
pub(super) fn see(path: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, path))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .finish()
}

/// A page from another request of the browser, such as the one that a form was on. Only paths of the console are, so that
/// nobody is led to another site.
pub(super) fn is_own_page(path: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-_.?=&+%,:*~".contains(c);
    let below = path.strip_prefix(ROOT);
    below.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?'])) && path.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::is_own_page;

    #[test]
    fn nobody_is_led_to_another_site() {
        for own in ["/console", "/console/tokens", "/console/tokens?state=expired&cursor=ab%3D", "/console?a=b"] {
            assert!(is_own_page(own), "{own}");
        }
        for foreign in [
            "//evil.example",
            "https://evil.example",
            "/consolex",
            "/console\\@evil",
            "/console\r\nx: y",
            "/api",
            "",
            "console",
        ] {
            assert!(!is_own_page(foreign), "{foreign}");
        }
    }
}
