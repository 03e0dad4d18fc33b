//! A user.

use serde::{Deserialize, Serialize};

use crate::domain::account::User;

/// A user.
#[derive(Debug, Serialize, Deserialize)]
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
            disabled_at: user.disabled_at.map(|at| at.to_string()),
        }
    }
}
