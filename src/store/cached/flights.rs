//! Look-ups under way: who asks for what somebody is asking for already waits for the same answer.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::OnceCell;

use crate::{domain::secret::TokenHash, store::StoreError};

/// Those who wait, by what they wait for.
pub(super) struct Flights<T>(Mutex<HashMap<TokenHash, Arc<Flight<T>>>>);

/// One look-up. If whoever makes it leaves, one of those who wait makes it anew.
pub(super) struct Flight<T> {
    /// The epoch before it began.
    pub(super) since: u64,
    pub(super) answer: OnceCell<Result<T, StoreError>>,
}

/// A place on a flight. The last to leave ends it, and so it is no longer than its passengers wait.
pub(super) struct Seat<'f, T> {
    flights: &'f Flights<T>,
    hash: TokenHash,
    pub(super) flight: Arc<Flight<T>>,
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Flights<T> {
    /// The flight for `hash`, or a new one of somebody who took the epoch `since`.
    pub(super) fn join(&self, hash: TokenHash, since: u64) -> Seat<'_, T> {
        let mut flights = self.lock();
        let flight = flights.entry(hash).or_insert_with(|| Arc::new(Flight { since, answer: OnceCell::new() }));
        Seat { flights: self, hash, flight: Arc::clone(flight) }
    }

    /// Nothing panics while it is held.
    fn lock(&self) -> MutexGuard<'_, HashMap<TokenHash, Arc<Flight<T>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Drop for Seat<'_, T> {
    fn drop(&mut self) {
        // Seats are taken and given up under this lock only, so the count stands still: the map's and this one.
        if let Entry::Occupied(entry) = self.flights.lock().entry(self.hash)
            && Arc::strong_count(entry.get()) == 2
        {
            entry.remove();
        }
    }
}
