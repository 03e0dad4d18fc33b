//! Shapes that several answers share.

use serde::Serialize;

/// The result, under `data`.
#[derive(Serialize)]
pub(super) struct DataView<T> {
    pub(super) data: T,
}

/// A sentence that says what was done.
#[derive(Serialize)]
pub(super) struct MessageView {
    pub(super) message: &'static str,
}
