//! Bodies and queries.

use serde_json::{Map, Value};

use crate::{
    domain::{
        ability::Ability,
        account::Email,
        annotations::Description,
        text::Name,
        time::{Timestamp, parse_duration},
        usage_limits::Allowlist,
    },
    http::{
        error::ApiError,
        input::{form::Form, query_pairs::QueryPairs},
    },
};

const PRIVATE_KEY: &[u8] = b"$serde_json::private";

/// The input is a body, and the same text is a query.
pub fn form(data: &[u8]) {
    body(data);
    if let Ok(text) = std::str::from_utf8(data) {
        query(text);
    }
}

/// A body is accepted exactly if it is JSON without a byte-order mark, an object, and has no key twice. Its fields are those
/// that another parser finds.
fn body(data: &[u8]) {
    const KNOWN: &[&str] = &["name"];
    // The other parser reads this key as something of its own.
    if data.windows(PRIVATE_KEY.len()).any(|part| part == PRIVATE_KEY) {
        return;
    }
    let read = serde_json::from_slice::<Value>(data);
    match (Form::parse(data, KNOWN), read) {
        (Ok(form), Ok(Value::Object(fields))) => {
            assert_eq!(form.fields(), &fields);
            refuses_a_key_that_occurs_twice(&fields, KNOWN);
            fields.values().for_each(values);
            // Written and read again, it is the same. Fractions may differ in the last digit; no field has one.
            if fields.values().any(has_fraction) {
                return;
            }
            let written = serde_json::to_vec(&fields).expect("it was JSON");
            assert_eq!(Form::parse(&written, KNOWN).ok().map(|form| form.fields().clone()), Some(fields));
        }
        (Ok(_), read) => panic!("only this program accepts {:?}: {read:?}", String::from_utf8_lossy(data)),
        (Err(ApiError::Malformed(message)), Ok(Value::Object(_))) => {
            assert!(message.contains("occurs twice"), "{message}: {:?}", String::from_utf8_lossy(data));
        }
        (Err(ApiError::Malformed(_)), _) => {}
        (Err(error), _) => panic!("{error:?}"),
    }
}

fn has_fraction(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(items) => items.iter().any(has_fraction),
        Value::Object(fields) => fields.values().any(has_fraction),
        _ => false,
    }
}

fn refuses_a_key_that_occurs_twice(fields: &Map<String, Value>, known: &'static [&'static str]) {
    let Some((key, value)) = fields.iter().next() else { return };
    let key = Value::from(key.as_str());
    for twice in [format!("{{{key}:{value},{key}:null}}"), format!("{{\"list\":[{{{key}:1,{key}:2}}]}}")] {
        assert!(Form::parse(twice.as_bytes(), known).is_err(), "{twice}");
    }
}

/// A text that a field accepts is read as the same again after it was written.
fn values(value: &Value) {
    match value {
        Value::Object(fields) => fields.values().for_each(values),
        Value::Array(items) => items.iter().for_each(values),
        Value::String(text) => {
            same_again(text, |text| Name::parse(text).ok(), |name| name.as_str().to_owned());
            same_again(text, |text| Email::parse(text).ok(), |email| email.as_str().to_owned());
            same_again(text, |text| Description::parse(text).ok(), |description| description.as_str().to_owned());
            same_again(text, |text| Ability::parse(text).ok(), |ability| ability.as_str().to_owned());
            same_again(text, |text| Timestamp::parse(text).ok(), |time| time.to_string());
            same_again(text, |text| Allowlist::parse_network(text).ok(), |network| network.to_string());
            same_again(text, |text| parse_duration(text).ok(), |duration| format!("{}s", duration.as_secs()));
            if let Ok(ability) = Ability::parse(text) {
                covers(&ability);
            }
        }
        _ => {}
    }
}

fn same_again<T: PartialEq + std::fmt::Debug>(
    text: &str,
    parse: impl Fn(&str) -> Option<T>,
    write: impl Fn(&T) -> String,
) {
    if let Some(read) = parse(text) {
        let written = write(&read);
        assert_eq!(parse(&written), Some(read), "{text:?} was written as {written:?}");
    }
}

/// An ability covers itself. `*` covers it exactly if it is not reserved, and so does the wildcard of its first word, unless
/// that is reserved, too.
fn covers(ability: &Ability) {
    let text = ability.as_str();
    assert!(ability.covers(text));
    assert_eq!(Ability::FULL.covers(text), !ability.is_reserved() || text == "*", "{text}");
    assert!(!ability.covers(&format!("other{text}")) || text == "*", "{text}");
    if let Some((word, _)) = text.split_once(':') {
        let above = Ability::parse(&format!("{word}:*")).expect("its first word is a word");
        let is_alike = !ability.is_reserved() || above.is_reserved() || above == *ability;
        assert_eq!(above.covers(text), is_alike, "{text}");
    }
}

/// The pairs of an accepted query are the same after they were written. A parameter that occurs twice is refused.
fn query(text: &str) {
    let Ok(pairs) = serde_urlencoded::from_str::<Vec<(String, String)>>(text) else {
        assert!(QueryPairs::parse(text).is_err());
        return;
    };
    let written = serde_urlencoded::to_string(&pairs).expect("they are texts");
    for query in [text, &*written] {
        for (name, value) in &pairs {
            let mut read = QueryPairs::parse(query).expect("it is a query");
            let count = pairs.iter().filter(|(other, _)| other == name).count();
            match read.take(name) {
                Ok(taken) => {
                    assert_eq!((taken.as_ref(), count), (Some(value), 1), "{query:?}");
                    assert!(matches!(read.take(name), Ok(None)), "it was taken: {query:?}");
                }
                Err(_) => assert!(count > 1, "{query:?}"),
            }
        }
    }
}
