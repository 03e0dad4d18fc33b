//! A user.

use serde::{Deserialize, Serialize};

use crate::domain::account::{Role, User};

/// A user.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct UserView {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
    /// The environment that the user works in.
    pub current_environment_id: String,
    /// When the account was created.
    pub created_at: String,
    /// What the user may do on this server. Omitted for a member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Since when the account is disabled. The API never shows it, because it accepts enabled users only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled_at: Option<String>,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self {
            id: user.id.to_string(),
            name: user.name.to_string(),
            email: user.email.to_string(),
            current_environment_id: user.current_environment.to_string(),
            created_at: user.created_at.to_string(),
            role: (user.role != Role::Member).then(|| user.role.as_str().to_owned()),
            disabled_at: user.disabled_at.map(|at| at.to_string()),
        }
    }
}
