//! The `Authorization` header.

use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use base64::prelude::{BASE64_STANDARD, Engine};

use crate::http::{
    codes::Code,
    input::authorization_header::{bearer, bearer_or_basic},
};

/// Each line is one header. Its credential is read as the model reads it, and a credential that was read is read again from
/// a header that is written with it.
pub fn authorization_header(data: &[u8]) {
    let lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    let mut headers = HeaderMap::new();
    let mut values = Vec::new();
    for line in lines {
        let Ok(value) = HeaderValue::from_bytes(line) else { continue };
        headers.append(AUTHORIZATION, value);
        values.push(line);
    }
    let found = bearer(&headers).map(str::to_owned).map_err(|error| error.code());
    assert_eq!(found, model(&values, false), "{values:?}");
    let found = bearer_or_basic(&headers).map(|token| token.into_owned()).map_err(|error| error.code());
    assert_eq!(found, model(&values, true), "{values:?}");
    if let Ok(token) = found {
        for written in [format!("Bearer {token}"), format!("bASIC   {}", BASE64_STANDARD.encode(format!("u:{token}")))]
        {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_str(&written).expect("a token is visible ASCII"));
            assert_eq!(bearer_or_basic(&headers).ok().as_deref(), Some(&*token), "{written}");
        }
    }
}

/// No header, or one with another scheme, counts as no credential. Everything else that is not one token is malformed.
fn model(values: &[&[u8]], accepts_basic: bool) -> Result<String, Code> {
    let [value] = values else {
        return Err(if values.is_empty() { Code::Unauthenticated } else { Code::MalformedRequest });
    };
    // Each byte as a character, so that the positions stay.
    let value: String = value.iter().map(|byte| char::from(*byte)).collect();
    let scheme = value.split([' ', '\t']).next().unwrap_or_default();
    let after = value[scheme.len()..].trim_start_matches(' ');
    if after.starts_with('\t') {
        return Err(Code::MalformedRequest);
    }
    let one_token = |text: &str| match text.chars().all(|c| ('!'..='~').contains(&c)) && !text.is_empty() {
        true => Ok(text.to_owned()),
        false => Err(Code::MalformedRequest),
    };
    match &*scheme.to_ascii_lowercase() {
        "bearer" => one_token(after),
        "basic" if accepts_basic => {
            let decoded = BASE64_STANDARD.decode(after).map_err(|_| Code::MalformedRequest)?;
            let pair = String::from_utf8(decoded).map_err(|_| Code::MalformedRequest)?;
            one_token(pair.split_once(':').map_or("", |(_, password)| password))
        }
        _ => Err(Code::Unauthenticated),
    }
}
