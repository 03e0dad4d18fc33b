//! Secrets that rotation has ended and that are presented all the same: noticed by the check, and noted in their owners'
//! trails a moment later.
//!
//! A notice is not given up before it is on disk, so that one which was perhaps written is perhaps noted twice.

use std::{
    collections::{BTreeMap, HashMap},
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;

use super::{Context, verification::Caller};
use crate::{
    config::OnReuse,
    domain::{
        audit::{Action, Actor, Attribution, Entry, Outcome, RequestSource, Target},
        id::{TokenId, UserId},
        time::Timestamp,
        token::{Token, TokenRecord},
    },
    store::StoreError,
};

/// How many are noticed in a minute, and how many are remembered to be noted; beyond that, none is until there is room.
const REMEMBERED: usize = 10_000;

/// How many of what was noticed are written at once.
const WRITTEN_AT_ONCE: usize = 64;

/// A secret that is presented again and again is noted once in so long.
const NOTED_EVERY: Duration = Duration::from_secs(60);

/// What was noticed.
#[derive(Default)]
pub(super) struct ReuseQueue(Mutex<PendingReuse>);

#[derive(Default)]
struct PendingReuse {
    /// When each secret was noticed last, since `began`, and in the time before that. What is older is forgotten all at
    /// once, so that no check ever looks through them.
    lately: HashMap<TokenId, Duration>,
    before: HashMap<TokenId, Duration>,
    began: Duration,
    /// What is to be written.
    unwritten: BTreeMap<TokenId, Reuse>,
}

#[derive(Clone)]
struct Reuse {
    owner: UserId,
    family: TokenId,
    token: TokenId,
    by: Attribution,
    /// Whether that it was seen is not noted so far.
    is_new: bool,
    /// Whether somebody wanted to rotate with it, which ends the family.
    rotates: bool,
}

impl Reuse {
    fn new(token: &Token, by: Attribution) -> Self {
        let Token { id, owner, family, .. } = *token;
        Self { owner, family, token: id, by, is_new: true, rotates: false }
    }
}

impl ReuseQueue {
    /// Whatever a thread that panicked was doing, this is sound.
    fn lock(&self) -> MutexGuard<'_, PendingReuse> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PendingReuse {
    fn enqueue(&mut self, reuse: Reuse, uptime: Duration) {
        let is_recent = |at: &Duration| uptime.saturating_sub(*at) < NOTED_EVERY;
        if !is_recent(&self.began) {
            self.before = mem::take(&mut self.lately);
            self.began = uptime;
        }
        let noticed = [&self.lately, &self.before].into_iter().filter_map(|seen| seen.get(&reuse.token)).any(is_recent);
        if !noticed && self.lately.len() < REMEMBERED && self.unwritten.len() < REMEMBERED {
            self.lately.insert(reuse.token, uptime);
            self.keep(reuse);
        }
    }

    /// Keeps what is to be written, and of one secret that is kept already all that is to be done about it.
    fn keep(&mut self, reuse: Reuse) {
        let kept = self.unwritten.entry(reuse.token).or_insert_with(|| reuse.clone());
        kept.is_new |= reuse.is_new;
        kept.rotates |= reuse.rotates;
    }
}

/// What somebody is about to write. What is then not written goes back, be it that the write failed or that nobody waits
/// for it any more.
struct FlushGuard<'r> {
    reuses: &'r ReuseQueue,
    unwritten: BTreeMap<TokenId, Reuse>,
}

impl Drop for FlushGuard<'_> {
    fn drop(&mut self) {
        if !self.unwritten.is_empty() {
            let mut seen = self.reuses.lock();
            mem::take(&mut self.unwritten).into_values().for_each(|reuse| seen.keep(reuse));
        }
    }
}

/// Remembers to note that a secret was seen after its end. It takes no longer than a refusal of any other.
pub(super) fn enqueue(ctx: &Context, record: &TokenRecord, caller: Caller<'_>, now: Timestamp) {
    let actor = Actor::PersonalAccessToken(record.token.id);
    let by = Attribution { origin: RequestSource { actor, address: caller.address, request_id: None }, at: now };
    ctx.reuses.lock().enqueue(Reuse::new(&record.token, by), ctx.clock.uptime());
}

/// Writes what was noticed.
pub(super) async fn flush(ctx: &Context) -> Result<(), StoreError> {
    let mut taken = FlushGuard { reuses: &ctx.reuses, unwritten: mem::take(&mut ctx.reuses.lock().unwritten) };
    let noticed: Vec<Reuse> = taken.unwritten.values().cloned().collect();
    let mut outcome = Ok(());
    // A few at a time, lest a flood of ended secrets fill the queue of those who change something.
    for some in noticed.chunks(WRITTEN_AT_ONCE) {
        let written = join_all(some.iter().map(|reuse| write(ctx, reuse.clone()))).await;
        for (reuse, result) in some.iter().zip(written) {
            match result {
                Ok(()) => drop(taken.unwritten.remove(&reuse.token)),
                Err(error) => outcome = Err(error),
            }
        }
    }
    outcome
}

