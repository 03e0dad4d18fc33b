//! Requests as they are sent over the socket. Their content is checked by the side that executes them.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    audit_request::EventList,
    moment::Moment,
    owner_requests::{EnvironmentRequest, HandOverRequest, ServiceAccountRequest},
    secret::Secret,
    user_request::{NewUser, UserList, UserRemoval},
};
use crate::{
    domain::{
        ability::{Abilities, Ability},
        annotations::{Annotations, Description, Metadata},
        text::Name,
        usage_limits::{Allowlist, UsageLimits},
    },
    ops::{FieldError, token_search::FilterTexts},
};

/// The version of the messages on the socket. Raise it with every change to a request, a view or an error.
pub const PROTOCOL: u32 = 1;

/// The release of this program.
pub(super) const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// One operation.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Creates a user. Returns an [`AccountView`](crate::views::AccountView).
    CreateUser {
        /// The name and address.
        user: NewUser,
        /// The password.
        password: Secret,
    },
    /// Creates a user without a password. Returns an [`InvitedView`](crate::views::InvitedView).
    InviteUser(NewUser),
    /// Resets the password of the user with this e-mail address or id. Returns an
    /// [`InvitedView`](crate::views::InvitedView).
    ResetPassword(String),
    /// Sets a user's role. Returns a [`UserView`](crate::views::UserView).
    SetRole {
        /// The e-mail address or id of the user.
        user: String,
        /// `member` or `admin`.
        role: String,
    },
    /// Clears what the throttle holds against a user. Returns a [`CountView`](super::views::CountView).
    UnlockUser(String),
    /// Lists a user's sessions. Returns one [`SessionView`](crate::views::SessionView) each.
    ListSessions(String),
    /// Ends all sessions of a user. Returns a [`CountView`](super::views::CountView).
    EndSessions(String),
    /// Lists users. Returns one [`AccountView`](crate::views::AccountView) each.
    ListUsers(UserList),
    /// Shows the user with this e-mail address or id. Returns an [`AccountDetailsView`](crate::views::AccountDetailsView).
    ShowUser(String),
    /// Disables a user. Returns a [`DisabledAccountView`](crate::views::DisabledAccountView).
    DisableUser {
        /// The user, and who gets what they own.
        removal: UserRemoval,
        /// Whether nothing is changed.
        dry_run: bool,
    },
    /// Enables a user. Returns a [`UserView`](crate::views::UserView).
    EnableUser(String),
    /// Sets a user's e-mail address. Returns a [`UserView`](crate::views::UserView).
    SetEmail {
        /// The e-mail address or id of the user.
        user: String,
        /// The new address.
        email: String,
    },
    /// Sets a user's password. Returns a [`UserView`](crate::views::UserView).
    SetPassword {
        /// The e-mail address or id of the user.
        user: String,
        /// The new password.
        password: Secret,
    },
    /// Exports everything about a user. Returns [`ExportItemView`](crate::views::ExportItemView)s.
    ExportUser(String),
    /// Says what the deletion of a user would end. Returns a [`DeletionView`](crate::views::DeletionView).
    PreviewDeletion(UserRemoval),
    /// Deletes a user. Returns a [`DeletionView`](crate::views::DeletionView).
    DeleteUser(UserRemoval),
    /// Creates a personal token. Returns an [`IssuedView`](super::views::IssuedView).
    CreateToken(NewToken),
    /// Lists tokens. Returns one [`ListedTokenView`](super::views::ListedTokenView) each.
    ListTokens(TokenList),
    /// Revokes a token. Returns a [`ChangedTokenView`](super::views::ChangedTokenView).
    RevokeToken(WhichToken),
    /// Replaces a token. Returns an [`IssuedView`](super::views::IssuedView).
    RotateToken(TokenRotation),
    /// Disables a personal token. Returns a [`ChangedTokenView`](super::views::ChangedTokenView).
    DisableToken(WhichToken),
    /// Enables a personal token. Returns a [`ChangedTokenView`](super::views::ChangedTokenView).
    EnableToken(WhichToken),
    /// Shows what a token did. Returns some [`UsageItem`](super::views::UsageItem).
    ShowTokenUsage(WhichToken),
    /// Shows all that is known about a token. Returns some [`ReportItem`](super::views::ReportItem).
    ShowTokenReport(WhichToken),
    /// Revokes many tokens. Returns a [`RevokedView`](super::views::RevokedView).
    RevokeTokens(WhoseTokens),
    /// Revokes the tokens that a filter finds. Returns a [`RevokedMatchingView`](super::views::RevokedMatchingView).
    RevokeMatching(RevokeMatching),
    /// Does something with service accounts.
    ServiceAccount(ServiceAccountRequest),
    /// Does something with environments.
    Environment(EnvironmentRequest),
    /// Shows what a user or a service account owns. Returns an [`OwnedView`](crate::views::OwnedView).
    ShowOwned(String),
    /// Hands over tokens and environments. Returns a [`HandedOverView`](crate::views::HandedOverView).
    HandOver(HandOverRequest),
    /// Lists events of the audit trail. Returns one [`AdminEventView`](crate::views::AdminEventView) each.
    ListEvents(EventList),
    /// Seals the audit trail. Returns the latest [`SealView`](super::SealView), or nothing if there are no events.
    SealEvents,
    /// Checks the seals of the audit trail. Returns [`VerificationView`](super::VerificationView)s, of which the last is the
    /// result.
    VerifySeals {
        /// A seal that was written down.
        expected: Option<String>,
    },
    /// Lists the servers that share the database. Returns one [`NodeView`](super::NodeView) each.
    ListNodes,
    /// Shows the process that carries out requests. Returns a [`ServerView`](super::ServerView).
    ShowServer,
    /// Checks whether a credential is accepted and satisfies a rule. Returns a [`JudgedView`](super::views::JudgedView).
    JudgeToken(JudgeToken),
}

