//! The JSON shapes that the HTTP API and the command line share.
//!
//! The command line also reads them, from the administrator's socket. Shapes that only one of the two has are next to
//! what makes them: in the handlers of [`crate::http`] and in [`crate::control`].

mod account;
mod annotations;
mod deletion;
mod disabling;
mod environment;
mod event;
mod export;
mod owner;
mod page;
mod service_account;
mod session;
mod token;
mod token_report;
mod token_usage;
mod user;

use serde::Serialize;

pub use self::{
    account::{AccountDetailsView, AccountView, InvitedView, PasswordLinkView},
    annotations::AnnotationsView,
    deletion::DeletionView,
    disabling::DisabledAccountView,
    environment::OwnedEnvironmentView,
    event::{ActorView, AdminEventView, EventView, TargetView},
    export::{ExportDocument, ExportItemView, ExportRowView},
    owner::{HandedOverView, OwnedItemView, OwnedItemsView, OwnedView, OwnerView},
    page::PageView,
    service_account::{ManagerView, ServiceAccountView},
    session::SessionView,
    token::{IssuedTokenView, LimitsView, TokenView},
    token_report::{CreationView, FamilyMemberView, TokenReportView, UnusedRuleView, token_state},
    token_usage::{CountView, DayView, TokenUsageView, TotalView, TotalsView, UseView, ability_names},
    user::UserView,
};

/// The result, under `data`.
#[derive(Debug, Serialize)]
pub struct DataView<T> {
    /// The result.
    pub data: T,
}

/// A sentence that says what was done.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MessageView {
    /// The sentence.
    pub message: &'static str,
}
