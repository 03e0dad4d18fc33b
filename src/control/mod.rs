//! The requests of the command line, and how they reach the database: through the socket of the running server, or directly
//! if no server has the file open.
//!
//! A [`Request`] is one operation. [`execute()`] runs it on a [`Context`](crate::ops::Context), the server's or the command's
//! own, and returns a stream of lines. The result is the same either way. Through the server, changes go through its queue
//! of writes and revocations take effect at once.
//!
//! [`socket`] owns the socket file, [`server`] the listener, and [`client`] the other end. The command line decides what it
//! prints.

mod audit_request;
mod audit_views;
pub mod client;
mod error;
mod execute;
mod frame;
mod items;
mod moment;
mod node_view;
mod owner_requests;
mod request;
mod secret;
pub mod server;
mod server_view;
mod socket;
#[cfg(test)]
mod tests;
mod user_request;
mod views;

pub use self::{
    audit_request::{EventConditions, EventList},
    audit_views::{FaultyView, PruningView, SealView, VerificationView},
    error::Error,
    execute::execute,
    frame::Output,
    items::Items,
    moment::Moment,
    node_view::NodeView,
    owner_requests::{EnvironmentRequest, HandOverRequest, ServiceAccountRequest},
    request::{
        JudgeToken, LimitsRequest, NewToken, PROTOCOL, Request, RevokeMatching, TokenList, TokenRotation, TokenSort,
        WhichToken, WhoseTokens,
    },
    secret::Secret,
    server_view::ServerView,
    user_request::{NewUser, UserList, UserRemoval, UserSort},
    views::{
        ChangedTokenView, CountView, IssuedView, JudgedView, ListedTokenView, ReportItem, RevokedMatchingView,
        RevokedView, UsageItem, Verdict,
    },
};