impl Request {
    /// Whether the request changes something, so that an interruption leaves open whether it was done.
    pub const fn is_change(&self) -> bool {
        match self {
            Self::ServiceAccount(request) => request.is_change(),
            Self::Environment(request) => request.is_change(),
            Self::ListSessions(_)
            | Self::ListUsers(_)
            | Self::ShowUser(_)
            | Self::PreviewDeletion(_)
            | Self::ExportUser(_)
            | Self::ListTokens(_)
            | Self::ShowTokenUsage(_)
            | Self::ShowTokenReport(_)
            | Self::ShowOwned(_)
            | Self::ListEvents(_)
            | Self::VerifySeals { .. }
            | Self::ListNodes
            | Self::ShowServer
            | Self::JudgeToken(_) => false,
            _ => true,
        }
    }

    /// Whether the answer may be long, or take long between its chunks.
    pub(super) const fn is_long(&self) -> bool {
        matches!(
            self,
            Self::ListUsers(_)
                | Self::ExportUser(_)
                | Self::ListTokens(_)
                | Self::ListEvents(_)
                | Self::SealEvents
                | Self::VerifySeals { .. }
        )
    }
}

/// The id of a token as typed.
pub type WhichToken = String;

/// The data of a new personal token.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// The e-mail address or id of the owner.
    pub user: String,
    /// The name.
    pub name: String,
    /// The abilities. `None` means the default.
    pub abilities: Option<Vec<String>>,
    /// The lifetime in seconds. `None` means the default.
    pub expires_in: Option<u64>,
    /// The usage limits.
    pub limits: LimitsRequest,
    /// The description, if it has one.
    pub description: Option<String>,
    /// The metadata: keys and values.
    pub metadata: BTreeMap<String, String>,
    /// Whether it is a canary token.
    pub canary: bool,
}

/// The usage limits of a new token.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsRequest {
    /// The allowed addresses and networks. An empty list allows every address.
    pub ip_allowlist: Vec<String>,
    /// The rate limit: uses in a minute.
    pub requests_per_minute: Option<u32>,
    /// The quota: uses in all.
    pub quota: Option<u32>,
}

impl NewToken {
    /// Parses all but the owner.
    pub fn parse(&self) -> Result<ParsedToken, Vec<FieldError>> {
        let mut errors = Vec::new();
        let name = Name::parse(&self.name).map_err(|error| errors.push(FieldError::new("name", error))).ok();
        let abilities = self.abilities.as_ref().map(|texts| {
            let wanted = parse_each("abilities", texts, Ability::parse, &mut errors);
            Abilities::new(wanted).map_err(|error| errors.push(FieldError::new("abilities", error))).ok()
        });
        let networks = parse_each("ip_allowlist", &self.limits.ip_allowlist, Allowlist::parse_network, &mut errors);
        let allowlist =
            Allowlist::new(networks).map_err(|error| errors.push(FieldError::new("ip_allowlist", error))).ok();
        let LimitsRequest { requests_per_minute, quota, .. } = self.limits;
        let description = self.description.as_deref().map(Description::parse_optional).transpose();
        let description = description.map_err(|error| errors.push(FieldError::new("description", error))).ok();
        let metadata = parse_metadata(&self.metadata, &mut errors);
        match (name, abilities.unwrap_or_default(), allowlist) {
            (Some(name), abilities, Some(allowlist)) if errors.is_empty() => Ok(ParsedToken {
                name,
                abilities,
                limits: UsageLimits { allowlist, requests_per_minute, quota },
                annotations: Annotations { description: description.flatten().flatten(), metadata },
            }),
            _ => Err(errors),
        }
    }

