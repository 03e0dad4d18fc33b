//! The body of a request: its declared type and length, its limit, and the time in which it must arrive.
//!
//! Handlers read the body, after their guard has run: a caller that is refused learns nothing about the fields.

use std::time::Duration;

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::header::{self, HeaderMap, HeaderName},
    web::BytesMut,
};
use futures_util::StreamExt;

use super::{form::Form, strict_json::refuse_byte_order_mark};
use crate::http::{error::ApiError, state::current::State, wire::connections::connection::BodyRead};

const JSON: &str = "application/json";
const URL_ENCODED: &str = "application/x-www-form-urlencoded";

/// A body that is not read yet.
pub(crate) struct Body {
    payload: Payload,
    /// What [`Self::read_ahead`] has read.
    ahead: Option<BytesMut>,
    body_read: Option<BodyRead>,
    media_type: Result<MediaType, ApiError>,
    declared_length: Option<usize>,
    limit: usize,
    timeout: Duration,
}

impl FromRequest for Body {
    type Error = ApiError;
    type Future = std::future::Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let state = State::of(request);
        let length = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        let body_read = if matches!(payload, Payload::None) { None } else { BodyRead::of(request) };
        std::future::ready(Ok(Self {
            payload: payload.take(),
            ahead: None,
            body_read,
            media_type: MediaType::of(request.headers()),
            declared_length: length.and_then(|length| length.parse().ok()),
            limit: state.request_limits.body,
            timeout: state.request_limits.body_timeout,
        }))
    }
}

impl Body {
    /// Raises the limit to `bytes`, if the configured one is lower.
    pub(crate) fn with_min_limit(self, bytes: usize) -> Self {
        Self { limit: self.limit.max(bytes), ..self }
    }

    /// Reads the body as a JSON object with the fields `known`.
    pub(crate) async fn form(self, known: &'static [&'static str]) -> Result<Form, ApiError> {
        Form::parse(&self.read_as(JSON).await?, known)
    }

    /// Reads the body as a JSON object in which all fields are optional, and so is the body itself.
    pub(crate) async fn form_or_nothing(mut self, known: &'static [&'static str]) -> Result<Form, ApiError> {
        let media_type = self.media_type.clone();
        // Many clients send a Content-Type without a body, so it is ignored then.
        let bytes = self.read_if_sent().await?;
        if bytes.is_empty() {
            return Form::parse(b"{}", known);
        }
        media_type?.expect(JSON)?;
        Form::parse(&bytes, known)
    }

    /// Reads one parameter of a URL-encoded body, as the OAuth endpoints need it (RFC 7662, section 2.1). Unknown
    /// parameters are ignored there, but the parameter itself may occur only once.
    pub(crate) async fn parameter(self, name: &'static str) -> Result<String, ApiError> {
        let bytes = self.read_as(URL_ENCODED).await?;
        refuse_byte_order_mark(&bytes)?;
        let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(&bytes)
            .map_err(|_| ApiError::MalformedForm("The body is not a valid form.".to_owned()))?;
        let mut values = pairs.into_iter().filter(|(key, _)| key == name).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (Some(value), None) if !value.is_empty() => Ok(value),
            (Some(_), Some(_)) => Err(ApiError::MalformedForm(format!("The parameter {name} occurs twice."))),
            _ => Err(ApiError::MalformedForm(format!("The parameter {name} is required."))),
        }
    }

    /// Reads a form of a browser: the names and values of its fields, in their order.
    pub(crate) async fn pairs(self) -> Result<Vec<(String, String)>, ApiError> {
        let bytes = self.read_as(URL_ENCODED).await?;
        serde_urlencoded::from_bytes(&bytes)
            .map_err(|_| ApiError::Malformed("The body is not a valid form.".to_owned()))
    }

    async fn read_as(mut self, media_type: &'static str) -> Result<BytesMut, ApiError> {
        self.media_type.clone()?.expect(media_type)?;
        self.read_in_time().await
    }

    /// Reads the body. Returns its bytes, and the body as if it had not been read.
    pub(crate) async fn read_ahead(mut self) -> Result<(BytesMut, Self), ApiError> {
        let bytes = self.read_if_sent().await?;
        Ok((bytes.clone(), Self { ahead: Some(bytes), ..self }))
    }

    async fn read_if_sent(&mut self) -> Result<BytesMut, ApiError> {
        match (&self.ahead, &self.payload) {
            (None, Payload::None) => Ok(BytesMut::new()),
            _ => self.read_in_time().await,
        }
    }

    async fn read_in_time(&mut self) -> Result<BytesMut, ApiError> {
        let timeout = self.timeout;
        tokio::time::timeout(timeout, self.read()).await.map_err(|_| ApiError::BodyTimeout)?
    }

    /// The timeout is for the whole body, so a slow client gets no more time than one that sends nothing.
    async fn read(&mut self) -> Result<BytesMut, ApiError> {
        if let Some(bytes) = self.ahead.take() {
            return Ok(bytes);
        }
        if self.declared_length.is_some_and(|length| length > self.limit) {
            return Err(ApiError::BodyTooLarge(self.limit));
        }
        let mut bytes = BytesMut::new();
        while let Some(chunk) = self.payload.next().await {
            let chunk = chunk.map_err(|_| ApiError::Malformed("The body is incomplete.".to_owned()))?;
            if bytes.len() + chunk.len() > self.limit {
                return Err(ApiError::BodyTooLarge(self.limit));
            }
            bytes.extend_from_slice(&chunk);
        }
        if let Some(body_read) = self.body_read.take() {
            body_read.notify();
        }
        Ok(bytes)
    }
}

/// The declared type of a body.
#[derive(Clone)]
struct MediaType {
    /// Type and subtype in lower case. Empty if none is declared.
    essence: String,
    /// Whether the body is UTF-8 and not compressed.
    is_plain: bool,
}

impl MediaType {
    /// Each header may be sent once. If there are two that differ, another reader of the request may use the other one.
    fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let content_type = single(headers, header::CONTENT_TYPE, "There must be one Content-Type header.")?;
        let coding = single(headers, header::CONTENT_ENCODING, "There must be one Content-Encoding header.")?;
        let mut parts = content_type.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
        let is_utf8 = parts.filter_map(|part| part.split_once('=')).all(|(name, value)| {
            let value = value.trim_matches('"').to_ascii_lowercase();
            !name.eq_ignore_ascii_case("charset") || ["utf-8", "utf8", "us-ascii"].contains(&&*value)
        });
        let is_uncompressed = coding.is_empty() || coding.eq_ignore_ascii_case("identity");
        Ok(Self { essence, is_plain: is_utf8 && is_uncompressed })
    }

    fn expect(&self, wanted: &'static str) -> Result<(), ApiError> {
        match self.is_plain && self.essence == wanted {
            true => Ok(()),
            false => Err(ApiError::WrongMediaType(wanted)),
        }
    }
}

/// The value of a header that may be sent once. Empty if it is missing.
fn single<'h>(headers: &'h HeaderMap, name: HeaderName, twice: &str) -> Result<&'h str, ApiError> {
    let mut values = headers.get_all(name);
    let value = values.next().map_or(Ok(""), |value| value.to_str().map_err(|_| ApiError::Malformed(twice.to_owned())));
    match values.next() {
        Some(_) => Err(ApiError::Malformed(twice.to_owned())),
        None => value,
    }
}
