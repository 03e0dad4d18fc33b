//! Who is asking, once the credential was accepted ([`super::verification`]): what it stands for and what it may do.

use std::{borrow::Cow, sync::Arc};

use uuid::Uuid;

use super::{error::Error, state::meters::RateState};
use crate::domain::{
    ability::{Abilities, Ability, ServerAbility},
    account::User,
    id::EnvironmentId,
    secret::CredentialKind,
    session::SessionRecord,
    text::Name,
    time::Timestamp,
    token::TokenRecord,
};

/// Who is asking, by a credential that was accepted. The record is shared with whoever keeps it in memory.
#[derive(Clone, Debug)]
pub enum Principal {
    /// A signed-in person.
    Session {
        /// Their session, and the person.
        record: Arc<SessionRecord>,
    },
    /// Software with a person's token.
    PersonalAccessToken {
        /// The token, and whose it is.
        record: Arc<TokenRecord>,
        /// What is left of its rate; `None` where that is not limited.
        rate_state: Option<RateState>,
    },
    /// Software with an environment's token, which stands for no person.
    EnvironmentToken {
        /// The environment.
        environment: EnvironmentId,
        /// The token, and the owner of its environment.
        record: Arc<TokenRecord>,
        /// What is left of its rate; `None` where that is not limited.
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

    /// The identifier of the session or token.
    pub fn id(&self) -> Uuid {
        match self {
            Self::Session { record } => record.session.id.uuid(),
            Self::PersonalAccessToken { record, .. } | Self::EnvironmentToken { record, .. } => record.token.id.uuid(),
        }
    }

    /// What its owner called it.
    pub fn name(&self) -> Option<&Name> {
        match self {
            Self::Session { record } => record.session.device_name.as_ref(),
            Self::PersonalAccessToken { record, .. } | Self::EnvironmentToken { record, .. } => {
                Some(&record.token.name)
            }
        }
    }

    /// When it was made, and from when on it is refused.
    pub fn lifetime(&self) -> (Timestamp, Option<Timestamp>) {
        match self {
            Self::Session { record } => (record.session.created_at, Some(record.session.expires_at)),
            Self::PersonalAccessToken { record, .. } | Self::EnvironmentToken { record, .. } => {
                (record.token.created_at, record.token.expires_at)
            }
        }
    }

    /// The person that it stands for; an environment's token stands for none, its environment's owner included.
    pub fn person(&self) -> Option<&User> {
        match self {
            Self::Session { record } => Some(&record.user),
            Self::PersonalAccessToken { record, .. } => Some(&record.owner),
            Self::EnvironmentToken { .. } => None,
        }
    }

    /// What is left of its rate, where that is limited.
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

    /// The identifier of the person or the environment that it stands for.
    pub fn subject(&self) -> Uuid {
        match self {
            Self::Session { record } => record.user.id.uuid(),
            Self::PersonalAccessToken { record, .. } => record.owner.id.uuid(),
            Self::EnvironmentToken { environment, .. } => environment.uuid(),
        }
    }

    /// What it may do; a session may do whatever its person may.
    pub fn abilities(&self) -> Cow<'_, Abilities> {
        match self {
            Self::Session { .. } => Cow::Owned(Abilities::full()),
            Self::PersonalAccessToken { record, .. } | Self::EnvironmentToken { record, .. } => {
                Cow::Borrowed(&record.token.abilities)
            }
        }
    }

    /// Whether it may use `power`; else [`Error::MissingAbility`]. No session has a server-wide power.
    pub fn require(&self, power: ServerAbility) -> Result<(), Error> {
        if self.holds(power.as_str()) { Ok(()) } else { Err(Error::MissingAbility(vec![power.ability()])) }
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
