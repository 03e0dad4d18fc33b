//! Who owns a token: a user or a service account.

use super::{
    account::User,
    annotations::Description,
    id::{EnvironmentId, TokenId, UserId},
    text::Name,
    time::Timestamp,
};

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

/// A service account with what is not needed to check its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccountDetails {
    /// The service account.
    pub account: ServiceAccount,
    /// What it is for.
    pub description: Option<Description>,
    /// The users who manage it, the longest first.
    pub managers: Vec<Manager>,
}

impl ServiceAccountDetails {
    /// An upper limit of its size in a list, in bytes of JSON.
    pub fn listed_size(&self) -> usize {
        const IDS_AND_TIMES: usize = 200;
        // A character needs at most one escape character.
        let description = self.description.as_ref().map_or(0, |description| 2 * description.as_str().len());
        let managers = self.managers.iter().map(|manager| IDS_AND_TIMES + 2 * manager.name.as_str().len());
        IDS_AND_TIMES + 2 * self.account.name.as_str().len() + description + managers.sum::<usize>()
    }
}

/// A user who manages a service account: its tokens, its environments, and its name and description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manager {
    /// The user.
    pub user: UserId,
    /// The user's name.
    pub name: Name,
    /// Since when.
    pub created_at: Timestamp,
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

/// How much was handed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandedOver {
    /// Live personal tokens. Ended ones of their families are not counted.
    pub tokens: u32,
    /// Environments.
    pub environments: u32,
}

/// What a user or a service account owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    /// Personal tokens that are neither revoked nor expired, newest first.
    pub tokens: OwnedItems<TokenId>,
    /// Environments, the default one included, newest first.
    pub environments: OwnedItems<EnvironmentId>,
    /// The service accounts that the user manages, newest first.
    pub service_accounts: OwnedItems<UserId>,
}

/// How many there are, and the first of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedItems<Id> {
    /// How many there are.
    pub count: u32,
    /// The ids and names of the first of them.
    pub first: Vec<(Id, Name)>,
}
