//! The latest uses of tokens and sessions: recorded in memory by the check, written to the store in the background.
//!
//! A check never waits for a write. Once a record is listed, it does not wait for another check either. A use is in the
//! store after ten seconds at most, so a crash loses no more than that.

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

/// How long a written use is kept here: longer than any reader needs that read the store before the write.
const WRITTEN_KEPT: Duration = Duration::from_secs(60);

/// How many uses one write has while the server runs: about a millisecond of the writer's time.
const WRITTEN_AT_ONCE: usize = 128;

/// The same at shutdown, when nothing else is written.
const WRITTEN_AT_ONCE_AT_SHUTDOWN: usize = 4096;

/// The uses that are not in the store yet.
#[derive(Default)]
pub(in crate::ops) struct UseRecorder {
    tokens: Lists<TokenRecord>,
    sessions: Lists<SessionRecord>,
    turn: AtomicUsize,
}

impl UseRecorder {
    pub(in crate::ops) fn record_token(&self, record: &Arc<TokenRecord>, now: Timestamp) {
        self.tokens.record(record, now);
    }

    pub(in crate::ops) fn record_session(&self, record: &Arc<SessionRecord>, now: Timestamp) {
        self.sessions.record(record, now);
    }

    /// The latest use of the token with this row number: the one here or the one that the store has just returned.
    pub(in crate::ops) fn latest_token(&self, number: i64, stored: Option<Timestamp>) -> Option<Timestamp> {
        self.tokens.latest(number).max(stored)
    }

    /// The latest use of a session: the one here or the one that the store has just returned.
    pub(in crate::ops) fn latest_session(&self, id: SessionId, stored: Timestamp) -> Timestamp {
        self.sessions.latest(id).map_or(stored, |noted| noted.max(stored))
    }

    /// Writes one part: the next one at each call.
    pub(in crate::ops) async fn flush_some(&self, store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
        let part = self.turn.fetch_add(1, Ordering::Relaxed) % PARTS;
        self.flush_part(store, part, Some(now), WRITTEN_AT_ONCE).await
    }

