//! When tokens and sessions were last used: noted in memory by the check, written to the store now and then.
//!
//! A check never waits for a write. What is lost in a crash is at most the last few seconds of these times.

use std::{collections::HashMap, sync::Mutex};

use crate::{
    domain::{
        id::{SessionId, TokenId},
        time::Timestamp,
    },
    store::{Store, StoreError, Uses},
};

/// The most uses of one write.
const WRITTEN_AT_ONCE: usize = 256;

/// The uses that are not on disk yet, each id with its latest time.
#[derive(Default)]
pub(super) struct Recorder {
    tokens: Shards<TokenId>,
    sessions: Shards<SessionId>,
}

impl Recorder {
    pub(super) fn note_token(&self, id: TokenId, now: Timestamp) {
        self.tokens.note(id, id.uuid().as_bytes()[15], now);
    }

    pub(super) fn note_session(&self, id: SessionId, now: Timestamp) {
        self.sessions.note(id, id.uuid().as_bytes()[15], now);
    }

    /// The later of `stored` and what is noted here.
    pub(super) fn latest_token(&self, id: TokenId, stored: Option<Timestamp>) -> Option<Timestamp> {
        self.tokens.get(id, id.uuid().as_bytes()[15]).max(stored)
    }

    /// The later of `stored` and what is noted here.
    pub(super) fn latest_session(&self, id: SessionId, stored: Timestamp) -> Timestamp {
        self.sessions.get(id, id.uuid().as_bytes()[15]).map_or(stored, |noted| noted.max(stored))
    }

    /// Writes what is noted, a little at a time so that no other write waits long behind it. A use is forgotten only once
    /// it is on disk, so that a reader finds it in one of the two places.
    pub(super) async fn flush(&self, store: &dyn Store) -> Result<(), StoreError> {
        for tokens in self.tokens.all().chunks(WRITTEN_AT_ONCE) {
            store.record_uses(Uses { tokens: tokens.to_vec(), sessions: Vec::new() }).await?;
            for (id, at) in tokens {
                self.tokens.forget(*id, id.uuid().as_bytes()[15], *at);
            }
        }
        for sessions in self.sessions.all().chunks(WRITTEN_AT_ONCE) {
            store.record_uses(Uses { tokens: Vec::new(), sessions: sessions.to_vec() }).await?;
            for (id, at) in sessions {
                self.sessions.forget(*id, id.uuid().as_bytes()[15], *at);
            }
        }
        Ok(())
    }
}

/// A map in sixteen parts, so that checks on different threads seldom meet.
struct Shards<Id>([Mutex<HashMap<Id, Timestamp>>; 16]);

impl<Id> Default for Shards<Id> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }
}

impl<Id: Copy + Eq + std::hash::Hash> Shards<Id> {
    /// The map is sound whatever a thread that panicked was doing, so a poisoned lock is taken all the same.
    fn shard(&self, random: u8) -> std::sync::MutexGuard<'_, HashMap<Id, Timestamp>> {
        self.0[usize::from(random % 16)].lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn note(&self, id: Id, random: u8, now: Timestamp) {
        let mut shard = self.shard(random);
        let noted = shard.entry(id).or_insert(now);
        *noted = now.max(*noted);
    }

    fn get(&self, id: Id, random: u8) -> Option<Timestamp> {
        self.shard(random).get(&id).copied()
    }

    fn forget(&self, id: Id, random: u8, written: Timestamp) {
        let mut shard = self.shard(random);
        if shard.get(&id) == Some(&written) {
            shard.remove(&id);
        }
    }

    fn all(&self) -> Vec<(Id, Timestamp)> {
        (0..16).flat_map(|part| self.shard(part).iter().map(|(id, at)| (*id, *at)).collect::<Vec<_>>()).collect()
    }
}
