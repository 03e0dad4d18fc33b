//! The operations that can be asked for, as they travel over the socket. What is in them is judged where it is carried out.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    domain::{
        ability::{Abilities, Ability},
        account::Email,
        text::Name,
        time::Timestamp,
        usage_limits::{Allowlist, UsageLimits},
    },
    ops::FieldError,
};

/// The version of the messages on the socket. Raise it with every change to a request, a view or an error.
pub const PROTOCOL: u32 = 1;

/// The release of this program.
pub(super) const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// One operation.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Makes a user; answers a [`UserView`](crate::views::UserView).
    CreateUser {
        /// Who it will be.
        user: NewUser,
        /// Their password.
        password: Secret,
    },
    /// Lists users; answers [`UserView`](crate::views::UserView)s.
    ListUsers(UserList),
    /// Shows the user of this e-mail address or id; answers a [`UserView`](crate::views::UserView), as the next two do.
    ShowUser(String),
    /// Disables a user.
    DisableUser(String),
    /// Enables a user.
    EnableUser(String),
    /// Sets a user's e-mail address; answers a [`UserView`](crate::views::UserView).
    SetEmail {
        /// E-mail address or id.
        user: String,
        /// The new address.
        email: String,
    },
    /// Sets a user's password; answers a [`UserView`](crate::views::UserView).
    SetPassword {
        /// E-mail address or id.
        user: String,
        /// The new password.
        password: Secret,
    },
    /// Makes a personal token; answers an [`IssuedView`](super::views::IssuedView).
    CreateToken(NewToken),
    /// Lists tokens; answers [`ListedTokenView`](super::views::ListedTokenView)s.
    ListTokens(TokenList),
    /// Revokes a token; answers a [`ChangedTokenView`](super::views::ChangedTokenView), as the next two do.
    RevokeToken(WhichToken),
    /// Disables a personal token.
    DisableToken(WhichToken),
    /// Enables a personal token.
    EnableToken(WhichToken),
    /// Revokes many tokens; answers a [`RevokedView`](super::views::RevokedView).
    RevokeTokens(WhoseTokens),
    /// Says whether a credential is accepted and may do something; answers a [`JudgedView`](super::views::JudgedView).
    JudgeToken(JudgeToken),
}

impl Request {
    /// Whether it changes something that an interruption could leave in doubt.
    pub const fn is_change(&self) -> bool {
        !matches!(self, Self::ListUsers(_) | Self::ShowUser(_) | Self::ListTokens(_) | Self::JudgeToken(_))
    }
}

/// A token's id, as it was typed.
pub type WhichToken = String;

/// A text that is wiped from memory when it is dropped, and shown nowhere.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text.
    pub fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

/// What makes a user, beside the password.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// What the person is called.
    pub name: String,
    /// The address to sign in with.
    pub email: String,
}

impl NewUser {
    /// The name and the address, if both hold.
    pub fn judge(&self) -> Result<(Name, Email), Vec<FieldError>> {
        let name = Name::parse(&self.name).map_err(|error| FieldError::new("name", error));
        let email = Email::parse(&self.email).map_err(|error| FieldError::new("email", error));
        match (name, email) {
            (Ok(name), Ok(email)) => Ok((name, email)),
            (name, email) => Err(name.err().into_iter().chain(email.err()).collect()),
        }
    }
}

/// Which users to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserList {
    /// Only those whose name or address holds this text.
    pub search: Option<String>,
    /// The order.
    pub sort: UserSort,
    /// The other way round.
    pub reverse: bool,
    /// At most so many.
    pub limit: Option<u64>,
}

/// By what users are sorted.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserSort {
    /// Oldest first.
    #[default]
    Created,
    /// By name.
    Name,
    /// By address.
    Email,
}

/// What makes a personal token.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// Whose it will be: e-mail address or id.
    pub user: String,
    /// What it is called.
    pub name: String,
    /// What it may do; `None` where nothing is said.
    pub abilities: Option<Vec<String>>,
    /// After how many seconds it ends; `None` where nothing is said.
    pub expires_in: Option<u64>,
    /// From where and how much it may be used.
    pub limits: LimitsRequest,
}

