//! Who acts, as the audit trail records it.

use uuid::Uuid;

use super::target::ParseWordError;
use crate::domain::{
    id::{SessionId, TokenId, UserId},
    secret::CredentialKind,
    session::Session,
    token::Token,
};

/// Who acts. [`Actor::session`] and [`Actor::token`] make the one of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A session of a signed-in user.
    Session {
        /// The session.
        id: SessionId,
        /// Its user. `None` only in events from before this was recorded.
        user: Option<UserId>,
    },
    /// Software with the token of a user or a service account.
    PersonalAccessToken {
        /// The token.
        id: TokenId,
        /// Its owner. `None` only in events from before this was recorded.
        user: Option<UserId>,
    },
    /// Software with a token of an environment. It stands for no user, not even for the environment's owner.
    EnvironmentToken(TokenId),
    /// An administrator at the command line.
    CommandLine,
    /// A client without a credential, for example at sign-in or registration.
    Anonymous,
    /// The server itself.
    System,
}

impl Actor {
    /// A user with this session.
    pub const fn session(session: &Session) -> Self {
        Self::Session { id: session.id, user: Some(session.user) }
    }

    /// Software with this token.
    pub const fn token(token: &Token) -> Self {
        match token.environment {
            None => Self::personal_access_token(token.id, token.owner),
            Some(_) => Self::EnvironmentToken(token.id),
        }
    }

    /// Software with this token of a user or a service account.
    pub const fn personal_access_token(id: TokenId, owner: UserId) -> Self {
        Self::PersonalAccessToken { id, user: Some(owner) }
    }

    /// The name of the kind, in the API and in the store.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Session { .. } => CredentialKind::Session.as_str(),
            Self::PersonalAccessToken { .. } => CredentialKind::PersonalAccessToken.as_str(),
            Self::EnvironmentToken(_) => CredentialKind::EnvironmentToken.as_str(),
            Self::CommandLine => "command_line",
            Self::Anonymous => "anonymous",
            Self::System => "system",
        }
    }

    /// The id of the session or token.
    pub const fn id(self) -> Option<Uuid> {
        match self {
            Self::Session { id, .. } => Some(id.uuid()),
            Self::PersonalAccessToken { id, .. } | Self::EnvironmentToken(id) => Some(id.uuid()),
            Self::CommandLine | Self::Anonymous | Self::System => None,
        }
    }

    /// The user or service account whose session or token acts.
    pub const fn user(self) -> Option<UserId> {
        match self {
            Self::Session { user, .. } | Self::PersonalAccessToken { user, .. } => user,
            Self::EnvironmentToken(_) | Self::CommandLine | Self::Anonymous | Self::System => None,
        }
    }

    /// The inverse of [`Actor::kind`], [`Actor::id`] and [`Actor::user`].
    pub fn parse(kind: &str, id: Option<Uuid>, user: Option<UserId>) -> Result<Self, ParseWordError> {
        match (kind, id, user) {
            ("session", Some(id), user) => Ok(Self::Session { id: SessionId::new(id), user }),
            ("personal_access_token", Some(id), user) => Ok(Self::PersonalAccessToken { id: TokenId::new(id), user }),
            ("environment_token", Some(id), None) => Ok(Self::EnvironmentToken(TokenId::new(id))),
            ("command_line", None, None) => Ok(Self::CommandLine),
            ("anonymous", None, None) => Ok(Self::Anonymous),
            ("system", None, None) => Ok(Self::System),
            _ => Err(ParseWordError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actors_are_restored_from_kind_id_and_user() {
        let id = Uuid::from_u128(7);
        let (session, token, user) = (SessionId::new(id), TokenId::new(id), UserId::new(Uuid::from_u128(8)));
        let actors = [
            Actor::Session { id: session, user: Some(user) },
            Actor::Session { id: session, user: None },
            Actor::personal_access_token(token, user),
            Actor::EnvironmentToken(token),
            Actor::CommandLine,
            Actor::Anonymous,
            Actor::System,
        ];
        for actor in actors {
            assert_eq!(Actor::parse(actor.kind(), actor.id(), actor.user()), Ok(actor));
        }
        assert_eq!(Actor::parse("session", None, None), Err(ParseWordError));
        assert_eq!(Actor::parse("system", Some(id), None), Err(ParseWordError));
        assert_eq!(Actor::parse("system", None, Some(user)), Err(ParseWordError));
    }
}
