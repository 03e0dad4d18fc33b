//! A user who is disabled.

use serde::{Deserialize, Serialize};

use super::{
    account::AccountView,
    owner::{HandedOverView, OwnedView},
};
use crate::domain::account_state::DisabledAccount;

/// A user who is disabled, or would be.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DisabledAccountView {
    /// The account.
    #[serde(flatten)]
    pub account: AccountView,
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// What the user owned before.
    pub owns: OwnedView,
    /// How much of it got another owner. Omitted unless it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handed_over: Option<HandedOverView>,
}

impl DisabledAccountView {
    /// The account, as it is after the change or, with `dry_run`, now.
    pub fn new(disabled: DisabledAccount, dry_run: bool) -> Self {
        let DisabledAccount { account, owned, handed_over } = disabled;
        Self {
            account: account.into(),
            dry_run,
            owns: owned.into(),
            handed_over: handed_over.map(HandedOverView::from),
        }
    }
}
