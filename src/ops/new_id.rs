//! Generates ids: UUIDv7, in ascending order.

use std::{
    sync::Mutex,
    time::{Duration, SystemTime},
};

use uuid::{ContextV7, Timestamp, Uuid};

use crate::domain::audit::RequestSource;

/// Keeps the order of ids of the same millisecond.
static ORDER: Mutex<ContextV7> = Mutex::new(ContextV7::new());

/// A new unique id.
pub(super) fn new_id() -> Uuid {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    id_at(since_epoch.unwrap_or_default())
}

/// The id of what the change of `source` makes: the one that a request with a key has noted, or a new one.
pub(super) fn id_to_make(source: &RequestSource) -> Uuid {
    source.keyed.as_ref().map_or_else(new_id, |keyed| keyed.made)
}

/// `Uuid::now_v7` panics if the clock is before 1970.
fn id_at(since_epoch: Duration) -> Uuid {
    Uuid::new_v7(Timestamp::from_unix(&ORDER, since_epoch.as_secs(), since_epoch.subsec_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_in_the_order_in_which_they_are_made_whatever_the_clock_says() {
        let mut last = Uuid::nil();
        for _ in 0..1000 {
            let id = id_at(Duration::ZERO);
            assert!(last < id && id.get_version_num() == 7);
            last = id;
        }
        for _ in 0..1000 {
            let id = new_id();
            assert!(last < id);
            last = id;
        }
    }
}
