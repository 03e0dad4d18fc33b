//! The deletion of a user.

use super::owner::HandedOver;

/// What ends with a user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndsWithUser {
    /// Open sessions.
    pub sessions: u64,
    /// Valid personal access tokens.
    pub tokens: u64,
    /// Environments that the user owns.
    pub environments: u64,
    /// Valid tokens of these environments.
    pub environment_tokens: u64,
    /// What got another owner instead, if it was asked for.
    pub handed_over: Option<HandedOver>,
}
