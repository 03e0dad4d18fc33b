//! Reading a request's body into checked fields: strict JSON, every mistake named at once, nothing guessed.
//!
//! A misspelt field must not become a default ("abilites" would be full access), so an unknown field is an error of its
//! own. The body is read by the handler and not by an extractor, so that whoever may not ask learns nothing of the form.

use std::{fmt, time::Duration};

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::header::{self, HeaderMap, HeaderName},
    web::{self, BytesMut},
};
use futures_util::StreamExt;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{
    AppState,
    connections::{BodyRead, UnderWay},
    error::ApiError,
};
use crate::ops::{self, FieldError};

const JSON: &str = "application/json";

/// A body that nobody has read yet.
pub(super) struct Body {
    payload: Payload,
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
        let state = request.app_data::<web::Data<AppState>>().expect("the state is part of every application");
        let length = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        let body_read = if matches!(payload, Payload::None) { None } else { UnderWay::has_body(request) };
        std::future::ready(Ok(Self {
            payload: payload.take(),
            body_read,
            media_type: MediaType::of(request.headers()),
            declared_length: length.and_then(|length| length.parse().ok()),
            limit: state.limits.body,
            timeout: state.limits.body_timeout,
        }))
    }
}

impl Body {
    /// The same with a limit of `bytes`, where the configured one is less.
    pub(super) fn of_up_to(self, bytes: usize) -> Self {
        Self { limit: self.limit.max(bytes), ..self }
    }

    /// Reads the body as a JSON object of which `known` are the fields.
    pub(super) async fn form(self, known: &'static [&'static str]) -> Result<Form, ApiError> {
        Form::read(&self.read_as(JSON).await?, known)
    }

    /// The same, where all fields may be missing, and so may the body.
    pub(super) async fn form_or_nothing(self, known: &'static [&'static str]) -> Result<Form, ApiError> {
        let media_type = self.media_type.clone();
        // Without a body its type says nothing: many clients name one all the same.
        let bytes = match self.payload {
            Payload::None => BytesMut::new(),
            _ => self.read_in_time().await?,
        };
        if bytes.is_empty() {
            return Form::read(b"{}", known);
        }
        media_type?.expect(JSON)?;
        Form::read(&bytes, known)
    }

    /// Reads the body as a form in the web's older way, in which the OAuth endpoints are asked (RFC 7662, section 2.1).
    /// Parameters that nobody knows are passed over there, but none may stand twice.
    pub(super) async fn parameter(self, name: &'static str) -> Result<String, ApiError> {
        let bytes = self.read_as("application/x-www-form-urlencoded").await?;
        refuse_byte_order_mark(&bytes)?;
        let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(&bytes)
            .map_err(|_| ApiError::MalformedForm("The body is not a sound form.".to_owned()))?;
        let mut values = pairs.into_iter().filter(|(key, _)| key == name).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (Some(value), None) if !value.is_empty() => Ok(value),
            (Some(_), Some(_)) => Err(ApiError::MalformedForm(format!("The parameter {name} stands twice."))),
            _ => Err(ApiError::MalformedForm(format!("The parameter {name} is required."))),
        }
    }

    async fn read_as(self, media_type: &'static str) -> Result<BytesMut, ApiError> {
        self.media_type.clone()?.expect(media_type)?;
        self.read_in_time().await
    }

    async fn read_in_time(self) -> Result<BytesMut, ApiError> {
        let timeout = self.timeout;
        tokio::time::timeout(timeout, self.read()).await.map_err(|_| ApiError::BodyTimeout)?
    }

    /// The time-out is of the whole body: one that trickles in gets no more of it than one that does not come at all.
    async fn read(mut self) -> Result<BytesMut, ApiError> {
        if self.declared_length.is_some_and(|length| length > self.limit) {
            return Err(ApiError::BodyTooLarge(self.limit));
        }
        let mut bytes = BytesMut::new();
        while let Some(chunk) = self.payload.next().await {
            let chunk = chunk.map_err(|_| ApiError::Malformed("The body broke off.".to_owned()))?;
            if bytes.len() + chunk.len() > self.limit {
                return Err(ApiError::BodyTooLarge(self.limit));
            }
            bytes.extend_from_slice(&chunk);
        }
        if let Some(body_read) = self.body_read {
            body_read.note();
        }
        Ok(bytes)
    }
}

