//! What administrators do, below `/api/v1/admin`.

pub(super) mod audit;
pub(super) mod environments;
pub(super) mod owners;
pub(super) mod throttle;
pub(super) mod token_reports;
pub(super) mod tokens;
pub(super) mod users;
