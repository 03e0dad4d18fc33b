//! What a check of a token can end with, and how an answer of the server is read.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, de::DeserializeOwned};

/// The token could be neither accepted nor refused. Answer 503 with it, never 401.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecided(pub(crate) String);

impl fmt::Display for Undecided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Undecided {}

/// The answer of the server about a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The token is valid and has all abilities that were asked for.
    Accepted(Accepted),
    /// The token is refused.
    Refused(Refused),
}

/// Whose an accepted token is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Accepted {
    /// What the token is.
    pub token: Token,
    /// Who owns it. An environment token has an environment instead.
    pub owner: Option<Owner>,
    /// The environment of an environment token.
    pub environment_id: Option<String>,
}

/// What an accepted token is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Token {
    /// Its id, which is no secret.
    pub id: String,
    /// `personal_access_token`, `environment_token` or `session`.
    pub r#type: String,
    /// Its name.
    pub name: Option<String>,
    /// All abilities that it has.
    pub abilities: Vec<String>,
    /// When it was made (RFC 3339).
    pub created_at: Option<String>,
    /// When it expires (RFC 3339), unless it does not.
    pub expires_at: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// What programs noted about it.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
}

/// The user or service account that owns a token.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Owner {
    /// It never changes and is never given to anybody else.
    pub id: String,
    /// `user` or `service_account`.
    pub r#type: String,
    /// The name.
    pub name: String,
    /// The e-mail address of a user. Nobody verified it.
    pub email: Option<String>,
}

/// Why a token is refused.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Refused {
    /// See the table of verdicts in `docs/errors.md` of patd.
    pub code: String,
    /// For `missing_ability`: the abilities that were asked for.
    #[serde(default)]
    pub required: Vec<String>,
    /// For `missing_ability`: those that the token lacks.
    #[serde(default)]
    pub missing: Vec<String>,
}

/// The answer of an introspection (RFC 7662) about a valid token.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Introspection {
    /// The abilities, separated by spaces.
    pub scope: String,
    /// The id of the credential.
    pub jti: String,
    /// The id of the user, the service account or the environment.
    pub sub: String,
    /// The e-mail address of a user.
    pub username: Option<String>,
    /// The expiry, in Unix seconds.
    pub exp: Option<i64>,
    /// When it was made, in Unix seconds.
    pub iat: i64,
    /// `service_account` if `sub` is one.
    pub principal_type: Option<String>,
    /// The environment of an environment token.
    pub environment_id: Option<String>,
}

#[derive(Deserialize)]
struct Envelope {
    data: serde_json::Value,
}

#[derive(Deserialize)]
struct Kind {
    valid: bool,
    code: String,
}

/// Reads the answer of a verification. Whatever is not a verdict, such as a redirect or a page of a proxy, is undecided.
pub(crate) fn read_verdict(status: u16, body: &[u8]) -> Result<Verdict, Undecided> {
    check_status(status)?;
    let Envelope { data } = parse(body)?;
    let Kind { valid, code } = Kind::deserialize(&data).map_err(malformed)?;
    match (valid, code == "valid") {
        (true, true) => Accepted::deserialize(data).map(Verdict::Accepted).map_err(malformed),
        (false, false) => Refused::deserialize(data).map(Verdict::Refused).map_err(malformed),
        _ => Err(malformed("a contradiction")),
    }
}

/// Reads the answer of an introspection.
pub(crate) fn read_introspection(status: u16, body: &[u8]) -> Result<Option<Introspection>, Undecided> {
    #[derive(Deserialize)]
    struct Activity {
        active: bool,
    }
    check_status(status)?;
    let data: serde_json::Value = parse(body)?;
    match Activity::deserialize(&data).map_err(malformed)?.active {
        true => Introspection::deserialize(data).map(Some).map_err(malformed),
        false => Ok(None),
    }
}

fn check_status(status: u16) -> Result<(), Undecided> {
    match status {
        200 => Ok(()),
        401 | 403 => Err(Undecided(format!(
            "patd refused the credential of this client ({status}); it must be a token with tokens:introspect"
        ))),
        _ => Err(Undecided(format!("patd answered {status}"))),
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Undecided> {
    serde_json::from_slice(body).map_err(malformed)
}

/// The error of the parser is left out, because it may quote what it read.
fn malformed<E>(_: E) -> Undecided {
    Undecided("the answer is not one of patd: check the URL and what is in front of it".to_owned())
}