/// What a body is declared to be.
#[derive(Clone)]
struct MediaType {
    /// Type and subtype in lower case; empty where none is declared.
    essence: String,
    /// Whether it is sent as it is, in UTF-8.
    is_plain: bool,
}

impl MediaType {
    /// Either header says it once: of two that differ, nobody knows which one another reader believes.
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

/// A header that may stand once; empty where it is not there.
fn single<'h>(headers: &'h HeaderMap, name: HeaderName, twice: &str) -> Result<&'h str, ApiError> {
    let mut values = headers.get_all(name);
    let value = values.next().map_or(Ok(""), |value| value.to_str().map_err(|_| ApiError::Malformed(twice.to_owned())));
    match values.next() {
        Some(_) => Err(ApiError::Malformed(twice.to_owned())),
        None => value,
    }
}

/// Some editors write one in front of a text without showing it.
fn refuse_byte_order_mark(bytes: &[u8]) -> Result<(), ApiError> {
    let found = match bytes {
        [0xef, 0xbb, 0xbf, ..] => "U+FEFF in UTF-8",
        [0xfe, 0xff, ..] | [0xff, 0xfe, ..] => "of UTF-16",
        _ => return Ok(()),
    };
    let message = format!("The body begins with a byte-order mark ({found}). Send UTF-8 without one.");
    Err(ApiError::Malformed(message))
}

/// The fields of a body, and what is wrong with them so far.
pub(super) struct Form {
    fields: Map<String, Value>,
    known: &'static [&'static str],
    /// What stands before a field's name where this form is an item of another: `tokens.0.`.
    place: String,
    violations: Vec<FieldError>,
}

