//! When which record was last changed, in epochs: the whole protocol by which a kept record counts or not.
//!
//! Whoever fills takes [`Epochs::now`] *before* it reads, and keeps that with what it read. Whoever changed something
//! calls [`Epochs::changed`] *after* the change can be read, and is answered after that: the change's slot then holds an
//! epoch that nobody took before. So of a read that may have missed the change, the epoch is smaller than the slot's
//! ([`Epochs::unchanged_since`] says no, whenever the record was put into the cache), and whoever took that epoch or a later one
//! began to read when the change could be read. A slot is shared by what falls into it: that voids too much, never too
//! little.
//!
//! Acquire and release would do: each step above is an order between two threads through one of the atomics. `SeqCst`
//! costs nothing here (a load is a plain one on x86, and writers are slow anyway) and need not be argued again when
//! something is added. The model below is checked by loom, which knows of acquire and release alone.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use uuid::Uuid;

use crate::store::Change;

/// Half a MiB a kind. With so many, a change voids one other record in 65,536.
const SLOTS: usize = 1 << 16;

/// A counter; loom's in the model.
pub(super) trait Counter: Send + Sync {
    fn zero() -> Self;
    fn read(&self) -> u64;
    /// Adds one and answers the sum.
    fn next(&self) -> u64;
    /// Makes it at least `epoch`.
    fn raise(&self, epoch: u64);
}

impl Counter for AtomicU64 {
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

/// The latest epoch, and for each kind of [`Change`] the epochs of the latest ones.
pub(super) struct Epochs<C = AtomicU64> {
    latest: C,
    anything: C,
    sessions_at_large: C,
    // Apart from each other, so that a flood of additions voids no token that is checked.
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

impl<C: Counter> Epochs<C> {
    fn with_slots(slots: usize) -> Self {
        let slots = || (0..slots).map(|_| C::zero()).collect();
        Self {
            latest: C::zero(),
            anything: C::zero(),
            sessions_at_large: C::zero(),
            additions: slots(),
            tokens: slots(),
            sessions: slots(),
            users: slots(),
        }
    }

    /// The epoch to keep with what is read from now on.
    pub(super) fn now(&self) -> u64 {
        self.latest.read()
    }

    /// Voids whatever was read before this call and could be touched by `change`.
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
            Change::Sessions => &self.sessions_at_large,
            Change::Anything => &self.anything,
        }
    }
}

/// The last bytes of a UUIDv7 are random.
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

    impl Counter for LoomCounter {
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

    /// A database of one token, a cache of one place, a revocation and the fill that crosses it.
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
                assert!(!model.check(), "a check that began after the answer");
            }
            for thread in threads {
                thread.join().unwrap();
            }
            // The fill that crossed the revocation is over, too.
            assert!(!model.check() && !model.check());
        });
    }

    #[test]
    fn a_change_voids_what_was_read_before_it_and_nothing_else() {
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
