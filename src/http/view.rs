//! The shapes that answers of several nouns share.

use serde::Serialize;

/// What was asked for, under `data`.
#[derive(Serialize)]
pub(super) struct DataView<T> {
    pub(super) data: T,
}

/// A sentence that says what was done.
#[derive(Serialize)]
pub(super) struct MessageView {
    pub(super) message: &'static str,
}
