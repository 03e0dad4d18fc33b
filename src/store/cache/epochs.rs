//! Decides whether a cached record is still current. Each change gets a new epoch: a number that only grows.
//!
//! A reader takes [`Epochs::now`] *before* its read and caches it with the record. A writer calls [`Epochs::changed`]
//! *after* its change can be read and *before* it answers. This puts a new epoch into the slot of the change, larger than
//! any epoch taken before. Two cases remain:
//!
//! - A read that may have missed the change has a smaller epoch than the slot. [`Epochs::unchanged_since`] rejects its
//!   record, no matter when the record entered the cache.
//! - A read with this epoch or a later one started when the change could be read, so its record contains the change.
//!
//! Several records share a slot. So a change may invalidate too much, but never too little.
//!
//! Acquire and release ordering would suffice, because each step orders two threads through one atomic. `SeqCst` costs
//! nothing here (a load is a plain load on x86, and writes are slow anyway), and no addition needs a new proof. The loom
//! model below assumes acquire and release only, because loom supports no more.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use uuid::Uuid;

use crate::store::Change;

/// The slots of one kind of change. They take 512 KiB, and a change also invalidates one in 65,536 other records.
const SLOTS: usize = 1 << 16;

/// An atomic counter. The model uses that of loom.
pub(super) trait AtomicCounter: Send + Sync {
    fn zero() -> Self;
    fn read(&self) -> u64;
    /// Adds one and returns the sum.
    fn next(&self) -> u64;
    /// Sets the counter to `epoch`, unless it is larger.
    fn raise(&self, epoch: u64);
}

impl AtomicCounter for AtomicU64 {
    fn zero() -> Self {
        Self::new(0)
    }

    fn read(&self) -> u64 {
        self.load(SeqCst)
    }

    fn next(&self) -> u64 {
        self.fetch_add(1, SeqCst) + 1
    }

    fn raise(&self, epoch: u64) {
        self.fetch_max(epoch, SeqCst);
    }
}

/// The latest epoch, and for each [`Change`] the epoch of its latest occurrence.
pub(super) struct Epochs<C = AtomicU64> {
    latest: C,
    anything: C,
    any_session: C,
    // Separate slots for each kind, so that many additions invalidate no cached token.
    additions: Box<[C]>,
    tokens: Box<[C]>,
    sessions: Box<[C]>,
    users: Box<[C]>,
}

impl Epochs {
    pub(super) fn new() -> Self {
        Self::with_slots(SLOTS)
    }
}

impl<C: AtomicCounter> Epochs<C> {
    fn with_slots(slots: usize) -> Self {
        let slots = || (0..slots).map(|_| C::zero()).collect();
        Self {
            latest: C::zero(),
            anything: C::zero(),
            any_session: C::zero(),
            additions: slots(),
            tokens: slots(),
            sessions: slots(),
            users: slots(),
        }
    }

    /// The epoch to cache with a record whose read starts now.
    pub(super) fn now(&self) -> u64 {
        self.latest.read()
    }

    /// Invalidates the records that were read before this call and that `change` may have changed.
    pub(super) fn changed(&self, change: Change) {
        let epoch = self.latest.next();
        self.slot(change).raise(epoch);
    }

    /// Whether none of `changes` came after `since`.
    pub(super) fn unchanged_since<const N: usize>(&self, since: u64, changes: [Change; N]) -> bool {
        changes.into_iter().all(|change| self.slot(change).read() <= since)
    }

    fn slot(&self, change: Change) -> &C {
        match change {
            Change::Added(hash) => pick(&self.additions, hash.as_bytes()[0], hash.as_bytes()[1]),
            Change::Token(id) => pick_by_id(&self.tokens, id.uuid()),
            Change::Session(id) => pick_by_id(&self.sessions, id.uuid()),
            Change::User(id) => pick_by_id(&self.users, id.uuid()),
            Change::Sessions => &self.any_session,
            Change::Anything => &self.anything,
        }
    }
}

/// Picks by the last bytes, because those of a UUIDv7 are random.
fn pick_by_id<C>(slots: &[C], id: Uuid) -> &C {
    let [.., high, low] = id.into_bytes();
    pick(slots, high, low)
}

fn pick<C>(slots: &[C], high: u8, low: u8) -> &C {
    &slots[usize::from(u16::from_be_bytes([high, low])) % slots.len()]
}

#[cfg(test)]
mod tests {
    use loom::sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64 as LoomCounter},
    };

    use super::*;
    use crate::domain::id::{TokenId, UserId};

    impl AtomicCounter for LoomCounter {
        fn zero() -> Self {
            Self::new(0)
        }

        fn read(&self) -> u64 {
            self.load(SeqCst)
        }

        fn next(&self) -> u64 {
            self.fetch_add(1, SeqCst) + 1
        }

        fn raise(&self, epoch: u64) {
            self.fetch_max(epoch, SeqCst);
        }
    }

    /// A database with one token, a cache with one entry, and a revocation that runs at the same time as a cache fill.
    struct Model {
        epochs: Epochs<LoomCounter>,
        revoked: AtomicBool,
        cached: Mutex<Option<(bool, u64)>>,
        answered: AtomicBool,
    }

    impl Model {
        const CHANGE: Change = Change::Token(TokenId::new(Uuid::nil()));

        fn revoke(&self) {
            self.revoked.store(true, SeqCst);
            self.epochs.changed(Self::CHANGE);
            self.answered.store(true, SeqCst);
        }

        fn check(&self) -> bool {
            let cached = *self.cached.lock().unwrap();
            if let Some((revoked, since)) = cached
                && self
                    .epochs
                    .unchanged_since(since, [Self::CHANGE, Change::User(UserId::new(Uuid::nil())), Change::Anything])
            {
                return !revoked;
            }
            let since = self.epochs.now();
            let revoked = self.revoked.load(SeqCst);
            *self.cached.lock().unwrap() = Some((revoked, since));
            !revoked
        }
    }

    #[test]
    fn in_every_interleaving_a_check_after_the_answer_is_refused() {
        loom::model(|| {
            let model = Arc::new(Model {
                epochs: Epochs::with_slots(1),
                revoked: AtomicBool::new(false),
                cached: Mutex::new(None),
                answered: AtomicBool::new(false),
            });
            let threads = [
                loom::thread::spawn({
                    let model = Arc::clone(&model);
                    move || model.revoke()
                }),
                loom::thread::spawn({
                    let model = Arc::clone(&model);
                    move || {
                        model.check();
                    }
                }),
            ];
            if model.answered.load(SeqCst) {
                assert!(!model.check(), "a check that started after the answer must be refused");
            }
            for thread in threads {
                thread.join().unwrap();
            }
            // The concurrent fill has ended too.
            assert!(!model.check() && !model.check());
        });
    }

    #[test]
    fn a_change_invalidates_earlier_reads_of_its_record_only() {
        let epochs: Epochs = Epochs::new();
        let id = |byte| TokenId::new(Uuid::from_bytes([byte; 16]));
        let before = epochs.now();
        epochs.changed(Change::Token(id(1)));
        assert!(!epochs.unchanged_since(before, [Change::Token(id(1))]));
        assert!(epochs.unchanged_since(before, [Change::Token(id(2)), Change::Anything, Change::Sessions]));
        let after = epochs.now();
        assert!(epochs.unchanged_since(after, [Change::Token(id(1))]));
    }
}
