//! The principal: who acts, once [`super::verification`] has accepted a credential.

use std::{borrow::Cow, sync::Arc};

use uuid::Uuid;

use super::{error::Error, state::rates::RateState};
use crate::domain::{
    ability::{Abilities, Ability, ServerAbility},
    account::User,
    annotations::Annotations,
    authority::Administrator,
    id::EnvironmentId,
    owner::ServiceAccount,
    secret::CredentialKind,
    session::SessionRecord,
    text::Name,
    time::Timestamp,
    token::TokenRecord,
};

/// Who acts, by an accepted credential. The record is shared with the record cache.
#[derive(Clone, Debug)]
pub enum Principal {
    /// A signed-in user.
    Session {
        /// The session and its user.
        record: Arc<SessionRecord>,
    },
    /// Software with a user's token.
    PersonalAccessToken {
        /// The token and its owner.
        record: Arc<TokenRecord>,
        /// What is left of its rate limit. `None` if it has none.
        rate_state: Option<RateState>,
    },
    /// Software with a token of an environment. It stands for no person.
    EnvironmentToken {
        /// The environment.
        environment: EnvironmentId,
        /// The token and the owner of its environment.
        record: Arc<TokenRecord>,
        /// What is left of its rate limit. `None` if it has none.
        rate_state: Option<RateState>,
    },
}

impl Principal {
    /// The kind of credential.
    pub fn kind(&self) -> CredentialKind {
        match self {
            Self::Session { .. } => CredentialKind::Session,
            Self::PersonalAccessToken { .. } => CredentialKind::PersonalAccessToken,
            Self::EnvironmentToken { .. } => CredentialKind::EnvironmentToken,
        }
    }

    /// The id of the session or token.
    pub fn id(&self) -> Uuid {
        match self {
            Self::Session { record } => record.session.id.uuid(),
            Self::PersonalAccessToken { record, .. } | Self::EnvironmentToken { record, .. } => record.token.id.uuid(),
        }
    }

    /// The token, unless it is a session.
    pub const fn token(&self) -> Option<&Arc<TokenRecord>> {
        match self {
            Self::Session { .. } => None,
            Self::PersonalAccessToken { record, .. } | Self::EnvironmentToken { record, .. } => Some(record),
        }
    }

    /// The name of the session or token.
    pub fn name(&self) -> Option<&Name> {
        match self {
            Self::Session { record } => record.session.device_name.as_ref(),
            Self::PersonalAccessToken { record, .. } | Self::EnvironmentToken { record, .. } => {
                Some(&record.token.name)
            }
        }
    }

    /// The description and the metadata of a token.
    pub fn annotations(&self) -> Option<&Annotations> {
        match self {
            Self::Session { .. } => None,
            Self::PersonalAccessToken { record, .. } | Self::EnvironmentToken { record, .. } => {
                record.token.annotations.as_deref()
            }
        }
    }

    /// When it was created, and when it expires.
    pub fn lifetime(&self) -> (Timestamp, Option<Timestamp>) {
        match self {
            Self::Session { record } => (record.session.created_at, Some(record.session.expires_at)),
            Self::PersonalAccessToken { record, .. } | Self::EnvironmentToken { record, .. } => {
                (record.token.created_at, record.token.expires_at)
            }
        }
    }

    /// The user that it stands for. A token of a service account or of an environment stands for none, not even for the
    /// environment's owner.
    pub fn person(&self) -> Option<&User> {
        match self {
            Self::Session { record } => Some(&record.user),
            Self::PersonalAccessToken { record, .. } => record.owner.user(),
            Self::EnvironmentToken { .. } => None,
        }
    }

    /// The service account that it stands for.
    pub fn service_account(&self) -> Option<&ServiceAccount> {
        match self {
            Self::PersonalAccessToken { record, .. } => record.owner.service_account(),
            Self::Session { .. } | Self::EnvironmentToken { .. } => None,
        }
    }

    /// What is left of its rate limit, if it has one.
    pub fn rate_state(&self) -> Option<RateState> {
        match self {
            Self::Session { .. } => None,
            Self::PersonalAccessToken { rate_state, .. } | Self::EnvironmentToken { rate_state, .. } => *rate_state,
        }
    }

    /// The environment that it stands for.
    pub fn environment(&self) -> Option<EnvironmentId> {
        match self {
            Self::Session { .. } | Self::PersonalAccessToken { .. } => None,
            Self::EnvironmentToken { environment, .. } => Some(*environment),
        }
    }

    /// The id of the user, service account or environment that it stands for.
    pub fn subject(&self) -> Uuid {
        match self {
            Self::Session { record } => record.user.id.uuid(),
            Self::PersonalAccessToken { record, .. } => record.owner.id().uuid(),
            Self::EnvironmentToken { environment, .. } => environment.uuid(),
        }
    }

    /// Its abilities. A session may do everything except what needs a reserved ability.
    pub fn abilities(&self) -> Cow<'_, Abilities> {
        match self {
            Self::Session { .. } => Cow::Owned(Abilities::full()),
            Self::PersonalAccessToken { record, .. } | Self::EnvironmentToken { record, .. } => {
                Cow::Borrowed(&record.token.abilities)
            }
        }
    }

    /// Fails with [`Error::MissingAbility`] unless it holds `ability`. No session holds a reserved ability.
    pub fn require(&self, ability: ServerAbility) -> Result<(), Error> {
        if self.holds(ability.as_str()) { Ok(()) } else { Err(Error::MissingAbility(vec![ability.ability()])) }
    }

    /// The power of an administrator, for what needs `ability`. A session of an administrator has it. A token needs the
    /// ability, and its owner must be an administrator now.
    pub fn administrator(&self, ability: ServerAbility) -> Result<Administrator, Error> {
        if self.kind() != CredentialKind::Session {
            self.require(ability)?;
        }
        self.person().and_then(|user| Administrator::with_role(user.role)).ok_or(Error::AdminRequired)
    }

    /// Whether its abilities cover `needed`.
    pub fn holds(&self, needed: &str) -> bool {
        match self {
            Self::Session { .. } => Ability::FULL.covers(needed),
            Self::PersonalAccessToken { record, .. } | Self::EnvironmentToken { record, .. } => {
                record.token.abilities.cover(needed)
            }
        }
    }
}