/// Ends the family of a token that somebody wanted to rotate after its end. That it was seen, if that is still to be noted,
/// is noted in the same change rather than apart from it. What fails is tried again with what was noticed.
pub(super) async fn revoke_family(ctx: &Context, token: &Token, by: Attribution) -> Result<(), StoreError> {
    let is_new = ctx.reuses.lock().unwritten.remove(&token.id).is_some_and(|noticed| noticed.is_new);
    let reuse = Reuse { is_new, rotates: true, ..Reuse::new(token, by) };
    let mut taken = FlushGuard { reuses: &ctx.reuses, unwritten: BTreeMap::from([(token.id, reuse.clone())]) };
    write(ctx, reuse).await?;
    taken.unwritten.clear();
    Ok(())
}

async fn write(ctx: &Context, reuse: Reuse) -> Result<(), StoreError> {
    let Reuse { owner, family, token, by, is_new, rotates } = reuse;
    if rotates || ctx.rules.rotation.on_reuse == OnReuse::RevokeFamily {
        return ctx.store.revoke_family(owner, family, token, is_new, by).await.map(drop);
    }
    let entry = Entry::done(owner, Action::TokenReuseDetected, Target::PersonalAccessToken(token));
    ctx.store.record_refusal(Entry { outcome: Outcome::Refused, ..entry }, by).await
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn reuse(number: usize, address: u8) -> Reuse {
        let id = TokenId::new(Uuid::from_u128(number as u128));
        let actor = Actor::PersonalAccessToken(id);
        let by = Attribution {
            origin: RequestSource { actor, address: Some([192, 0, 2, address].into()), request_id: None },
            at: Timestamp::from_unix(1),
        };
        Reuse { owner: UserId::new(Uuid::nil()), family: id, token: id, by, is_new: true, rotates: false }
    }

    /// Whether it is noticed, once what was is written.
    fn notices(seen: &mut PendingReuse, number: usize, second: u64) -> bool {
        seen.enqueue(reuse(number, 1), Duration::from_secs(second));
        mem::take(&mut seen.unwritten).len() == 1
    }

    #[test]
    fn a_secret_is_noticed_once_in_any_minute() {
        for first in [60, 70, 119] {
            let mut seen = PendingReuse::default();
            notices(&mut seen, 2, 60);
            assert!(notices(&mut seen, 1, first));
            // Others are noticed all the time.
            for second in first..first + 60 {
                assert!(!notices(&mut seen, 1, second), "{first}: {second}");
                assert!(notices(&mut seen, 1000 + second as usize, second));
            }
            assert!(notices(&mut seen, 1, first + 60), "{first}");
        }
    }

    #[test]
    fn a_flood_is_bounded_and_ends_with_the_minute() {
        let mut seen = PendingReuse::default();
        for number in 0..REMEMBERED * 3 {
            notices(&mut seen, number, 100);
        }
        assert!(!notices(&mut seen, usize::MAX, 159));
        assert!(notices(&mut seen, usize::MAX, 160));
        assert!(seen.lately.len() + seen.before.len() <= REMEMBERED * 2);
    }

    #[test]
    fn what_could_not_be_written_adds_to_what_was_seen_meanwhile() {
        for (first, second) in [((true, false), (false, true)), ((false, true), (true, false))] {
            let reuses = ReuseQueue::default();
            for (is_new, rotates) in [first, second] {
                let reuse = Reuse { is_new, rotates, ..reuse(1, 1) };
                drop(FlushGuard { reuses: &reuses, unwritten: BTreeMap::from([(reuse.token, reuse)]) });
            }
            let kept: Vec<_> = reuses.lock().unwritten.values().map(|reuse| (reuse.is_new, reuse.rotates)).collect();
            assert_eq!(kept, [(true, true)], "{first:?}, then {second:?}");
        }
    }

    #[test]
    fn while_nothing_can_be_written_the_first_notice_stays() {
        let mut seen = PendingReuse::default();
        for (number, second) in [(1, 100), (1, 160), (2, 160)] {
            seen.enqueue(reuse(number, second), Duration::from_secs(second.into()));
        }
        let kept: Vec<_> = seen.unwritten.values().map(|reuse| reuse.by.origin.address.unwrap().to_string()).collect();
        assert_eq!(kept, ["192.0.2.100", "192.0.2.160"]);
        for number in 3..REMEMBERED * 2 {
            seen.enqueue(reuse(number, 1), Duration::from_secs(300));
        }
        assert_eq!(seen.unwritten.len(), REMEMBERED);
    }
}
