//! What an error of PostgreSQL means to a caller of the store.

use tokio_postgres::{Error, error::SqlState};

use crate::store::{Conflict, StoreError};

/// When an error came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Before the commit was sent. So nothing has changed, whatever the error is.
    Work,
    /// After it was sent. The outcome is unknown.
    Commit,
}

pub(super) fn store_error(error: &Error, stage: Stage) -> StoreError {
    let outage = |why| match stage {
        Stage::Work => StoreError::NotMade(why),
        Stage::Commit => StoreError::Unavailable(why),
    };
    let Some(database_error) = error.as_db_error() else {
        // The connection, or the driver. A value that cannot be converted is a defect.
        return if is_conversion(error) { StoreError::Internal(describe(error)) } else { outage(describe(error)) };
    };
    let code = database_error.code();
    if *code == SqlState::UNIQUE_VIOLATION && database_error.constraint() == Some("users_email_canonical_key") {
        return StoreError::Conflict(Conflict::EmailTaken);
    }
    if is_outage(code) { outage(describe(error)) } else { StoreError::Internal(describe(error)) }
}

/// Classes of what is wrong with the server, its resources or its state, and not with the statement.
fn is_outage(code: &SqlState) -> bool {
    // Connection, transaction state, authorization, rollback, resources, object in use, operator, system, configuration,
    // a defect of the server.
    const CLASSES: [&str; 10] = ["08", "25", "28", "40", "53", "55", "57", "58", "F0", "XX"];
    CLASSES.iter().any(|class| code.code().starts_with(class))
}

/// The driver has no other way to tell.
fn is_conversion(error: &Error) -> bool {
    let text = error.to_string();
    ["error serializing parameter", "error deserializing column", "invalid column", "query returned an unexpected"]
        .iter()
        .any(|begin| text.starts_with(begin))
}

/// The message with its cause; the driver's own text says only "db error". Details are left out, because they may hold values
/// of rows.
pub(super) fn describe(error: &Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(error), _) => format!("{} ({})", error.message(), error.code().code()),
        (None, Some(cause)) => format!("{error}: {cause}"),
        (None, None) => error.to_string(),
    }
}
