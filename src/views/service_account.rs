//! A service account.

use serde::{Deserialize, Serialize};

use crate::domain::owner::{Manager, ServiceAccountDetails};

/// A service account with its managers.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ServiceAccountView {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// When it was created.
    pub created_at: String,
    /// Since when it is disabled.
    pub disabled_at: Option<String>,
    /// The users who manage it.
    pub managers: Vec<ManagerView>,
}

/// A user who manages a service account. The address is not shown.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ManagerView {
    /// The id of the user.
    pub user_id: String,
    /// The name of the user.
    pub name: String,
    /// Since when the user is a manager.
    pub created_at: String,
}

impl From<ServiceAccountDetails> for ServiceAccountView {
    fn from(ServiceAccountDetails { account, description, managers }: ServiceAccountDetails) -> Self {
        Self {
            id: account.id.to_string(),
            name: account.name.to_string(),
            description: description.map(|description| description.to_string()),
            created_at: account.created_at.to_string(),
            disabled_at: account.disabled_at.map(|at| at.to_string()),
            managers: managers.into_iter().map(ManagerView::from).collect(),
        }
    }
}

impl From<Manager> for ManagerView {
    fn from(manager: Manager) -> Self {
        Self {
            user_id: manager.user.to_string(),
            name: manager.name.to_string(),
            created_at: manager.created_at.to_string(),
        }
    }
}
