//! Lets several lookups of one secret at the same time share one read.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::OnceCell;

use crate::{domain::secret::TokenHash, store::StoreError};

/// The running calls, by the hash that they look up.
pub(super) struct Calls<T>(Mutex<HashMap<TokenHash, Arc<Call<T>>>>);

/// One shared lookup. If the caller that runs it is cancelled, one of the waiters starts it again.
pub(super) struct Call<T> {
    /// The epoch before it started.
    pub(super) since: u64,
    pub(super) answer: OnceCell<Result<T, StoreError>>,
}

/// One caller that waits for a call. The call is removed when its last waiter is dropped.
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
    /// Joins the call for `hash`, or starts one with the epoch `since`.
    pub(super) fn join(&self, hash: TokenHash, since: u64) -> Waiter<'_, T> {
        let mut calls = self.lock();
        let call = calls.entry(hash).or_insert_with(|| Arc::new(Call { since, answer: OnceCell::new() }));
        Waiter { calls: self, hash, call: Arc::clone(call) }
    }

    /// No code panics while it holds this lock, so poisoning is ignored.
    fn lock(&self) -> MutexGuard<'_, HashMap<TokenHash, Arc<Call<T>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Drop for Waiter<'_, T> {
    fn drop(&mut self) {
        // References are added and dropped only under this lock, so the count is exact: the map's and this one.
        if let Entry::Occupied(entry) = self.calls.lock().entry(self.hash)
            && Arc::strong_count(entry.get()) == 2
        {
            entry.remove();
        }
    }
}
