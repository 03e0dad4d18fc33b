//! Requests about service accounts, about environments, and about what owners own.

use serde::{Deserialize, Serialize};

/// A request about service accounts. An id is as typed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ServiceAccountRequest {
    /// Creates a service account. Each of these requests but `Delete` returns a
    /// [`ServiceAccountView`](crate::views::ServiceAccountView).
    Create {
        /// The name.
        name: String,
        /// What it is for.
        description: Option<String>,
        /// The e-mail addresses or ids of the managers.
        managers: Vec<String>,
    },
    /// Lists service accounts. Returns one view each.
    List {
        /// Only those whose name or description contains this text.
        search: Option<String>,
    },
    /// Shows a service account.
    Show(String),
    /// Changes the name or the description.
    Update {
        /// The id.
        id: String,
        /// The new name.
        name: Option<String>,
        /// The new description. An empty one removes it.
        description: Option<String>,
    },
    /// Disables a service account.
    Disable(String),
    /// Enables a service account.
    Enable(String),
    /// Deletes a service account. Returns the view of what it was.
    Delete(String),
    /// Makes a user a manager.
    AddManager {
        /// The id of the service account.
        id: String,
        /// The e-mail address or id of the user.
        user: String,
    },
    /// Removes a manager.
    RemoveManager {
        /// The id of the service account.
        id: String,
        /// The e-mail address or id of the user.
        user: String,
    },
}

impl ServiceAccountRequest {
    /// Whether the request changes something.
    pub const fn is_change(&self) -> bool {
        !matches!(self, Self::List { .. } | Self::Show(_))
    }
}

/// A request about environments of everybody. Each returns an
/// [`OwnedEnvironmentView`](crate::views::OwnedEnvironmentView).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum EnvironmentRequest {
    /// Lists environments. Returns one view each.
    List {
        /// The e-mail address or id of a user, or the id of a service account.
        owner: Option<String>,
        /// Only those whose name contains this text.
        search: Option<String>,
    },
    /// Shows an environment.
    Show(String),
    /// Gives an environment to another owner.
    Transfer {
        /// The id of the environment.
        id: String,
        /// The new owner.
        to: String,
    },
    /// Deletes an environment with its tokens.
    Delete(String),
}

impl EnvironmentRequest {
    /// Whether the request changes something.
    pub const fn is_change(&self) -> bool {
        !matches!(self, Self::List { .. } | Self::Show(_))
    }
}

/// What is handed over, from whom, and to whom. An owner is the e-mail address or id of a user, or the id of a service
/// account.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandOverRequest {
    /// The owner.
    pub from: String,
    /// The new owner.
    pub to: String,
    /// The ids of personal tokens. `None` means all of them.
    pub tokens: Option<Vec<String>>,
    /// The ids of environments. `None` means all of them.
    pub environments: Option<Vec<String>>,
}
