//! Reuses that the check has seen and that are not in the store yet. The use of a canary token is recorded in the same way.
//!
//! A reuse leaves the queue only when it is in the store. If a write fails after it reached the disk, the reuse is recorded
//! twice.

use std::{
    collections::{BTreeMap, HashMap},
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::domain::{
    audit::Attribution,
    id::{EnvironmentId, TokenId, UserId},
    token::Token,
    use_location::UserAgent,
};

/// How many reuses are accepted in a minute, and how many wait to be written. Beyond that they are dropped.
const MAX_QUEUED: usize = 10_000;

/// The reuse of one secret is recorded once in this time.
const RECORDED_EVERY: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(in crate::ops) struct ReuseQueue(Mutex<PendingReuse>);

#[derive(Default)]
struct PendingReuse {
    /// When the reuse of each secret was last accepted, since `began`.
    recent: HashMap<TokenId, Duration>,
    /// The same for the time before `began`. Entries are dropped map by map, so that no check walks through them.
    previous: HashMap<TokenId, Duration>,
    began: Duration,
    unwritten: BTreeMap<TokenId, Reuse>,
}

/// The use of a secret that rotation has ended, or of a canary token.
#[derive(Clone)]
pub(in crate::ops) struct Reuse {
    pub(in crate::ops) owner: UserId,
    pub(in crate::ops) family: TokenId,
    pub(in crate::ops) token: TokenId,
    pub(in crate::ops) by: Attribution,
    /// Whether the reuse still has to be recorded.
    pub(in crate::ops) is_new: bool,
    /// Whether the client wanted to rotate the token, which revokes the family under every configuration.
    pub(in crate::ops) revokes_family: bool,
    /// For a canary token. It has no family to revoke.
    pub(in crate::ops) canary: Option<CanaryUse>,
}

/// What is recorded about the use of a canary token besides the address.
#[derive(Clone)]
pub(in crate::ops) struct CanaryUse {
    pub(in crate::ops) environment: Option<EnvironmentId>,
    pub(in crate::ops) user_agent: Option<UserAgent>,
}

impl Reuse {
    pub(in crate::ops) fn new(token: &Token, by: Attribution) -> Self {
        let Token { id, owner, family, .. } = *token;
        Self { owner, family, token: id, by, is_new: true, revokes_family: false, canary: None }
    }
}

impl ReuseQueue {
    /// Adds a reuse, unless one of the same secret was added in the last minute or the queue is full.
    pub(in crate::ops) fn enqueue(&self, reuse: Reuse, uptime: Duration) {
        self.lock().enqueue(reuse, uptime);
    }

    /// Takes all reuses out to be written.
    pub(in crate::ops) fn take_all(&self) -> TakenReuses<'_> {
        let unwritten = mem::take(&mut self.lock().unwritten);
        TakenReuses { queue: self, unwritten }
    }

    /// Takes the reuse of `token` out, if there is one, and makes it a revocation of the family.
    pub(in crate::ops) fn take_for_revocation(&self, token: &Token, by: Attribution) -> TakenReuses<'_> {
        let is_new = self.lock().unwritten.remove(&token.id).is_some_and(|reuse| reuse.is_new);
        let reuse = Reuse { is_new, revokes_family: true, ..Reuse::new(token, by) };
        TakenReuses { queue: self, unwritten: BTreeMap::from([(token.id, reuse)]) }
    }

    /// A panic of another thread leaves the queue intact, so a poisoned lock is no error.
    fn lock(&self) -> MutexGuard<'_, PendingReuse> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PendingReuse {
    fn enqueue(&mut self, reuse: Reuse, uptime: Duration) {
        let is_recent = |at: &Duration| uptime.saturating_sub(*at) < RECORDED_EVERY;
        if !is_recent(&self.began) {
            self.previous = mem::take(&mut self.recent);
            self.began = uptime;
        }
        let is_known =
            [&self.recent, &self.previous].into_iter().filter_map(|seen| seen.get(&reuse.token)).any(is_recent);
        if !is_known && self.recent.len() < MAX_QUEUED && self.unwritten.len() < MAX_QUEUED {
            self.recent.insert(reuse.token, uptime);
            self.merge(reuse);
        }
    }

    /// Puts a reuse in. If one of the same secret is there, the result is what both ask for.
    fn merge(&mut self, reuse: Reuse) {
        let queued = self.unwritten.entry(reuse.token).or_insert_with(|| reuse.clone());
        queued.is_new |= reuse.is_new;
        queued.revokes_family |= reuse.revokes_family;
    }
}

