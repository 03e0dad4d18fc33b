//! The metrics: what this process has counted, as OpenMetrics text on a listener of its own.
//!
//! Every part counts what it does ([`crate::measure`]). [`registry`] gives the counts their names and labels, which are a
//! contract (`docs/metrics.md`). No label holds what a client sent or an id.

mod counted_tokens;
mod families;
mod listener;
mod registry;

pub use self::listener::{MetricsListener, start};
