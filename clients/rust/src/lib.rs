//! Checks tokens against patd, the personal access token daemon.
//!
//! [`Client::verify`] returns a [`Verdict`]: the token is accepted, or it is refused. If neither is known, it returns
//! [`Undecided`]. Answer that with 503, never with 401: the token may be valid.

#[cfg(feature = "actix")]
pub mod actix;
#[cfg(any(feature = "actix", feature = "tower"))]
mod answers;
mod cache;
mod client;
#[cfg(feature = "tower")]
pub mod tower;
mod verdict;

pub use cache::Cache;
pub use client::{Builder, Client, InvalidOptions};
pub use verdict::{Accepted, Introspection, Owner, Refused, Token, Undecided, Verdict};
