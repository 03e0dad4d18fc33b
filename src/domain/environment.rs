//! Environments: what a person's software runs in, perhaps shared with others, with tokens of its own.

use super::{
    id::{EnvironmentId, TokenId, UserId},
    secret::{Hint, TokenHash},
    text::Name,
    time::Timestamp,
};

/// An environment as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Its identifier.
    pub id: EnvironmentId,
    /// Whose it is, for good.
    pub owner: UserId,
    /// What the owner called it.
    pub name: Name,
    /// Whether it is the one that its owner was given with their account, which stays as long as that.
    pub is_default: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Environment {
    /// The most environments of an owner, so that nobody fills the store with them.
    pub const MAX_PER_OWNER: u32 = 1000;
    /// The most people that an environment is shared with.
    pub const MAX_MEMBERS: u32 = 100;
}

/// An environment as somebody sees it who may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentAccess {
    /// The environment.
    pub environment: Environment,
    /// What whoever sees it may do there.
    pub role: Role,
}

/// What somebody may do in an environment: each of these includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// See it and its tokens.
    Viewer,
    /// Rename it, and make, regenerate and revoke its tokens.
    Admin,
    /// Share it and delete it.
    Owner,
}

impl Role {
    /// The word for it on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => MemberRole::Viewer.as_str(),
            Self::Admin => MemberRole::Admin.as_str(),
            Self::Owner => "owner",
        }
    }
}

/// A role that an owner can give to somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberRole {
    /// [`Role::Viewer`].
    Viewer,
    /// [`Role::Admin`].
    Admin,
}

/// The text is no role of a member. The message reads on from "The role field …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be admin or viewer.")]
pub struct ParseMemberRoleError;

impl MemberRole {
    /// Reads the word for it.
    pub fn parse(text: &str) -> Result<Self, ParseMemberRoleError> {
        [Self::Viewer, Self::Admin].into_iter().find(|role| role.as_str() == text).ok_or(ParseMemberRoleError)
    }

    /// The word for it, on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Admin => "admin",
        }
    }
}

impl From<MemberRole> for Role {
    fn from(role: MemberRole) -> Self {
        match role {
            MemberRole::Viewer => Self::Viewer,
            MemberRole::Admin => Self::Admin,
        }
    }
}

/// Somebody with whom an environment is shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub user: UserId,
    /// What they are called.
    pub name: Name,
    /// What they may do.
    pub role: MemberRole,
    /// Since when it is shared with them.
    pub created_at: Timestamp,
}

/// A new secret for what an older token of an environment was for.
#[derive(Clone, Copy, Debug)]
pub struct Successor {
    /// The identifier of the new token.
    pub id: TokenId,
    /// The hash of its secret.
    pub hash: TokenHash,
    /// The last four characters of its secret.
    pub hint: Hint,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_includes_those_below_it_and_only_two_are_given_away() {
        assert!(Role::Viewer < Role::Admin && Role::Admin < Role::Owner);
        for role in [MemberRole::Viewer, MemberRole::Admin] {
            assert_eq!(MemberRole::parse(role.as_str()), Ok(role));
            assert_eq!(Role::from(role).as_str(), role.as_str());
        }
        for bad in ["owner", "Admin", "", "admin "] {
            assert_eq!(MemberRole::parse(bad), Err(ParseMemberRoleError));
        }
    }
}
