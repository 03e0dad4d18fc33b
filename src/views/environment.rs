//! An environment as an administrator sees it.

use serde::{Deserialize, Serialize};

use super::owner::OwnerView;
use crate::domain::environment::OwnedEnvironment;

/// An environment with its owner.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OwnedEnvironmentView {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// Whether it was created with its owner's account. Then it cannot be deleted or transferred.
    pub is_default: bool,
    /// When it was created.
    pub created_at: String,
    /// Its owner.
    pub owner: OwnerView,
}

impl From<OwnedEnvironment> for OwnedEnvironmentView {
    fn from(OwnedEnvironment { environment, owner }: OwnedEnvironment) -> Self {
        Self {
            id: environment.id.to_string(),
            name: environment.name.to_string(),
            is_default: environment.is_default,
            created_at: environment.created_at.to_string(),
            owner: OwnerView::from(&owner),
        }
    }
}
