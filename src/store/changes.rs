//! What changes are given and what they return.

use crate::domain::{
    account::{Email, PasswordHash},
    annotations::{Description, Metadata},
    id::{SessionId, TokenId},
    session::NewSession,
    text::Name,
    time::Timestamp,
    token::Token,
};

/// A change of a user's profile. A field that is `None` is not changed.
#[derive(Clone, Debug, Default)]
pub struct ProfileChange {
    /// The hash that the current password was checked against, where it was asked for. If it is no longer the stored one,
    /// or the account was disabled meanwhile: [`Conflict::CredentialsChanged`](super::Conflict::CredentialsChanged).
    pub verified: Option<PasswordHash>,
    /// The new name.
    pub name: Option<Name>,
    /// The new address.
    pub email: Option<Email>,
}

/// A change of a password. It ends the user's other sessions.
#[derive(Clone, Debug)]
pub struct PasswordChange {
    /// The hash that the current password was checked against; `None` where an administrator asked for no password.
    /// If it is no longer the stored one: [`Conflict::CredentialsChanged`](super::Conflict::CredentialsChanged).
    pub verified: Option<PasswordHash>,
    /// The hash of the new password.
    pub password: PasswordHash,
}

/// Whether a change may take away the power of the last enabled administrator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastAdmin {
    /// It may not: [`Conflict::LastAdmin`](super::Conflict::LastAdmin).
    Stays,
    /// It may. Somebody at the command line can make another administrator.
    MayGo,
}

/// A sign-in: a session for a user whose password was checked.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// The session to store.
    pub session: NewSession,
    /// The hash that the password was checked against. If it is no longer the stored one, or the account was disabled
    /// meanwhile: [`Conflict::CredentialsChanged`](super::Conflict::CredentialsChanged), and no session.
    pub verified: PasswordHash,
    /// The same password hashed with today's parameters, to replace the stored hash.
    pub rehashed: Option<PasswordHash>,
}

/// Which tokens ended long enough ago to be pruned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionCutoff {
    /// Tokens that were revoked or expired by then.
    pub ended_by: Timestamp,
    /// Tokens that were neither used nor created after this. `None` if unused tokens do not end.
    pub unused_since: Option<Timestamp>,
}

/// Some of the tokens to prune.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PruneBatch {
    /// Their row numbers and their identifiers.
    pub tokens: Vec<(i64, TokenId)>,
    /// The last row number that was read: the next batch begins after it. `None` at the end of the table.
    pub next: Option<i64>,
}

/// Credentials whose secrets were found in public.
#[derive(Clone, Debug, Default)]
pub struct LeakReport {
    /// Tokens.
    pub tokens: Vec<TokenId>,
    /// Sessions.
    pub sessions: Vec<SessionId>,
    /// How many secrets were reported, also unknown ones. If given, a report that revokes nothing is recorded with it.
    pub presented: Option<usize>,
}

/// A change of a token's name and annotations. A field that is `None` is not changed.
#[derive(Clone, Debug, Default)]
pub struct TokenChange {
    /// The new name.
    pub name: Option<Name>,
    /// The new description. `Some(None)` removes it.
    pub description: Option<Option<Description>>,
    /// The new metadata, instead of all that there was.
    pub metadata: Option<Metadata>,
}

impl TokenChange {
    /// A new name, and nothing else.
    pub fn rename(name: Name) -> Self {
        Self { name: Some(name), ..Self::default() }
    }

    /// The names of the annotations that it sets.
    pub fn annotations(&self) -> Vec<&'static str> {
        let set = [(self.description.is_some(), "description"), (self.metadata.is_some(), "metadata")];
        set.into_iter().filter(|(is_set, _)| *is_set).map(|(_, name)| name).collect()
    }
}

/// A token as a change left it, with what is shown beside it. It is read in the transaction of the change, so that a
/// committed change never answers with the error of a later read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedToken {
    /// The token.
    pub token: Token,
    /// How many uses of its quota are taken. The whole family shares the quota. 0 if it has none.
    pub quota_used: u32,
    /// Its latest successor, in any state.
    pub successor: Option<TokenId>,
}

/// Uses of tokens and sessions, each with its latest time.
#[derive(Clone, Debug, Default)]
pub struct Uses {
    /// When tokens were last used, by their row numbers.
    pub tokens: Vec<(i64, Timestamp)>,
    /// When sessions were last used.
    pub sessions: Vec<(SessionId, Timestamp)>,
}
