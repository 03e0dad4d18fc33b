//! Who owns a token: a user or a service account.

use super::{account::User, id::UserId, text::Name, time::Timestamp};

/// A principal for software. It has no password and cannot sign in, and it outlives the person who created it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccount {
    /// The id. Users and service accounts never share an id.
    pub id: UserId,
    /// The name.
    pub name: Name,
    /// When it was created.
    pub created_at: Timestamp,
    /// Since when it is disabled.
    pub disabled_at: Option<Timestamp>,
}

impl ServiceAccount {
    /// The name of the kind, in the API and in the audit trail.
    pub const KIND: &str = "service_account";
    /// How many users may manage a service account.
    pub const MAX_MANAGERS: u32 = 100;
}

/// The owner of a token or an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A user.
    User(User),
    /// A service account.
    ServiceAccount(ServiceAccount),
}

impl Owner {
    /// The id.
    pub const fn id(&self) -> UserId {
        match self {
            Self::User(user) => user.id,
            Self::ServiceAccount(account) => account.id,
        }
    }

    /// The name.
    pub const fn name(&self) -> &Name {
        match self {
            Self::User(user) => &user.name,
            Self::ServiceAccount(account) => &account.name,
        }
    }

    /// Since when it is disabled. Then its tokens are refused.
    pub const fn disabled_at(&self) -> Option<Timestamp> {
        match self {
            Self::User(user) => user.disabled_at,
            Self::ServiceAccount(account) => account.disabled_at,
        }
    }

    /// The name of the kind, in the API and in the audit trail.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::ServiceAccount(_) => ServiceAccount::KIND,
        }
    }

    /// The user, unless it is a service account.
    pub const fn user(&self) -> Option<&User> {
        match self {
            Self::User(user) => Some(user),
            Self::ServiceAccount(_) => None,
        }
    }

    /// The service account, unless it is a user.
    pub const fn service_account(&self) -> Option<&ServiceAccount> {
        match self {
            Self::User(_) => None,
            Self::ServiceAccount(account) => Some(account),
        }
    }
}
