//! What administrators do, below `/api/v1/admin`.

pub(super) mod throttle;
pub(super) mod token_reports;
pub(super) mod users;
