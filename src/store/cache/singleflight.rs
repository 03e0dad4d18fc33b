//! Look-ups under way: who asks for what somebody is asking for already waits for the same answer.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::OnceCell;

use crate::{domain::secret::TokenHash, store::StoreError};

/// Those who wait, by what they wait for.
pub(super) struct Calls<T>(Mutex<HashMap<TokenHash, Arc<Call<T>>>>);

/// One look-up. If whoever makes it leaves, one of those who wait makes it anew.
pub(super) struct Call<T> {
    /// The epoch before it began.
    pub(super) since: u64,
    pub(super) answer: OnceCell<Result<T, StoreError>>,
}

/// A place on a flight. The last to leave ends it, and so it is no longer than its passengers wait.
pub(super) struct Waiter<'f, T> {
    calls: &'f Calls<T>,
    hash: TokenHash,
    pub(super) call: Arc<Call<T>>,
}

impl<T> Default for Calls<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Calls<T> {
    /// The flight for `hash`, or a new one of somebody who took the epoch `since`.
    pub(super) fn join(&self, hash: TokenHash, since: u64) -> Waiter<'_, T> {
        let mut calls = self.lock();
        let call = calls.entry(hash).or_insert_with(|| Arc::new(Call { since, answer: OnceCell::new() }));
        Waiter { calls: self, hash, call: Arc::clone(call) }
    }

    /// Nothing panics while it is held.
    fn lock(&self) -> MutexGuard<'_, HashMap<TokenHash, Arc<Call<T>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Drop for Waiter<'_, T> {
    fn drop(&mut self) {
        // Seats are taken and given up under this lock only, so the count stands still: the map's and this one.
        if let Entry::Occupied(entry) = self.calls.lock().entry(self.hash)
            && Arc::strong_count(entry.get()) == 2
        {
            entry.remove();
        }
    }
}
