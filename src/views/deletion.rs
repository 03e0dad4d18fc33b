//! The deletion of a user.

use serde::{Deserialize, Serialize};

use super::owner::HandedOverView;
use crate::domain::{deletion::EndsWithUser, id::UserId};

/// A deleted user, and how much ended with them.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DeletionView {
    /// The id of the user.
    pub id: String,
    /// How many sessions were open.
    pub sessions: u64,
    /// How many personal access tokens were valid.
    pub tokens: u64,
    /// How many environments the user owned.
    pub environments: u64,
    /// How many tokens of these environments were valid.
    pub environment_tokens: u64,
    /// What got another owner instead. Omitted unless it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handed_over: Option<HandedOverView>,
}

impl DeletionView {
    /// What ended, or would end, with this user.
    pub fn new(user: UserId, ends: EndsWithUser) -> Self {
        let EndsWithUser { sessions, tokens, environments, environment_tokens, handed_over } = ends;
        let handed_over = handed_over.map(HandedOverView::from);
        Self { id: user.to_string(), sessions, tokens, environments, environment_tokens, handed_over }
    }
}
