//! How the pages of one request look: the settings, the language, and what is known of the browser.

use std::{
    future::{Ready, ready},
    sync::Arc,
};

use actix_web::{FromRequest, HttpRequest, dev::Payload, http::header};

use super::{settings::Console, texts::Texts};
use crate::http::{error::ApiError, state::current::State};

/// How the pages of one request look.
#[derive(Clone)]
pub(crate) struct Look {
    pub(super) state: State,
    pub(super) texts: Texts,
    /// The path of the request, which has no secrets.
    pub(super) path: String,
    pub(super) is_secure: bool,
    /// The address of this server.
    pub(super) url: String,
}

impl Look {
    pub(super) fn of(request: &HttpRequest) -> Self {
        let state = State::of(request);
        let languages = request.headers().get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let (is_secure, url) = (state.console.is_secure(request.headers()), state.console.url(request.headers()));
        let path = request.path().to_owned();
        Self { texts: Texts::preferred(languages.unwrap_or_default()), path, is_secure, url, state }
    }

    pub(super) fn console(&self) -> &Arc<Console> {
        &self.state.console
    }
}

impl FromRequest for Look {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(request)))
    }
}
