//! Where a token is made: with an owner, or in an environment.

use super::list::owner_of;
use crate::{
    domain::{
        environment::{EnvironmentAccess, Role},
        id::{TokenId, UserId},
        secret::CredentialKind,
    },
    http::{
        console::{fields::Fields, page::PageError, person::Person},
        environments::environment_id,
    },
    ops::{self, environments},
};

/// Where a token is made.
pub(in crate::http::console) enum Place {
    /// It is a personal token of this owner.
    Owner(UserId),
    /// It is a token of this environment.
    Environment(EnvironmentAccess),
}

impl Place {
    /// The owner that the fields name.
    pub(super) async fn of_owner(person: &Person, fields: &Fields) -> Result<Self, PageError> {
        Ok(Self::Owner(owner_of(person, fields).await?))
    }

    /// An environment in which the person may make tokens.
    pub(in crate::http::console) async fn of_environment(person: &Person, id: &str) -> Result<Self, PageError> {
        let access = environments::get(person.ops(), person.user.user.id, environment_id(id)?).await?;
        if access.role < Role::Admin {
            return Err(ops::Error::RoleRequired.into());
        }
        Ok(Self::Environment(access))
    }

    /// The kind of its tokens.
    pub(super) const fn kind(&self) -> CredentialKind {
        match self {
            Self::Owner(_) => CredentialKind::PersonalAccessToken,
            Self::Environment(_) => CredentialKind::EnvironmentToken,
        }
    }

    /// The page with its tokens.
    pub(super) fn list(&self) -> String {
        match self {
            Self::Owner(_) => "/console/tokens".to_owned(),
            Self::Environment(access) => format!("/console/environments/{}", access.environment.id),
        }
    }

    /// The page with the form for a new token.
    pub(super) fn form(&self) -> String {
        match self {
            Self::Owner(_) => "/console/tokens/new".to_owned(),
            Self::Environment(_) => format!("{}/tokens/new", self.list()),
        }
    }

    /// The page of a token.
    pub(super) fn page_of(&self, id: TokenId) -> String {
        match self {
            Self::Owner(_) => format!("/console/tokens/{id}"),
            Self::Environment(_) => format!("{}/tokens/{id}", self.list()),
        }
    }
}