/// From where and how much a token may be used.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsRequest {
    /// Addresses and networks; none is from anywhere.
    pub ip_allowlist: Vec<String>,
    /// How often in a minute.
    pub requests_per_minute: Option<u32>,
    /// How often in all.
    pub quota: Option<u32>,
}

impl NewToken {
    /// The name, the abilities and the limits, if all hold.
    pub fn judge(&self) -> Result<(Name, Option<Abilities>, UsageLimits), Vec<FieldError>> {
        let mut violations = Vec::new();
        let name = Name::parse(&self.name).map_err(|error| violations.push(FieldError::new("name", error))).ok();
        let abilities = self.abilities.as_ref().map(|texts| {
            let wanted = parse_each("abilities", texts, Ability::parse, &mut violations);
            Abilities::new(wanted).map_err(|error| violations.push(FieldError::new("abilities", error))).ok()
        });
        let networks = parse_each("ip_allowlist", &self.limits.ip_allowlist, Allowlist::parse_network, &mut violations);
        let allowlist =
            Allowlist::new(networks).map_err(|error| violations.push(FieldError::new("ip_allowlist", error))).ok();
        let LimitsRequest { requests_per_minute, quota, .. } = self.limits;
        match (name, abilities.unwrap_or_default(), allowlist) {
            (Some(name), abilities, Some(allowlist)) if violations.is_empty() => {
                Ok((name, abilities, UsageLimits { allowlist, requests_per_minute, quota }))
            }
            _ => Err(violations),
        }
    }

    /// How long it lasts, where that is said.
    pub fn lifetime(&self) -> Option<Duration> {
        self.expires_in.map(Duration::from_secs)
    }
}

fn parse_each<T, E: fmt::Display>(
    field: &str,
    texts: &[String],
    parse: fn(&str) -> Result<T, E>,
    violations: &mut Vec<FieldError>,
) -> Vec<T> {
    let mut parsed = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        match parse(text) {
            Ok(one) => parsed.push(one),
            Err(error) => violations.push(FieldError::new(format!("{field}.{at}"), error)),
        }
    }
    parsed
}

/// Which tokens to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenList {
    /// Whose; `None` is everybody's.
    pub whose: Option<WhoseTokens>,
    /// Only those in this state; `None` is all but the revoked.
    pub state: Option<TokenState>,
    /// Only those whose name, or whose owner's address, holds this text.
    pub search: Option<String>,
    /// Only those that end before this time.
    pub expires_before: Option<Moment>,
    /// Only those that were not used at this time or later.
    pub unused_since: Option<Moment>,
    /// The order.
    pub sort: TokenSort,
    /// The other way round.
    pub reverse: bool,
    /// At most so many.
    pub limit: Option<u64>,
}

/// Whose tokens.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhoseTokens {
    /// Those of the user of this e-mail address or id.
    User(String),
    /// Those of the environment of this id.
    Environment(String),
}

/// The state of a token.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenState {
    /// Neither revoked nor past its end.
    Active,
    /// Past its end.
    Expired,
    /// Revoked.
    Revoked,
}

/// By what tokens are sorted.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenSort {
    /// Newest first.
    #[default]
    Created,
    /// By name.
    Name,
    /// By their owner's address.
    User,
    /// Latest use first.
    LastUsed,
    /// Soonest end first.
    Expires,
}

/// A time, by the clock of whoever carries out the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// In Unix seconds.
    At(i64),
    /// So many seconds ago.
    Ago(u64),
    /// In so many seconds.
    Ahead(u64),
}

impl Moment {
    /// The time that it is at `now`.
    pub fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(seconds) => Timestamp::from_unix(seconds),
            Self::Ago(seconds) => now.minus(Duration::from_secs(seconds)),
            Self::Ahead(seconds) => now.plus(Duration::from_secs(seconds)),
        }
    }
}

/// A credential and what it would have to be good for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JudgeToken {
    /// The credential.
    pub token: Secret,
    /// The kinds of credential that are taken.
    pub kinds: Vec<String>,
    /// What it must be able to do, all of it.
    pub abilities: Vec<String>,
    /// From where it is used.
    pub address: Option<std::net::IpAddr>,
}
