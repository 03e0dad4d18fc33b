//! The parameters of a query, as text. [`super::query_parameters`] has refused the unknown ones.

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpRequest, dev::Payload};

use super::page;
use crate::http::error::ApiError;

/// The parameters that are not read yet.
pub(crate) struct QueryPairs(Vec<(String, String)>);

impl QueryPairs {
    pub(crate) fn parse(query: &str) -> Result<Self, ApiError> {
        serde_urlencoded::from_str(query)
            .map(Self)
            .map_err(|error| ApiError::Malformed(format!("The query cannot be read: {error}.")))
    }

    /// The value of a parameter that may be given once.
    pub(crate) fn take(&mut self, name: &str) -> Result<Option<String>, ApiError> {
        let mut values = self.0.extract_if(.., |(given, _)| given == name).map(|(_, value)| value);
        let value = values.next();
        match values.next() {
            Some(_) => Err(ApiError::Malformed(format!("The query cannot be read: {name} is given more than once."))),
            None => Ok(value),
        }
    }

    /// The keys and values of the parameters `NAME[KEY]=VALUE`.
    pub(crate) fn take_indexed(&mut self, name: &str) -> Vec<(String, String)> {
        let indexed = self.0.extract_if(.., |(given, _)| key_of(given, name).is_some());
        indexed.map(|(given, value)| (key_of(&given, name).unwrap_or_default().to_owned(), value)).collect()
    }

    /// How many items a page has.
    pub(crate) fn take_limit(&mut self) -> Result<u32, ApiError> {
        page::limit(self.take("limit")?)
    }
}

/// The `KEY` of `NAME[KEY]`. Everything up to the last bracket is the key.
pub(super) fn key_of<'g>(given: &'g str, name: &str) -> Option<&'g str> {
    given.strip_prefix(name)?.strip_prefix('[')?.strip_suffix(']').filter(|key| !key.is_empty())
}

impl FromRequest for QueryPairs {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::parse(request.query_string()))
    }
}
