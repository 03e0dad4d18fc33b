//! When tokens and sessions were last used: noted in memory by the check, written to the store little by little.
//!
//! A check never waits for a write, nor, once a record is listed, for another check. A use is on disk after ten seconds
//! at most, so a crash makes no time wrong by more than that.

use std::{
    array,
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::{
    domain::{id::SessionId, last_use::LastUse, session::SessionRecord, time::Timestamp, token::TokenRecord},
    store::{Store, StoreError, Uses},
};

/// How many calls of [`flush_some_uses`](crate::ops::Context::flush_some_uses) write all parts once.
pub const TURNS: u32 = PARTS as u32;

const PARTS: usize = 64;

/// How long it is remembered what was written last: longer than anybody takes who read the store before.
const REMEMBERED: Duration = Duration::from_secs(60);

/// The most uses of one write while the server serves: about a millisecond of the writer's time.
const WRITTEN_AT_ONCE: usize = 128;

/// The same when it stops, and nobody else writes.
const WRITTEN_AT_ONCE_AT_LAST: usize = 4096;

/// The uses that are not on disk yet.
#[derive(Default)]
pub(in crate::ops) struct UseRecorder {
    tokens: Lists<TokenRecord>,
    sessions: Lists<SessionRecord>,
    turn: AtomicUsize,
}

impl UseRecorder {
    pub(in crate::ops) fn note_token(&self, record: &Arc<TokenRecord>, now: Timestamp) {
        self.tokens.note(record, now);
    }

    pub(in crate::ops) fn note_session(&self, record: &Arc<SessionRecord>, now: Timestamp) {
        self.sessions.note(record, now);
    }

    /// The later of what is noted here of the token with that row number and what the store answered just now.
    pub(in crate::ops) fn latest_token(&self, number: i64, stored: Option<Timestamp>) -> Option<Timestamp> {
        self.tokens.latest(number).max(stored)
    }

    /// The later of what is noted here and what the store answered just now.
    pub(in crate::ops) fn latest_session(&self, id: SessionId, stored: Timestamp) -> Timestamp {
        self.sessions.latest(id).map_or(stored, |noted| noted.max(stored))
    }

    /// Writes what is due at `now` in the part whose turn it is.
    pub(in crate::ops) async fn flush_some(&self, store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
        let part = self.turn.fetch_add(1, Ordering::Relaxed) % PARTS;
        self.flush_part(store, part, Some(now), WRITTEN_AT_ONCE).await
    }

    /// Writes all.
    pub(in crate::ops) async fn flush(&self, store: &dyn Store) -> Result<(), StoreError> {
        for part in 0..PARTS {
            self.flush_part(store, part, None, WRITTEN_AT_ONCE_AT_LAST).await?;
        }
        Ok(())
    }

    async fn flush_part(
        &self,
        store: &dyn Store,
        part: usize,
        due_at: Option<Timestamp>,
        most: usize,
    ) -> Result<(), StoreError> {
        let write = |tokens| store.record_uses(Uses { tokens, sessions: Vec::new() });
        self.tokens.flush(part, due_at, most, write).await?;
        let write = |sessions| store.record_uses(Uses { tokens: Vec::new(), sessions });
        self.sessions.flush(part, due_at, most, write).await
    }
}

/// A record that knows when it was last used.
trait Used {
    /// What the store finds it by. Neighbours lie together on disk.
    type Key: Copy + Ord + Send;
    fn key(&self) -> Self::Key;
    /// Which part of the list it is in.
    fn part(key: Self::Key) -> usize;
    fn last_use(&self) -> &LastUse;
}

impl Used for TokenRecord {
    type Key = i64;

    fn key(&self) -> i64 {
        self.token.number
    }

    /// Neighbours stay together, so that a write of them touches few pages.
    fn part(number: i64) -> usize {
        (number / 16).unsigned_abs() as usize % PARTS
    }

    fn last_use(&self) -> &LastUse {
        &self.last_use
    }
}

impl Used for SessionRecord {
    type Key = SessionId;

    fn key(&self) -> SessionId {
        self.session.id
    }

    /// The last bytes of a UUIDv7 are random.
    fn part(id: SessionId) -> usize {
        usize::from(id.uuid().as_bytes()[15]) % PARTS
    }

    fn last_use(&self) -> &LastUse {
        &self.last_use
    }
}

/// The records that were used since they were last written, in parts: whoever takes a part's lock holds up few.
///
/// A record is shared with whoever keeps it, but it does not depend on that: one that is forgotten there stays here until
/// it is written. Where there are two of one token, since it was read twice, the one that was used last is listed and
/// knows of both.
struct Lists<R: Used>([Mutex<BTreeMap<R::Key, Entry<R>>>; PARTS]);

struct Entry<R> {
    /// The record, while it knows of a use that is not on disk.
    unwritten: Option<Arc<R>>,
    /// The use that was written last. It stays for a while, so that somebody who read the store before the write, and looks here after it, still finds it.
    written: Option<Timestamp>,
}

impl<R: Used> Default for Lists<R> {
    fn default() -> Self {
        Self(array::from_fn(|_| Mutex::default()))
    }
}

impl<R: Used> Lists<R> {
    /// A list is sound whatever a thread that panicked was doing, so a poisoned lock is taken all the same.
    fn lock(&self, part: usize) -> MutexGuard<'_, BTreeMap<R::Key, Entry<R>>> {
        self.0[part].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, record: &Arc<R>, now: Timestamp) {
        if !record.last_use().advance(now) {
            self.list(record, now);
        }
    }

    /// Once a record and turn, or where somebody else lists it at the same moment.
    #[cold]
    fn list(&self, record: &Arc<R>, now: Timestamp) {
        let key = record.key();
        let mut list = self.lock(R::part(key));
        let entry = list.entry(key).or_insert(Entry { unwritten: None, written: None });
        let other = entry.unwritten.replace(Arc::clone(record)).filter(|other| !Arc::ptr_eq(other, record));
        // Whoever still uses the other one finds it on no list, and comes here again.
        let other = other.and_then(|other| other.last_use().unlist());
        record.last_use().list(other.map_or(now, |at| at.max(now)));
    }

    fn latest(&self, key: R::Key) -> Option<Timestamp> {
        let list = self.lock(R::part(key));
        let entry = list.get(&key)?;
        entry.unwritten.as_ref().and_then(|record| record.last_use().at()).max(entry.written)
    }

    /// Writes what is due in a part, in the order of its keys, at most `most` at once. What cannot be written stays.
    async fn flush<W>(
        &self,
        part: usize,
        due_at: Option<Timestamp>,
        most: usize,
        write: impl Fn(Vec<(R::Key, Timestamp)>) -> W,
    ) -> Result<(), StoreError>
    where
        W: Future<Output = Result<(), StoreError>>,
    {
        for uses in self.due(part, due_at).chunks(most) {
            write(uses.to_vec()).await?;
            self.note_written(part, uses);
        }
        Ok(())
    }

    /// What is to be written at `now`, where `None` is the end; forgets what was written long before.
    fn due(&self, part: usize, now: Option<Timestamp>) -> Vec<(R::Key, Timestamp)> {
        let mut due = Vec::new();
        self.lock(part).retain(|key, entry| {
            entry.written = entry.written.filter(|written| now.is_some_and(|now| now.since(*written) < REMEMBERED));
            let unwritten = entry.unwritten.as_ref().and_then(|record| record.last_use().at());
            due.extend(unwritten.map(|at| (*key, at)));
            unwritten.is_some() || entry.written.is_some()
        });
        due
    }

    fn note_written(&self, part: usize, uses: &[(R::Key, Timestamp)]) {
        let mut list = self.lock(part);
        for (key, at) in uses {
            let Some(entry) = list.get_mut(key) else { continue };
            entry.written = Some(*at);
            // One that was used again meanwhile, or gave way to another of the same token, is not done with.
            if entry.unwritten.as_ref().is_some_and(|record| record.last_use().unlist_at(*at)) {
                entry.unwritten = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, future::ready, thread};

    use futures_util::FutureExt;

    use super::*;

    struct Thing {
        key: i64,
        last_use: LastUse,
    }

    impl Used for Thing {
        type Key = i64;

        fn key(&self) -> i64 {
            self.key
        }

        fn part(_: i64) -> usize {
            0
        }

        fn last_use(&self) -> &LastUse {
            &self.last_use
        }
    }

    fn thing(key: i64) -> Arc<Thing> {
        Arc::new(Thing { key, last_use: LastUse::new(None) })
    }

    const fn at(minutes: i64) -> Timestamp {
        Timestamp::from_unix(minutes * 60)
    }

    /// What one turn writes, write by write, with the minutes of its times.
    fn turn(lists: &Lists<Thing>, now: Option<Timestamp>, most: usize) -> Vec<Vec<(i64, i64)>> {
        let written = RefCell::new(Vec::new());
        let write = |uses: Vec<(i64, Timestamp)>| {
            written.borrow_mut().push(uses.into_iter().map(|(key, at)| (key, at.unix() / 60)).collect());
            ready(Ok(()))
        };
        lists.flush(0, now, most, write).now_or_never().unwrap().unwrap();
        written.into_inner()
    }

    #[test]
    fn uses_are_written_once_in_order_and_a_few_at_a_time() {
        let lists = Lists::default();
        for key in [3, 1, 2, 1] {
            lists.note(&thing(key), at(5));
        }
        assert_eq!(turn(&lists, Some(at(5)), 2), [vec![(1, 5), (2, 5)], vec![(3, 5)]]);
        assert!(turn(&lists, Some(at(5)), 2).is_empty());
    }

    #[test]
    fn of_two_records_of_one_token_neither_loses_a_use() {
        let lists = Lists::default();
        let (one, other) = (thing(1), thing(1));
        lists.note(&one, at(7));
        lists.note(&other, at(5));
        assert_eq!(lists.latest(1), Some(at(7)));
        lists.note(&one, at(8));
        assert_eq!(lists.latest(1), Some(at(8)));
        lists.note(&other, at(9));
        assert_eq!(turn(&lists, Some(at(9)), 9), [vec![(1, 9)]]);
        lists.note(&one, at(10));
        assert_eq!(turn(&lists, Some(at(10)), 9), [vec![(1, 10)]]);
    }

    #[test]
    fn a_use_while_it_is_written_is_written_at_the_next_turn() {
        let lists = Lists::default();
        let (same, read_again) = (thing(1), thing(2));
        lists.note(&same, at(5));
        lists.note(&read_again, at(5));
        let write = |_| {
            lists.note(&same, at(6));
            lists.note(&thing(2), at(7));
            ready(Ok(()))
        };
        lists.flush(0, Some(at(5)), 9, write).now_or_never().unwrap().unwrap();
        assert_eq!((lists.latest(1), lists.latest(2)), (Some(at(6)), Some(at(7))));
        assert_eq!(turn(&lists, Some(at(7)), 9), [vec![(1, 6), (2, 7)]]);
    }

    #[test]
    fn what_could_not_be_written_is_written_at_the_next_turn() {
        let lists = Lists::default();
        lists.note(&thing(1), at(5));
        let failure = StoreError::Unavailable("on purpose".into());
        let failed = lists.flush(0, Some(at(5)), 9, |_| ready(Err(failure.clone()))).now_or_never().unwrap();
        assert_eq!(failed, Err(failure));
        assert_eq!(lists.latest(1), Some(at(5)));
        assert_eq!(turn(&lists, Some(at(5)), 9), [vec![(1, 5)]]);
    }

    #[test]
    fn what_was_written_is_still_found_by_who_read_the_store_before() {
        let lists = Lists::default();
        lists.note(&thing(1), at(5));
        for _ in 0..2 {
            turn(&lists, Some(at(5)), 9);
            assert_eq!(lists.latest(1), Some(at(5)));
        }
        turn(&lists, Some(at(6)), 9);
        assert_eq!(lists.latest(1), None, "and not for ever");
    }

    #[test]
    fn what_is_used_all_the_time_is_written_at_every_turn_and_the_last_use_after_it() {
        let (lists, record) = (Lists::default(), thing(1));
        let stored = RefCell::new(Vec::new());
        let write = |uses: Vec<(i64, Timestamp)>| {
            stored.borrow_mut().extend(uses.into_iter().map(|(_, at)| at.unix()));
            ready(Ok(()))
        };
        for second in 0..60 {
            let now = Timestamp::from_unix(second);
            if second < 37 {
                lists.note(&record, now);
                assert_eq!(lists.latest(1), Some(now));
            }
            if second % 8 == 0 {
                lists.flush(0, Some(now), 9, write).now_or_never().unwrap().unwrap();
            }
        }
        assert_eq!(stored.into_inner(), [0, 8, 16, 24, 32, 36]);
    }

    #[test]
    fn under_load_every_latest_use_is_written() {
        let lists = Lists::default();
        let shared: Vec<_> = (0..8).map(thing).collect();
        let stored = RefCell::new([0; 8]);
        let turn = || {
            for (key, at) in turn(&lists, None, 3).concat() {
                let stored = &mut stored.borrow_mut()[key as usize];
                *stored = at.max(*stored);
            }
        };
        thread::scope(|scope| {
            let checks: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        for now in 1..=5000 {
                            for record in &shared {
                                lists.note(record, at(now));
                            }
                            // One that was read anew, and is given up at once.
                            lists.note(&thing(now % 8), at(now));
                        }
                    })
                })
                .collect();
            while !checks.iter().all(thread::ScopedJoinHandle::is_finished) {
                turn();
            }
        });
        turn();
        assert_eq!(stored.into_inner(), [5000; 8]);
    }
}