impl Form {
    fn read(bytes: &[u8], known: &'static [&'static str]) -> Result<Self, ApiError> {
        refuse_byte_order_mark(bytes)?;
        let StrictJson(value) = serde_json::from_slice(bytes)
            .map_err(|error| ApiError::Malformed(format!("The body is not sound JSON: {error}.")))?;
        let Value::Object(fields) = value else {
            return Err(ApiError::Malformed("The body must be a JSON object.".to_owned()));
        };
        Ok(Form { fields, known, place: String::new(), violations: Vec::new() })
    }

    /// Whether the field is there and a list of nothing.
    pub(super) fn says_empty_list(&self, field: &str) -> bool {
        self.fields.get(field).is_some_and(|value| value.as_array().is_some_and(Vec::is_empty))
    }

    /// Whether the field is there and null.
    pub(super) fn says_null(&self, field: &str) -> bool {
        self.fields.get(field).is_some_and(Value::is_null)
    }

    /// Whether the field is there, whatever it says.
    pub(super) fn says(&self, field: &str) -> bool {
        self.fields.contains_key(field)
    }

    /// Refuses null where a missing field means no restriction: a caller whose variable is unset must not get more than one
    /// that sets it. `way_out` is a whole sentence.
    pub(super) fn refuse_null(&mut self, field: &str, way_out: &str) {
        if self.says_null(field) {
            self.fields.remove(field);
            self.refuse(field, format!("must not be null. {way_out}"));
        }
    }

    /// A text that must be there. `None` means that a mistake was noted.
    pub(super) fn required<T, E: fmt::Display>(
        &mut self,
        field: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let missing = self.fields.get(field).is_none_or(Value::is_null);
        if missing {
            self.fields.remove(field);
            self.refuse(field, "is required.");
            return None;
        }
        self.optional(field, parse)
    }

    /// A text that may be missing or null.
    pub(super) fn optional<T, E: fmt::Display>(
        &mut self,
        field: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match self.fields.remove(field)? {
            Value::Null => None,
            Value::String(text) => self.checked(field, parse(&text)),
            _ => self.checked::<T, _>(field, Err("must be a string.")),
        }
    }

    /// A whole number within `range` that may be missing or null.
    pub(super) fn optional_number(&mut self, field: &str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let value = self.fields.remove(field).filter(|value| !value.is_null())?;
        let (least, most) = (range.start(), range.end());
        let number = value.as_u64().filter(|number| range.contains(number));
        self.checked(field, number.ok_or_else(|| format!("must be a whole number from {least} to {most}.")))
    }

    /// A yes or no that may be missing or null.
    pub(super) fn optional_switch(&mut self, field: &str) -> Option<bool> {
        let value = self.fields.remove(field).filter(|value| !value.is_null())?;
        self.checked(field, value.as_bool().ok_or("must be true or false."))
    }

    /// A list of texts that may be missing or null. Each item that does not hold is named by its place: `abilities.0`.
    pub(super) fn optional_list<T, E: fmt::Display>(
        &mut self,
        field: &str,
        most: usize,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        let items = match self.fields.remove(field)? {
            Value::Null => return None,
            Value::Array(items) if items.len() <= most => items,
            Value::Array(_) => {
                return self.checked(field, Err(format!("must not have more than {most} items.")));
            }
            _ => return self.checked(field, Err("must be an array.")),
        };
        let mut list = Vec::with_capacity(items.len());
        for (at, item) in items.iter().enumerate() {
            let field = format!("{field}.{at}");
            let parsed = match item {
                Value::String(text) => self.checked(&field, parse(text)),
                _ => self.checked(&field, Err("must be a string.")),
            };
            list.extend(parsed);
        }
        Some(list)
    }

    /// A list of texts that must be there.
    pub(super) fn required_list<T, E: fmt::Display>(
        &mut self,
        field: &str,
        most: usize,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        if self.fields.get(field).is_none_or(Value::is_null) {
            self.fields.remove(field);
            self.refuse(field, "is required.");
            return None;
        }
        self.optional_list(field, most, parse)
    }

    /// How many fields are there and not null.
    pub(super) fn given(&self) -> usize {
        self.fields.values().filter(|value| !value.is_null()).count()
    }

    /// `true`, or missing or null.
    pub(super) fn optional_true(&mut self, field: &str) -> Option<()> {
        match self.fields.remove(field)? {
            Value::Null => None,
            Value::Bool(true) => Some(()),
            _ => self.checked(field, Err("must be true.")),
        }
    }

    /// A list of objects that must be there, each of which `read` makes a value of; their fields are named by their
    /// place: `tokens.0.token`.
    pub(super) fn required_forms<T>(
        &mut self,
        field: &str,
        most: usize,
        known: &'static [&'static str],
        read: impl Fn(&mut Form) -> Option<T>,
    ) -> Option<Vec<T>> {
        let items = match self.fields.remove(field) {
            Some(Value::Array(items)) if items.len() <= most => items,
            Some(Value::Array(_)) => return self.checked(field, Err(format!("must not have more than {most} items."))),
            None | Some(Value::Null) => return self.checked(field, Err("is required.")),
            Some(_) => return self.checked(field, Err("must be an array.")),
        };
        let mut values = Vec::with_capacity(items.len());
        for (at, item) in items.into_iter().enumerate() {
            let Value::Object(fields) = item else {
                self.refuse(&format!("{field}.{at}"), "must be an object.");
                continue;
            };
            let place = format!("{}{field}.{at}.", self.place);
            let mut form = Form { fields, known, place, violations: Vec::new() };
            values.extend(read(&mut form));
            form.refuse_unknown();
            self.violations.append(&mut form.violations);
        }
        Some(values)
    }

    /// Notes that `field` breaks a rule; `predicate` reads on from "The FIELD field".
    pub(super) fn refuse(&mut self, field: &str, predicate: impl fmt::Display) {
        self.violations.push(FieldError::new(format!("{}{field}", self.place), predicate));
    }

    /// Names the unknown fields, and answers `required` if nothing is wrong with any field.
    pub(super) fn finish<T>(mut self, required: Option<T>) -> Result<T, ApiError> {
        self.refuse_unknown();
        match required {
            Some(value) if self.violations.is_empty() => Ok(value),
            _ => Err(ops::Error::Invalid(self.violations).into()),
        }
    }

    fn refuse_unknown(&mut self) {
        if self.fields.is_empty() {
            return;
        }
        let known = match self.known {
            [] => "There are no fields here.".to_owned(),
            known => format!("The fields here are: {}.", known.join(", ")),
        };
        for (field, _) in std::mem::take(&mut self.fields) {
            self.refuse(&field, format!("is unknown. {known}"));
        }
    }

    fn checked<T, E: fmt::Display>(&mut self, field: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.refuse(field, error)).ok()
    }
}

/// JSON in which no object names a key twice: which of the two counts is a matter of taste, so neither does.
struct StrictJson(Value);

impl<'de> Deserialize<'de> for StrictJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(StrictJson(item)) = sequence.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((key, StrictJson(value))) = access.next_entry::<String, _>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format_args!("the key {key:?} stands twice")));
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}
