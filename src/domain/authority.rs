//! On whose behalf an operation acts.

use super::{account::Role, id::UserId};

/// The right to act on behalf of every user and to grant reserved abilities.
///
/// The field is private, so a value comes only from the functions here. A test lists the files that may call them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Administrator(());

impl Administrator {
    /// The administrator at the command line: a person who may open the database file. Nothing that serves HTTP may call this.
    pub const fn command_line() -> Self {
        Self(())
    }

    /// A user with this role, if it is [`Role::Admin`]. The caller has checked that the user's credential may use it.
    pub const fn with_role(role: Role) -> Option<Self> {
        match role {
            Role::Admin => Some(Self(())),
            Role::Member => None,
        }
    }
}

/// Whose rights an operation uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authority {
    /// Those of a user or of a service account, on whose behalf a manager acts: what they own, and their role in the
    /// environments that they share.
    User(UserId),
    /// Those of an administrator, over everything.
    Administrator(Administrator),
}

impl Authority {
    /// Whether this is an administrator's.
    pub const fn is_administrator(self) -> bool {
        matches!(self, Self::Administrator(_))
    }

    /// Whether it includes what the user `owner` owns.
    pub fn covers(self, owner: UserId) -> bool {
        match self {
            Self::User(user) => user == owner,
            Self::Administrator(_) => true,
        }
    }
}

impl From<UserId> for Authority {
    fn from(user: UserId) -> Self {
        Self::User(user)
    }
}

impl From<Administrator> for Authority {
    fn from(administrator: Administrator) -> Self {
        Self::Administrator(administrator)
    }
}
