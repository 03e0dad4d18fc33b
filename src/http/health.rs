//! Whether this process lives, and whether it can do its work.

use std::sync::atomic::Ordering;

use actix_web::web::{Data, Json};
use serde::Serialize;

use super::{AppState, error::ApiError};

/// An answer that says no more than that all is well.
#[derive(Serialize)]
pub(super) struct Health {
    status: &'static str,
}

/// Answers as long as the process can answer anything.
pub(super) async fn live() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Answers 200 only while the store can read and write and no shutdown has begun.
pub(super) async fn ready(state: Data<AppState>) -> Result<Json<Health>, ApiError> {
    if state.draining.load(Ordering::Relaxed) {
        return Err(ApiError::Draining);
    }
    state.ops.store.ready().await?;
    Ok(Json(Health { status: "ok" }))
}
