//! From where tokens were used: noted in memory by the check, written to the store little by little.
//!
//! A check whose token was last noted with the same address and agent, in the same minute, writes nothing and takes no
//! lock: it compares one word. The word is a hash that is keyed by this process, so that nobody who has a token can say
//! they are somebody whom its owner knows.

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

use super::{Context, Error, uses::TURNS, verification::Caller};
use crate::{
    domain::{
        id::TokenId,
        time::Timestamp,
        token::TokenRecord,
        use_location::{UseLocation, UserAgent},
    },
    store::{Store, StoreError},
};

const PARTS: usize = TURNS as usize;

/// The most tokens of which something waits to be written. A flood of more leaves the rest unnoted until there is room.
const MOST: usize = 20_000;

/// The most rows of one write: about a millisecond of the writer's time.
const WRITTEN_AT_ONCE: usize = 64;

/// From where a token of the caller's was last used: the latest few addresses, the latest first.
pub async fn last_uses(ctx: &Context, id: TokenId) -> Result<Vec<UseLocation>, Error> {
    // In this order: what is written meanwhile is found in both places rather than in none.
    let unwritten = ctx.origins.unwritten(id);
    let stored = ctx.store.locations_of(id).await?;
    Ok(UseLocation::merge(unwritten, stored))
}

/// What is not on disk yet.
pub(super) struct Locations {
    hasher: RandomState,
    parts: [Mutex<BTreeMap<TokenId, Vec<UseLocation>>>; PARTS],
    waiting: AtomicUsize,
    turn: AtomicUsize,
}

impl Default for Locations {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            parts: array::from_fn(|_| Mutex::default()),
            waiting: AtomicUsize::new(0),
            turn: AtomicUsize::new(0),
        }
    }
}

impl Locations {
    /// Notes a use. One of which nobody knows from where it came is from nowhere.
    pub(super) fn note(&self, record: &TokenRecord, caller: Caller<'_>, now: Timestamp) {
        let Some(address) = caller.address else { return };
        let grain = now.unix().div_euclid(UseLocation::GRAIN);
        let hash = self.hasher.hash_one((address, caller.user_agent, grain));
        if !record.noted_location.is(hash) && self.note_new(record.token.id, address, caller.user_agent, now) {
            record.noted_location.set(hash);
        }
    }

    #[cold]
    fn note_new(&self, id: TokenId, address: IpAddr, user_agent: Option<&str>, now: Timestamp) -> bool {
        if self.waiting.load(Ordering::Relaxed) >= MOST {
            return false;
        }
        let origin = UseLocation { address, user_agent: user_agent.and_then(UserAgent::clean), last_used_at: now };
        let mut part = self.lock(part_of(id));
        let known = part.entry(id).or_insert_with(|| {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            Vec::new()
        });
        *known = UseLocation::merge(vec![origin], std::mem::take(known));
        true
    }

    fn unwritten(&self, id: TokenId) -> Vec<UseLocation> {
        self.lock(part_of(id)).get(&id).cloned().unwrap_or_default()
    }

    /// Writes the part whose turn it is.
    pub(super) async fn flush_some(&self, store: &dyn Store) -> Result<(), StoreError> {
        let part = self.turn.fetch_add(1, Ordering::Relaxed) % PARTS;
        self.flush_part(store, part).await
    }

    /// Writes all.
    pub(super) async fn flush(&self, store: &dyn Store) -> Result<(), StoreError> {
        for part in 0..PARTS {
            self.flush_part(store, part).await?;
        }
        Ok(())
    }

    /// What is noted while it is written stays, as does what cannot be written.
    async fn flush_part(&self, store: &dyn Store, part: usize) -> Result<(), StoreError> {
        let due: Vec<(TokenId, UseLocation)> = {
            let noted = self.lock(part);
            noted.iter().flat_map(|(id, origins)| origins.iter().map(|origin| (*id, origin.clone()))).collect()
        };
        for some in due.chunks(WRITTEN_AT_ONCE) {
            store.record_locations(some.to_vec()).await?;
            let mut noted = self.lock(part);
            for (id, written) in some {
                let Some(origins) = noted.get_mut(id) else { continue };
                origins.retain(|origin| origin != written);
                if origins.is_empty() {
                    noted.remove(id);
                    self.waiting.fetch_sub(1, Ordering::Relaxed);
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
