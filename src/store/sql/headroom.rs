//! How many more tokens an owner may create before the store must count them again.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::domain::id::UserId;

/// A lower bound on the tokens that each owner may still create, so that not every creation counts the live ones.
///
/// Revocation and expiry make room that is not recorded here; when the recorded headroom is used up, the store counts. Only
/// another process could use room unnoticed, and after its write all of this is forgotten. Each engine has its own way to notice:
/// `store/sqlite/watch.rs` and `store/postgres/trail_end.rs`.
#[derive(Default)]
pub(crate) struct Headroom {
    recorded: Mutex<HashMap<UserId, Recorded>>,
}

struct Recorded {
    max_live: u32,
    left: u32,
}

impl Headroom {
    /// For how many owners it is recorded. Beyond, all are forgotten.
    const MAX_OWNERS: usize = 10_000;

    /// Forgets every owner's.
    pub(crate) fn forget(&self) {
        self.lock().clear();
    }

    /// Forgets one owner's.
    pub(crate) fn forget_of(&self, owner: UserId) {
        self.lock().remove(&owner);
    }

    /// Takes one place, if one is recorded.
    pub(crate) fn take(&self, owner: UserId, max_live: u32) -> bool {
        match self.lock().get_mut(&owner) {
            Some(recorded) if recorded.max_live == max_live && recorded.left > 0 => {
                recorded.left -= 1;
                true
            }
            _ => false,
        }
    }

    pub(crate) fn record(&self, owner: UserId, max_live: u32, left: u32) {
        let mut recorded = self.lock();
        if recorded.len() >= Self::MAX_OWNERS {
            recorded.clear();
        }
        recorded.insert(owner, Recorded { max_live, left });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UserId, Recorded>> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
