//! The credential of a request that a policy decides on: from `Authorization`, and from where else the policy says.

use std::borrow::Cow;

use actix_web::http::header::{self, HeaderMap};

use super::{
    error::ApiError,
    guard::{authorization, basic_pair, bearer_or_basic, token},
};
use crate::{
    domain::{
        policy_options::{CredentialPlace, PolicyOptions},
        secret::{Prefixes, PresentedCredential},
    },
    ops::{self, verification::Rejection},
};

const TWO_CREDENTIALS: ApiError =
    ApiError::MalformedAuthorization("There must be one credential, in one place. This request has two.");

/// The credential that `options` accept.
pub(super) fn credential<'h>(
    headers: &'h HeaderMap,
    options: &PolicyOptions,
    prefixes: &Prefixes,
) -> Result<Cow<'h, str>, ApiError> {
    if options.credential_from.is_empty() && !options.challenges.basic {
        return bearer_or_basic(headers);
    }
    let mut found = match of_authorization(headers, options, prefixes) {
        Err(ApiError::Ops(ops::Error::Rejected(Rejection::Missing))) => None,
        other => Some(other?),
    };
    for place in &options.credential_from {
        for value in values(headers, place) {
            if found.is_some() {
                return Err(TWO_CREDENTIALS);
            }
            found = Some(Cow::Borrowed(token(value).map_err(|_| Rejection::Malformed)?));
        }
    }
    found.ok_or_else(|| Rejection::Missing.into())
}

fn of_authorization<'h>(
    headers: &'h HeaderMap,
    options: &PolicyOptions,
    prefixes: &Prefixes,
) -> Result<Cow<'h, str>, ApiError> {
    match authorization(headers)? {
        (scheme, rest) if options.challenges.basic && scheme.eq_ignore_ascii_case(b"basic") => {
            of_basic(&basic_pair(rest)?, prefixes).map(Cow::Owned)
        }
        _ => bearer_or_basic(headers),
    }
}

/// git and its hosts have both spellings: `user:TOKEN`, and `TOKEN:` or `TOKEN:x-oauth-basic`.
fn of_basic(pair: &str, prefixes: &Prefixes) -> Result<String, ApiError> {
    let (user, password) = pair.split_once(':').unwrap_or((pair, ""));
    let is_token = |text: &str| PresentedCredential::parse(text, prefixes).is_ok();
    let chosen = match (is_token(user), is_token(password)) {
        (true, true) => return Err(TWO_CREDENTIALS),
        (true, false) => user,
        (false, _) if password.is_empty() => user,
        (false, _) => password,
    };
    // Somebody typed this. They are asked again.
    match chosen {
        "" => Err(Rejection::Missing.into()),
        text => token(text.as_bytes()).map(str::to_owned).map_err(|_| Rejection::Malformed.into()),
    }
}

/// What stands in `place`, as often as something does. An empty value is none.
fn values<'h>(headers: &'h HeaderMap, place: &CredentialPlace) -> Vec<&'h [u8]> {
    let values: Vec<&[u8]> = match place {
        CredentialPlace::Header(name) => headers.get_all(name.as_str()).map(|value| value.as_bytes()).collect(),
        CredentialPlace::Cookie(name) => headers
            .get_all(header::COOKIE)
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b';'))
            .filter_map(|pair| cookie(pair, name))
            .collect(),
    };
    values.into_iter().map(<[u8]>::trim_ascii).filter(|value| !value.is_empty()).collect()
}

/// The value of a cookie of that name, without the quotes that it may have (RFC 6265, section 4.1.1).
fn cookie<'h>(pair: &'h [u8], name: &str) -> Option<&'h [u8]> {
    let value = pair.trim_ascii().strip_prefix(name.as_bytes())?.trim_ascii_start().strip_prefix(b"=")?.trim_ascii();
    Some(value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value))
}
