//! The filters of searches among the tokens of everybody, as text. HTTP and the command line send the same texts.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    context::Context,
    error::{Error, FieldError},
};
use crate::{
    domain::{
        ability::Ability,
        account::Email,
        annotations::Metadata,
        id::{EnvironmentId, UserId},
        secret::CredentialKind,
        text::{Name, folded},
        time::{Timestamp, parse_duration},
        token::{Token, TokenState},
    },
    store::{Period, States, TokenFilter},
};

/// Filters that combine: a token must satisfy all that are given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FilterTexts {
    /// The id or the e-mail address of the owner.
    pub owner: Option<String>,
    /// The id of an environment.
    pub environment: Option<String>,
    /// Whether the owner is a service account: `true` or `false`.
    pub service_account: Option<String>,
    /// `personal_access_token` or `environment_token`.
    pub kind: Option<String>,
    /// `active`, `expired`, `revoked` or `all`. Without it, all that are not revoked.
    pub state: Option<String>,
    /// A part of the name.
    pub name: Option<String>,
    /// An ability that the token covers.
    pub ability: Option<String>,
    /// The first moment of creation.
    pub created_after: Option<String>,
    /// The first moment after it.
    pub created_before: Option<String>,
    /// The first moment of expiry.
    pub expires_after: Option<String>,
    /// The first moment after it.
    pub expires_before: Option<String>,
    /// The first moment of the last use.
    pub last_used_after: Option<String>,
    /// The first moment after it.
    pub last_used_before: Option<String>,
    /// A duration: neither used nor created in it.
    pub unused_for: Option<String>,
    /// Whether it is a canary token: `true` or `false`.
    pub canary: Option<String>,
    /// Keys and their values.
    pub metadata: Vec<(String, String)>,
}

impl FilterTexts {
    /// The names of all filters except `metadata`.
    pub const NAMES: &[&str] = &[
        "owner",
        "environment",
        "service_account",
        "kind",
        "state",
        "name",
        "ability",
        "created_after",
        "created_before",
        "expires_after",
        "expires_before",
        "last_used_after",
        "last_used_before",
        "unused_for",
        "canary",
    ];

    /// The filter with this name.
    pub fn field(&mut self, name: &str) -> Option<&mut Option<String>> {
        Some(match name {
            "owner" => &mut self.owner,
            "environment" => &mut self.environment,
            "service_account" => &mut self.service_account,
            "kind" => &mut self.kind,
            "state" => &mut self.state,
            "name" => &mut self.name,
            "ability" => &mut self.ability,
            "created_after" => &mut self.created_after,
            "created_before" => &mut self.created_before,
            "expires_after" => &mut self.expires_after,
            "expires_before" => &mut self.expires_before,
            "last_used_after" => &mut self.last_used_after,
            "last_used_before" => &mut self.last_used_before,
            "unused_for" => &mut self.unused_for,
            "canary" => &mut self.canary,
            _ => return None,
        })
    }