    /// Writes all parts.
    pub(in crate::ops) async fn flush(&self, store: &dyn Store) -> Result<(), StoreError> {
        for part in 0..PARTS {
            self.flush_part(store, part, None, WRITTEN_AT_ONCE_AT_SHUTDOWN).await?;
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

/// A record that holds its latest use.
trait Used {
    /// The key in the store. Records with neighbouring keys are close on disk.
    type Key: Copy + Ord + Send;
    fn key(&self) -> Self::Key;
    /// The part of the lists for this key.
    fn part(key: Self::Key) -> usize;
    fn last_use(&self) -> &LastUse;
}

impl Used for TokenRecord {
    type Key = i64;

    fn key(&self) -> i64 {
        self.token.number
    }

    /// Neighbouring keys share a part, so that one write touches few pages.
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

/// The records that were used since they were last written. They are divided into parts, so that a lock blocks few checks.
///
/// The record cache shares these records. A record that the cache drops stays here until it is written. If a token was read
/// twice and has two records, the one that was used last is listed and holds the later time of both.
struct Lists<R: Used>([Mutex<BTreeMap<R::Key, Entry<R>>>; PARTS]);

struct Entry<R> {
    /// The record, while its use is not in the store.
    unwritten: Option<Arc<R>>,
    /// The use that was written last. It is kept for a while, so that a reader that read the store before the write and
    /// looks here after it still finds it.
    written: Option<Timestamp>,
}

impl<R: Used> Default for Lists<R> {
    fn default() -> Self {
        Self(array::from_fn(|_| Mutex::default()))
    }
}

impl<R: Used> Lists<R> {
    /// A panic of another thread leaves the map intact, so a poisoned lock is no error.
    fn lock(&self, part: usize) -> MutexGuard<'_, BTreeMap<R::Key, Entry<R>>> {
        self.0[part].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, record: &Arc<R>, now: Timestamp) {
        if !record.last_use().advance(now) {
            self.list(record, now);
        }
    }

    /// Runs once for each record and write, or when another thread lists the record at the same moment.
    #[cold]
    fn list(&self, record: &Arc<R>, now: Timestamp) {
        let key = record.key();
        let mut list = self.lock(R::part(key));
        let entry = list.entry(key).or_insert(Entry { unwritten: None, written: None });
        let other = entry.unwritten.replace(Arc::clone(record)).filter(|other| !Arc::ptr_eq(other, record));
        // A thread that still uses the other record finds it unlisted and lists it again.
        let other = other.and_then(|other| other.last_use().unlist());
        record.last_use().list(other.map_or(now, |at| at.max(now)));
    }

    fn latest(&self, key: R::Key) -> Option<Timestamp> {
        let list = self.lock(R::part(key));
        let entry = list.get(&key)?;
        entry.unwritten.as_ref().and_then(|record| record.last_use().at()).max(entry.written)
    }

    /// Writes the uses of a part in the order of their keys, at most `most` at once. What cannot be written stays.
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
            self.mark_written(part, uses);
        }
        Ok(())
    }

    /// The uses to write, and drops written ones after [`WRITTEN_KEPT`]. `now` is `None` at shutdown.
    fn due(&self, part: usize, now: Option<Timestamp>) -> Vec<(R::Key, Timestamp)> {
        let mut due = Vec::new();
        self.lock(part).retain(|key, entry| {
            entry.written = entry.written.filter(|written| now.is_some_and(|now| now.since(*written) < WRITTEN_KEPT));
            let unwritten = entry.unwritten.as_ref().and_then(|record| record.last_use().at());
            due.extend(unwritten.map(|at| (*key, at)));
            unwritten.is_some() || entry.written.is_some()
        });
        due
    }

    fn mark_written(&self, part: usize, uses: &[(R::Key, Timestamp)]) {
        let mut list = self.lock(part);
        for (key, at) in uses {
            let Some(entry) = list.get_mut(key) else { continue };
            entry.written = Some(*at);
            // If the record was used again during the write, or another record of the token is listed, it stays.
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

    struct TestRecord {
        key: i64,
        last_use: LastUse,
    }

    impl Used for TestRecord {
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

    fn test_record(key: i64) -> Arc<TestRecord> {
        Arc::new(TestRecord { key, last_use: LastUse::new(None) })
    }

    const fn at(minutes: i64) -> Timestamp {
        Timestamp::from_unix(minutes * 60)
    }

    /// What one flush writes, write by write, with the minutes of its times.
    fn flush(lists: &Lists<TestRecord>, now: Option<Timestamp>, most: usize) -> Vec<Vec<(i64, i64)>> {
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
            lists.record(&test_record(key), at(5));
        }
        assert_eq!(flush(&lists, Some(at(5)), 2), [vec![(1, 5), (2, 5)], vec![(3, 5)]]);
        assert!(flush(&lists, Some(at(5)), 2).is_empty());
    }

    #[test]
    fn of_two_records_of_one_token_neither_loses_a_use() {
        let lists = Lists::default();
        let (one, other) = (test_record(1), test_record(1));
        lists.record(&one, at(7));
        lists.record(&other, at(5));
        assert_eq!(lists.latest(1), Some(at(7)));
        lists.record(&one, at(8));
        assert_eq!(lists.latest(1), Some(at(8)));
        lists.record(&other, at(9));
        assert_eq!(flush(&lists, Some(at(9)), 9), [vec![(1, 9)]]);
        lists.record(&one, at(10));
        assert_eq!(flush(&lists, Some(at(10)), 9), [vec![(1, 10)]]);
    }

    #[test]
    fn a_use_during_a_write_is_written_by_the_next_one() {
        let lists = Lists::default();
        let (same, read_again) = (test_record(1), test_record(2));
        lists.record(&same, at(5));
        lists.record(&read_again, at(5));
        let write = |_| {
            lists.record(&same, at(6));
            lists.record(&test_record(2), at(7));
            ready(Ok(()))
        };
        lists.flush(0, Some(at(5)), 9, write).now_or_never().unwrap().unwrap();
        assert_eq!((lists.latest(1), lists.latest(2)), (Some(at(6)), Some(at(7))));
        assert_eq!(flush(&lists, Some(at(7)), 9), [vec![(1, 6), (2, 7)]]);
    }

    #[test]
    fn what_could_not_be_written_is_written_by_the_next_flush() {
        let lists = Lists::default();
        lists.record(&test_record(1), at(5));
        let failure = StoreError::Unavailable("on purpose".into());
        let failed = lists.flush(0, Some(at(5)), 9, |_| ready(Err(failure.clone()))).now_or_never().unwrap();
        assert_eq!(failed, Err(failure));
        assert_eq!(lists.latest(1), Some(at(5)));
        assert_eq!(flush(&lists, Some(at(5)), 9), [vec![(1, 5)]]);
    }

    #[test]
    fn a_reader_that_read_the_store_before_a_write_still_finds_the_use() {
        let lists = Lists::default();
        lists.record(&test_record(1), at(5));
        for _ in 0..2 {
            flush(&lists, Some(at(5)), 9);
            assert_eq!(lists.latest(1), Some(at(5)));
        }
        flush(&lists, Some(at(6)), 9);
        assert_eq!(lists.latest(1), None, "it is dropped later");
    }

    #[test]
    fn a_record_in_constant_use_is_written_by_each_flush_and_once_after_its_last_use() {
        let (lists, record) = (Lists::default(), test_record(1));
        let stored = RefCell::new(Vec::new());
        let write = |uses: Vec<(i64, Timestamp)>| {
            stored.borrow_mut().extend(uses.into_iter().map(|(_, at)| at.unix()));
            ready(Ok(()))
        };
        for second in 0..60 {
            let now = Timestamp::from_unix(second);
            if second < 37 {
                lists.record(&record, now);
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
        let shared: Vec<_> = (0..8).map(test_record).collect();
        let stored = RefCell::new([0; 8]);
        let flush_all = || {
            for (key, at) in flush(&lists, None, 3).concat() {
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
                                lists.record(record, at(now));
                            }
                            // A record that was read again and is dropped at once.
                            lists.record(&test_record(now % 8), at(now));
                        }
                    })
                })
                .collect();
            while !checks.iter().all(thread::ScopedJoinHandle::is_finished) {
                flush_all();
            }
        });
        flush_all();
        assert_eq!(stored.into_inner(), [5000; 8]);
    }
}
