//! Environments: groups of environment tokens with one owner, which can be shared with members.

use super::{
    ability::Abilities,
    id::{EnvironmentId, TokenId, UserId},
    owner::Owner,
    secret::{Hint, TokenHash},
    text::Name,
    time::Timestamp,
};

/// An environment as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// The id.
    pub id: EnvironmentId,
    /// The owner: a user or a service account.
    pub owner: UserId,
    /// The name.
    pub name: Name,
    /// Whether it was created with the owner's account. It cannot be deleted while the account exists.
    pub is_default: bool,
    /// When it was created.
    pub created_at: Timestamp,
}

impl Environment {
    /// How many environments an owner may have. Without a limit a user could fill the store.
    pub const MAX_PER_OWNER: u32 = 1000;
    /// How many members an environment may have.
    pub const MAX_MEMBERS: u32 = 100;
}

/// An environment and the role of the user who sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentAccess {
    /// The environment.
    pub environment: Environment,
    /// The user's role.
    pub role: Role,
    /// The name of the service account that owns it. `None` if a user does.
    pub service_account: Option<Name>,
}

/// An environment and its owner, as an administrator sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedEnvironment {
    /// The environment.
    pub environment: Environment,
    /// Its owner.
    pub owner: Owner,
}

/// What a user may do in an environment. Each role includes the roles before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// See the environment and its tokens.
    Viewer,
    /// Rename it, and create, regenerate and revoke its tokens.
    Admin,
    /// Share and delete it.
    Owner,
}

impl Role {
    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => MemberRole::Viewer.as_str(),
            Self::Admin => MemberRole::Admin.as_str(),
            Self::Owner => "owner",
        }
    }
}

/// A role that an owner can grant to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberRole {
    /// [`Role::Viewer`].
    Viewer,
    /// [`Role::Admin`].
    Admin,
}

/// The text is not a role of a member. The message reads on from "The role field …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be admin or viewer.")]
pub struct ParseMemberRoleError;

impl MemberRole {
    /// Parses the name.
    pub fn parse(text: &str) -> Result<Self, ParseMemberRoleError> {
        [Self::Viewer, Self::Admin].into_iter().find(|role| role.as_str() == text).ok_or(ParseMemberRoleError)
    }

    /// The name in the API and in the store.
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

/// A user with whom an environment is shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The user.
    pub user: UserId,
    /// The user's name.
    pub name: Name,
    /// Their role.
    pub role: MemberRole,
    /// When the environment was shared with them.
    pub created_at: Timestamp,
}

/// The new id and secret of an environment token that is regenerated.
#[derive(Clone, Debug)]
pub struct Successor {
    /// The id of the new token.
    pub id: TokenId,
    /// The hash of the new secret.
    pub hash: TokenHash,
    /// The last four characters of the new secret.
    pub hint: Hint,
    /// Its abilities, each covered by those of the token that it replaces. `None` keeps them.
    pub abilities: Option<Abilities>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_includes_lower_ones_and_only_two_can_be_granted() {
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
