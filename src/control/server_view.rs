//! What a command learns about the running server.

use serde::{Deserialize, Serialize};

/// The process that carries the request out.
#[derive(Debug, Serialize, Deserialize)]
pub struct ServerView {
    /// Its release.
    pub release: String,
    /// How many files it may have open. `None` if the system does not say.
    pub open_files: Option<u64>,
}

impl ServerView {
    /// This process.
    pub(super) fn this() -> Self {
        let open_files = rlimit::Resource::NOFILE.get_soft().ok();
        Self { release: env!("CARGO_PKG_VERSION").to_owned(), open_files }
    }
}
