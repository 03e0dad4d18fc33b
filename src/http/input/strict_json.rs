//! JSON in which no object may have a key twice: parsers differ in which of the two counts.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::http::error::ApiError;

/// Parses a body.
pub(super) fn parse(bytes: &[u8]) -> Result<Value, ApiError> {
    refuse_byte_order_mark(bytes)?;
    let StrictJson(value) = serde_json::from_slice(bytes)
        .map_err(|error| ApiError::Malformed(format!("The body is not valid JSON: {error}.")))?;
    Ok(value)
}

/// Some editors write a byte-order mark in front of a text without showing it.
pub(super) fn refuse_byte_order_mark(bytes: &[u8]) -> Result<(), ApiError> {
    let found = match bytes {
        [0xef, 0xbb, 0xbf, ..] => "U+FEFF in UTF-8",
        [0xfe, 0xff, ..] | [0xff, 0xfe, ..] => "of UTF-16",
        _ => return Ok(()),
    };
    let message = format!("The body begins with a byte-order mark ({found}). Send UTF-8 without one.");
    Err(ApiError::Malformed(message))
}

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
                return Err(A::Error::custom(format_args!("the key {key:?} occurs twice")));
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}
