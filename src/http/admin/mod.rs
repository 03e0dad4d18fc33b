//! What administrators do, below `/api/v1/admin`.

pub(super) mod users;
