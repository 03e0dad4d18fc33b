//! What an event is about.

use uuid::Uuid;

use crate::domain::{
    id::{EnvironmentId, SessionId, TokenId, UserId},
    secret::CredentialKind,
};

/// The text is not a known name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a word of the audit trail")]
pub struct ParseWordError;

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// An account.
    User(UserId),
    /// An unknown account: no account has the address.
    UnknownUser,
    /// A session.
    Session(SessionId),
    /// A personal access token.
    PersonalAccessToken(TokenId),
    /// A token of an environment.
    EnvironmentToken(TokenId),
    /// An environment.
    Environment(EnvironmentId),
    /// A service account.
    ServiceAccount(UserId),
    /// The whole database.
    Database,
}

impl Target {
    /// The target for a token of an environment or of a user.
    pub const fn token(id: TokenId, environment: Option<EnvironmentId>) -> Self {
        match environment {
            Some(_) => Self::EnvironmentToken(id),
            None => Self::PersonalAccessToken(id),
        }
    }

    /// The name of the kind, in the API and in the store.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::User(_) | Self::UnknownUser => "user",
            Self::Session(_) => CredentialKind::Session.as_str(),
            Self::PersonalAccessToken(_) => CredentialKind::PersonalAccessToken.as_str(),
            Self::EnvironmentToken(_) => CredentialKind::EnvironmentToken.as_str(),
            Self::Environment(_) => "environment",
            Self::ServiceAccount(_) => "service_account",
            Self::Database => "database",
        }
    }

    /// The id.
    pub const fn id(self) -> Option<Uuid> {
        match self {
            Self::UnknownUser | Self::Database => None,
            Self::User(id) | Self::ServiceAccount(id) => Some(id.uuid()),
            Self::Session(id) => Some(id.uuid()),
            Self::PersonalAccessToken(id) | Self::EnvironmentToken(id) => Some(id.uuid()),
            Self::Environment(id) => Some(id.uuid()),
        }
    }

    /// The inverse of [`Target::kind`] and [`Target::id`].
    pub fn parse(kind: &str, id: Option<Uuid>) -> Result<Self, ParseWordError> {
        match (kind, id) {
            ("user", None) => Ok(Self::UnknownUser),
            ("user", Some(id)) => Ok(Self::User(UserId::new(id))),
            ("session", Some(id)) => Ok(Self::Session(SessionId::new(id))),
            ("personal_access_token", Some(id)) => Ok(Self::PersonalAccessToken(TokenId::new(id))),
            ("environment_token", Some(id)) => Ok(Self::EnvironmentToken(TokenId::new(id))),
            ("environment", Some(id)) => Ok(Self::Environment(EnvironmentId::new(id))),
            ("service_account", Some(id)) => Ok(Self::ServiceAccount(UserId::new(id))),
            ("database", None) => Ok(Self::Database),
            _ => Err(ParseWordError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_restored_from_kind_and_id() {
        let id = Uuid::from_u128(7);
        let token = TokenId::new(id);
        let targets = [
            Target::UnknownUser,
            Target::User(UserId::new(id)),
            Target::Session(SessionId::new(id)),
            Target::PersonalAccessToken(token),
            Target::EnvironmentToken(token),
            Target::Environment(EnvironmentId::new(id)),
            Target::ServiceAccount(UserId::new(id)),
            Target::Database,
        ];
        for target in targets {
            assert_eq!(Target::parse(target.kind(), target.id()), Ok(target));
        }
        for kind in ["session", "service_account"] {
            assert_eq!(Target::parse(kind, None), Err(ParseWordError));
        }
    }
}
