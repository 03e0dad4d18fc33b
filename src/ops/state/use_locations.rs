//! Use locations of tokens: recorded in memory by the check, written to the store in the background.
//!
//! If a token was last used with the same address and user agent in the same minute, a check compares one word, writes
//! nothing and takes no lock. The word is a hash with a key of this process, so that a client cannot choose a user agent
//! that looks like one that is already recorded.

use std::{
    array,
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::uses::TURNS;
use crate::{
    domain::{
        id::TokenId,
        time::Timestamp,
        token::TokenRecord,
        use_location::{UseLocation, UserAgent},
    },
    ops::caller::Caller,
    store::{Store, StoreError},
};

const PARTS: usize = TURNS as usize;

/// How many tokens may have unwritten locations. Beyond that, no locations are recorded until there is room.
const MAX_TOKENS: usize = 20_000;

/// How many rows one write has: about a millisecond of the writer's time.
const WRITTEN_AT_ONCE: usize = 64;

/// The locations that are not in the store yet.
pub(in crate::ops) struct UseLocations {
    hasher: RandomState,
    parts: [Mutex<BTreeMap<TokenId, Vec<UseLocation>>>; PARTS],
    /// How many tokens the parts hold.
    tokens: AtomicUsize,
    next_part: AtomicUsize,
}

impl Default for UseLocations {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            parts: array::from_fn(|_| Mutex::default()),
            tokens: AtomicUsize::new(0),
            next_part: AtomicUsize::new(0),
        }
    }
}

impl UseLocations {
    /// Records a use. Without a known address it records nothing.
    pub(in crate::ops) fn record(&self, record: &TokenRecord, caller: Caller<'_>, now: Timestamp) {
        let Some(address) = caller.address else { return };
        let grain = now.unix().div_euclid(UseLocation::GRAIN);
        let hash = self.hasher.hash_one((address, caller.user_agent, grain));
        if !record.noted_location.is(hash) && self.record_new(record.token.id, address, caller.user_agent, now) {
            record.noted_location.set(hash);
        }
    }

    #[cold]
    fn record_new(&self, id: TokenId, address: IpAddr, user_agent: Option<&str>, now: Timestamp) -> bool {
        if self.tokens.load(Ordering::Relaxed) >= MAX_TOKENS {
            return false;
        }
        let location = UseLocation { address, user_agent: user_agent.and_then(UserAgent::clean), last_used_at: now };
        let mut part = self.lock(part_of(id));
        let locations = part.entry(id).or_insert_with(|| {
            self.tokens.fetch_add(1, Ordering::Relaxed);
            Vec::new()
        });
        *locations = UseLocation::merge(vec![location], std::mem::take(locations));
        true
    }

    pub(in crate::ops) fn unwritten(&self, id: TokenId) -> Vec<UseLocation> {
        self.lock(part_of(id)).get(&id).cloned().unwrap_or_default()
    }

    /// Writes one part: the next one at each call.
    pub(in crate::ops) async fn flush_some(&self, store: &dyn Store) -> Result<(), StoreError> {
        let part = self.next_part.fetch_add(1, Ordering::Relaxed) % PARTS;
        self.flush_part(store, part).await
    }

    /// Writes all parts.
    pub(in crate::ops) async fn flush(&self, store: &dyn Store) -> Result<(), StoreError> {
        for part in 0..PARTS {
            self.flush_part(store, part).await?;
        }
        Ok(())
    }

    /// Locations that are recorded during the write stay, and so do those whose write fails.
    async fn flush_part(&self, store: &dyn Store, part: usize) -> Result<(), StoreError> {
        let due: Vec<(TokenId, UseLocation)> = {
            let unwritten = self.lock(part);
            let each = unwritten.iter();
            each.flat_map(|(id, locations)| locations.iter().map(|location| (*id, location.clone()))).collect()
        };
        for some in due.chunks(WRITTEN_AT_ONCE) {
            store.record_locations(some.to_vec()).await?;
            let mut unwritten = self.lock(part);
            for (id, written) in some {
                let Some(locations) = unwritten.get_mut(id) else { continue };
                locations.retain(|location| location != written);
                if locations.is_empty() {
                    unwritten.remove(id);
                    self.tokens.fetch_sub(1, Ordering::Relaxed);
                }
            }
        }
        Ok(())
    }

    fn lock(&self, part: usize) -> MutexGuard<'_, BTreeMap<TokenId, Vec<UseLocation>>> {
        self.parts[part].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last bytes of a UUIDv7 are random.
fn part_of(id: TokenId) -> usize {
    usize::from(id.uuid().as_bytes()[15]) % PARTS
}
