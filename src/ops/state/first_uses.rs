//! First uses of successors that were accepted although the store could not record them.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::domain::id::{TokenId, UserId};

/// How many are kept.
const MAX_PENDING: usize = 10_000;

/// A successor whose first use is not recorded.
#[derive(Clone, Copy)]
pub(in crate::ops) struct Successor {
    pub(in crate::ops) id: TokenId,
    pub(in crate::ops) owner: UserId,
}

/// The successors, by the id of their predecessor.
#[derive(Default)]
pub(in crate::ops) struct PendingFirstUses(Mutex<HashMap<TokenId, Successor>>);

impl PendingFirstUses {
    /// Adds the first use of `successor`. If there are too many, it is dropped, and the next use of the successor tries
    /// to record it again.
    pub(in crate::ops) fn add(&self, predecessor: TokenId, successor: Successor) {
        let mut pending = self.lock();
        if pending.len() < MAX_PENDING {
            pending.insert(predecessor, successor);
        }
    }

    pub(in crate::ops) fn remove(&self, predecessor: TokenId) {
        self.lock().remove(&predecessor);
    }

    /// The successor of `predecessor` whose first use is not recorded.
    pub(in crate::ops) fn successor_of(&self, predecessor: TokenId) -> Option<Successor> {
        self.lock().get(&predecessor).copied()
    }

    pub(in crate::ops) fn predecessors(&self) -> Vec<TokenId> {
        self.lock().keys().copied().collect()
    }

    /// A panic of another thread leaves the map intact, so a poisoned lock is no error.
    fn lock(&self) -> MutexGuard<'_, HashMap<TokenId, Successor>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