    /// Whether there is no filter.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Reads all texts. `now` is for relative times.
    pub(super) async fn read(&self, ctx: &Context, now: Timestamp) -> Result<TokenFilter, Error> {
        let mut errors = Vec::new();
        let mut reader = Reader(&mut errors);
        let mut filter = TokenFilter {
            owner: None,
            environment: reader.read("environment", &self.environment, |text| {
                EnvironmentId::parse(text).ok_or("must be the id of an environment.")
            }),
            of_service_account: reader.read("service_account", &self.service_account, parse_bool),
            of_environment: reader.read("kind", &self.kind, |text| match text {
                _ if text == CredentialKind::PersonalAccessToken.as_str() => Ok(false),
                _ if text == CredentialKind::EnvironmentToken.as_str() => Ok(true),
                _ => Err("must be personal_access_token or environment_token."),
            }),
            states: reader
                .read("state", &self.state, |text| match text {
                    "active" => Ok(States::Only(TokenState::Active)),
                    "expired" => Ok(States::Only(TokenState::Expired)),
                    "revoked" => Ok(States::Only(TokenState::Revoked)),
                    "all" => Ok(States::All),
                    _ => Err("must be active, expired, revoked or all."),
                })
                .unwrap_or_default(),
            idle_since: ctx.rules.token_lifetimes.idle_since(now),
            name: reader.read("name", &self.name, |text| match text.chars().count() {
                0 => Err("must not be empty."),
                1..=Name::MAX_CHARS => Ok(folded(text)),
                _ => Err("must not be greater than 255 characters."),
            }),
            ability: reader.read("ability", &self.ability, Ability::parse),
            created: reader.period(("created_after", &self.created_after), ("created_before", &self.created_before)),
            expires: reader.period(("expires_after", &self.expires_after), ("expires_before", &self.expires_before)),
            last_used: reader
                .period(("last_used_after", &self.last_used_after), ("last_used_before", &self.last_used_before)),
            unused_since: reader
                .read("unused_for", &self.unused_for, parse_duration)
                .map(|duration: Duration| now.minus(duration)),
            metadata: Metadata::default(),
            canary: reader.read("canary", &self.canary, parse_bool),
        };
        for (key, value) in &self.metadata {
            let field = || format!("metadata[{key}]");
            if let Err(error) = Metadata::check(key, value) {
                errors.push(FieldError::new(field(), error));
            } else if filter.metadata.get(key).is_some() {
                errors.push(FieldError::new(field(), "must be given once: a token has one value for each key."));
            } else if let Err(error) = filter.metadata.insert(key, value) {
                errors.push(FieldError::new("metadata", error));
            }
        }
        if let Some(text) = &self.owner {
            filter.owner = find_owner(ctx, text).await?;
            if filter.owner.is_none() {
                errors.push(FieldError::new(
                    "owner",
                    "must be the id of a user or a service account, or the e-mail address of a user.",
                ));
            }
        }
        if errors.is_empty() { Ok(filter) } else { Err(Error::Invalid(errors)) }
    }
}

/// The owner with this id or address, if there is one.
async fn find_owner(ctx: &Context, text: &str) -> Result<Option<UserId>, Error> {
    if let Some(id) = UserId::parse(text) {
        return match ctx.store.owner(id).await.map_err(Error::from) {
            Ok(owner) => Ok(Some(owner.id())),
            Err(Error::NotFound) => Ok(None),
            Err(error) => Err(error),
        };
    }
    let Ok(email) = Email::parse_stored(text) else { return Ok(None) };
    Ok(ctx.store.credentials_by_email(&email).await?.map(|found| found.user.id))
}

/// Whether a token that the store found is meant also with a use that is not written yet.
pub(super) fn is_still_meant(ctx: &Context, filter: &TokenFilter, token: &Token) -> bool {
    let last_used = ctx.uses.latest_token(token.number, token.last_used_at);
    let is_unused = filter.unused_since.is_none_or(|since| last_used.unwrap_or(token.created_at) < since);
    is_unused && filter.last_used.contains(last_used)
}

fn parse_bool(text: &str) -> Result<bool, &'static str> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("must be true or false."),
    }
}

/// Reads texts and collects all mistakes.
struct Reader<'e>(&'e mut Vec<FieldError>);

impl Reader<'_> {
    fn read<T, E: std::fmt::Display>(
        &mut self,
        field: &str,
        text: &Option<String>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        parse(text.as_ref()?).map_err(|error| self.0.push(FieldError::new(field, error))).ok()
    }

    fn period(&mut self, from: (&str, &Option<String>), before: (&str, &Option<String>)) -> Period {
        let period = Period {
            from: self.read(from.0, from.1, Timestamp::parse),
            before: self.read(before.0, before.1, Timestamp::parse),
        };
        if period.from.zip(period.before).is_some_and(|(from, before)| from >= before) {
            self.0.push(FieldError::new(before.0, format!("must be later than {}.", from.0)));
        }
        period
    }
}