    /// The lifetime.
    pub fn lifetime(&self) -> Option<Duration> {
        self.expires_in.map(Duration::from_secs)
    }
}

/// What [`NewToken::parse`] found.
#[derive(Debug)]
pub struct ParsedToken {
    /// The name.
    pub name: Name,
    /// The abilities. `None` means the default.
    pub abilities: Option<Abilities>,
    /// The usage limits.
    pub limits: UsageLimits,
    /// The description and the metadata.
    pub annotations: Annotations,
}

/// Parses keys and values.
pub(super) fn parse_metadata(pairs: &BTreeMap<String, String>, errors: &mut Vec<FieldError>) -> Metadata {
    let mut metadata = Metadata::default();
    for (key, value) in pairs {
        if let Err(error) = Metadata::check(key, value) {
            errors.push(FieldError::new(format!("metadata.{key}"), error));
        } else if let Err(error) = metadata.insert(key, value) {
            errors.push(FieldError::new("metadata", error));
        }
    }
    metadata
}

/// How to replace a token.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRotation {
    /// The id of the token.
    pub id: WhichToken,
    /// The abilities of the successor. `None` keeps those of the token.
    pub abilities: Option<Vec<String>>,
    /// How many seconds the old secret stays valid. `None` means the configured time.
    pub keep: Option<u64>,
}

impl TokenRotation {
    /// Parses the abilities.
    pub fn abilities(&self) -> Result<Option<Abilities>, Vec<FieldError>> {
        let Some(texts) = &self.abilities else { return Ok(None) };
        let mut errors = Vec::new();
        let wanted = parse_each("abilities", texts, Ability::parse, &mut errors);
        let abilities = Abilities::new(wanted).map_err(|error| errors.push(FieldError::new("abilities", error))).ok();
        if errors.is_empty() { Ok(abilities) } else { Err(errors) }
    }
}

fn parse_each<T, E: fmt::Display>(
    field: &str,
    texts: &[String],
    parse: fn(&str) -> Result<T, E>,
    errors: &mut Vec<FieldError>,
) -> Vec<T> {
    let mut parsed = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        match parse(text) {
            Ok(one) => parsed.push(one),
            Err(error) => errors.push(FieldError::new(format!("{field}.{at}"), error)),
        }
    }
    parsed
}

/// Which tokens to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenList {
    /// Only tokens of this user or environment.
    pub whose: Option<WhoseTokens>,
    /// Only tokens that satisfy these filters.
    pub filter: FilterTexts,
    /// Only tokens whose name, or whose owner's address, contains this text.
    pub search: Option<String>,
    /// Only tokens that expire or become idle before this time.
    pub expires_before: Option<Moment>,
    /// Only tokens that were neither used nor created at this time or later.
    pub unused_since: Option<Moment>,
    /// The order.
    pub sort: TokenSort,
    /// Whether the order is reversed.
    pub reverse: bool,
    /// At most this many.
    pub limit: Option<u64>,
}

/// The tokens of a user or of an environment.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhoseTokens {
    /// The tokens of the user with this e-mail address or id.
    User(String),
    /// The tokens of the environment with this id.
    Environment(String),
}

/// Revokes all tokens that a filter finds and that are neither revoked nor expired.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokeMatching {
    /// Which tokens. Not empty.
    pub filter: FilterTexts,
    /// Only counts them.
    pub dry_run: bool,
}

/// The order of tokens.
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
    /// Earliest expiry first.
    Expires,
}

/// A credential and the rule that it is checked against.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JudgeToken {
    /// The credential.
    pub token: Secret,
    /// The accepted kinds.
    pub kinds: Vec<String>,
    /// The required abilities.
    pub abilities: Vec<String>,
    /// The address from which it is used.
    pub address: Option<std::net::IpAddr>,
}
