//! Owners, and what they own.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::domain::{
    account::User,
    id::UserId,
    owner::{HandedOver, Owned, OwnedItems, Owner, ServiceAccount},
    text::Name,
};

/// An owner: a user or a service account.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OwnerView {
    /// The id.
    pub id: String,
    /// `user` or `service_account`.
    pub r#type: Cow<'static, str>,
    /// The name.
    pub name: String,
    /// The address of a user. A service account has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

impl OwnerView {
    /// A user.
    pub fn user(user: &User) -> Self {
        Self {
            id: user.id.to_string(),
            r#type: "user".into(),
            name: user.name.to_string(),
            email: Some(user.email.to_string()),
        }
    }

    /// A service account.
    pub fn service_account(id: UserId, name: &Name) -> Self {
        Self { id: id.to_string(), r#type: ServiceAccount::KIND.into(), name: name.to_string(), email: None }
    }
}

impl From<&Owner> for OwnerView {
    fn from(owner: &Owner) -> Self {
        match owner {
            Owner::User(user) => Self::user(user),
            Owner::ServiceAccount(account) => Self::service_account(account.id, &account.name),
        }
    }
}

/// What a user or a service account owns.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OwnedView {
    /// Personal tokens that are neither revoked nor expired.
    pub tokens: OwnedItemsView,
    /// Environments, the default one included.
    pub environments: OwnedItemsView,
    /// The service accounts that the user manages.
    pub service_accounts: OwnedItemsView,
}

/// How many there are, and the first of them.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OwnedItemsView {
    /// How many there are.
    pub count: u32,
    /// The first of them, newest first.
    pub first: Vec<OwnedItemView>,
}

/// Something that is owned.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OwnedItemView {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
}

impl From<Owned> for OwnedView {
    fn from(owned: Owned) -> Self {
        Self {
            tokens: owned.tokens.into(),
            environments: owned.environments.into(),
            service_accounts: owned.service_accounts.into(),
        }
    }
}

impl<Id: ToString> From<OwnedItems<Id>> for OwnedItemsView {
    fn from(OwnedItems { count, first }: OwnedItems<Id>) -> Self {
        let view = |(id, name): (Id, Name)| OwnedItemView { id: id.to_string(), name: name.to_string() };
        Self { count, first: first.into_iter().map(view).collect() }
    }
}

/// How much was handed over.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct HandedOverView {
    /// Personal tokens that are neither revoked nor expired.
    pub tokens: u32,
    /// Environments.
    pub environments: u32,
}

impl From<HandedOver> for HandedOverView {
    fn from(HandedOver { tokens, environments }: HandedOver) -> Self {
        Self { tokens, environments }
    }
}
