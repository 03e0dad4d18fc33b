//! What this process keeps in memory. After a restart all of it is empty, or read from the store again.

pub mod endings;
pub(super) mod first_uses;
pub mod measurements;
pub mod meters;
pub(super) mod passwords;
pub mod rates;
pub(super) mod reuse_queue;
pub(super) mod throttle;
pub(super) mod usage_counters;
pub(super) mod use_locations;
pub mod uses;
