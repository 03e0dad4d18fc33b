//! The health probes.

use std::sync::atomic::Ordering;

use actix_web::web::Json;
use serde::Serialize;

use super::{error::ApiError, state::current::State};
use crate::{domain::node::Readiness, ops};

/// The answer of a successful probe.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Health {
    status: &'static str,
}

/// Answers as long as the process can answer anything.
pub(super) async fn live() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Answers 200 only while the store can read and write, the clock is reliable, and no shutdown has begun.
pub(super) async fn ready(state: State) -> Result<Json<Health>, ApiError> {
    if state.draining.load(Ordering::Relaxed) {
        return Err(ApiError::Draining);
    }
    state.ops.clock.check().map_err(ops::Error::ClockUnreliable)?;
    match state.ops.store.ready().await? {
        Readiness::Ready => Ok(Json(Health { status: "ok" })),
        Readiness::NoLease => Err(ApiError::NoLease),
    }
}