/// Reuses that are being written. When this is dropped, those that are not done return to the queue: their write failed or
/// was cancelled.
pub(in crate::ops) struct TakenReuses<'q> {
    queue: &'q ReuseQueue,
    unwritten: BTreeMap<TokenId, Reuse>,
}

impl TakenReuses<'_> {
    pub(in crate::ops) fn reuses(&self) -> Vec<Reuse> {
        self.unwritten.values().cloned().collect()
    }

    /// Notes that these are in the store.
    pub(in crate::ops) fn done(&mut self, written: &[Reuse]) {
        for reuse in written {
            self.unwritten.remove(&reuse.token);
        }
    }
}

impl Drop for TakenReuses<'_> {
    fn drop(&mut self) {
        if !self.unwritten.is_empty() {
            let mut pending = self.queue.lock();
            mem::take(&mut self.unwritten).into_values().for_each(|reuse| pending.merge(reuse));
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::{
        audit::{Actor, RequestSource},
        time::Timestamp,
    };

    fn reuse(number: usize, address: u8) -> Reuse {
        let id = TokenId::new(Uuid::from_u128(number as u128));
        let owner = UserId::new(Uuid::nil());
        let actor = Actor::personal_access_token(id, owner);
        let by = Attribution {
            origin: RequestSource { actor, address: Some([192, 0, 2, address].into()), request_id: None, keyed: None },
            at: Timestamp::from_unix(1),
        };
        Reuse { owner, family: id, token: id, by, is_new: true, revokes_family: false, canary: None }
    }

    /// Whether it is accepted while nothing else waits to be written.
    fn accepts(pending: &mut PendingReuse, number: usize, second: u64) -> bool {
        pending.enqueue(reuse(number, 1), Duration::from_secs(second));
        mem::take(&mut pending.unwritten).len() == 1
    }

    #[test]
    fn the_reuse_of_a_secret_is_accepted_once_in_any_minute() {
        for first in [60, 70, 119] {
            let mut pending = PendingReuse::default();
            accepts(&mut pending, 2, 60);
            assert!(accepts(&mut pending, 1, first));
            // That of other secrets is accepted at the same time.
            for second in first..first + 60 {
                assert!(!accepts(&mut pending, 1, second), "{first}: {second}");
                assert!(accepts(&mut pending, 1000 + second as usize, second));
            }
            assert!(accepts(&mut pending, 1, first + 60), "{first}");
        }
    }

    #[test]
    fn a_flood_is_bounded_and_new_reuses_are_accepted_after_a_minute() {
        let mut pending = PendingReuse::default();
        for number in 0..MAX_QUEUED * 3 {
            accepts(&mut pending, number, 100);
        }
        assert!(!accepts(&mut pending, usize::MAX, 159));
        assert!(accepts(&mut pending, usize::MAX, 160));
        assert!(pending.recent.len() + pending.previous.len() <= MAX_QUEUED * 2);
    }

    #[test]
    fn a_reuse_that_returns_is_merged_with_one_that_came_in_between() {
        for (first, second) in [((true, false), (false, true)), ((false, true), (true, false))] {
            let queue = ReuseQueue::default();
            for (is_new, revokes_family) in [first, second] {
                let reuse = Reuse { is_new, revokes_family, ..reuse(1, 1) };
                drop(TakenReuses { queue: &queue, unwritten: BTreeMap::from([(reuse.token, reuse)]) });
            }
            let queued: Vec<_> =
                queue.lock().unwritten.values().map(|reuse| (reuse.is_new, reuse.revokes_family)).collect();
            assert_eq!(queued, [(true, true)], "{first:?}, then {second:?}");
        }
    }

    #[test]
    fn while_nothing_can_be_written_the_first_reuse_stays() {
        let mut pending = PendingReuse::default();
        for (number, second) in [(1, 100), (1, 160), (2, 160)] {
            pending.enqueue(reuse(number, second), Duration::from_secs(second.into()));
        }
        let queued: Vec<_> =
            pending.unwritten.values().map(|reuse| reuse.by.origin.address.unwrap().to_string()).collect();
        assert_eq!(queued, ["192.0.2.100", "192.0.2.160"]);
        for number in 3..MAX_QUEUED * 2 {
            pending.enqueue(reuse(number, 1), Duration::from_secs(300));
        }
        assert_eq!(pending.unwritten.len(), MAX_QUEUED);
    }
}
