//! A session of a user as administrators see it.

use serde::{Deserialize, Serialize};

use crate::domain::session::Session;

/// A session.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SessionView {
    /// The id.
    pub id: String,
    /// The name that was given at sign-in.
    pub device_name: Option<String>,
    /// When it was last used.
    pub last_used_at: String,
    /// When the user signed in.
    pub created_at: String,
    /// Its expiry.
    pub expires_at: String,
}

impl From<Session> for SessionView {
    fn from(session: Session) -> Self {
        Self {
            id: session.id.to_string(),
            device_name: session.device_name.map(|name| name.to_string()),
            last_used_at: session.last_used_at.to_string(),
            created_at: session.created_at.to_string(),
            expires_at: session.expires_at.to_string(),
        }
    }
}
