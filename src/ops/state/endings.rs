//! Secrets that rotation has ended recently. They tell a race from a reuse.
//!
//! The use of a secret after rotation has ended it means that two parties hold it. If one of them wants to rotate with it,
//! the whole family is revoked ([`crate::ops::reuse`]). But software that runs in several places may rotate one token in
//! all of them at once. One rotation wins. The other requests were sent while the secret was valid. If they counted as
//! reuse, the winner's token would be revoked too, and no valid secret would be left.
//!
//! So a request is a race and not a reuse if it started before the end of the secret was answered: until then no client
//! could know of the end. A thief gains nothing, because a race is refused and the answer holds no secret. If the thief
//! tries again after the answer, it is a reuse.
//!
//! The order comes from a counter of answered endings. A request reads it when it starts, and each answered ending raises
//! it. No clock is involved, so two moments always have an order. An ending is registered here before the store can commit
//! it. So a request that finds an ended secret finds its ending here. At a restart all requests end, so nothing has to be
//! stored.

use std::{
    collections::{HashMap, VecDeque},
    mem,
    num::NonZeroU64,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::domain::{id::TokenId, token::Token};

/// How many answered endings are kept. A request that started before a dropped one counts as a race. Few requests take as
/// long as this many rotations.
const MAX_KEPT: usize = 10_000;

/// A moment in the order of answered endings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestStart(NonZeroU64);

impl RequestStart {
    const fn after(answered: u64) -> Self {
        Self(NonZeroU64::MIN.saturating_add(answered))
    }
}

/// What an ending ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::ops) enum Ended {
    /// The token itself.
    Token(TokenId),
    /// Its unused successor, which another successor replaces.
    SuccessorOf(TokenId),
}

/// The endings that are in progress or were answered recently.
#[derive(Default)]
pub(in crate::ops) struct Endings {
    answered: AtomicU64,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    endings: HashMap<Ended, State>,
    /// The answered ones, oldest first.
    in_order: VecDeque<(RequestStart, Ended)>,
    /// The latest one that was dropped.
    dropped: Option<RequestStart>,
}

#[derive(Clone, Copy, Default)]
struct State {
    /// How many requests that may end it are not answered yet.
    in_progress: usize,
    answered: Option<RequestStart>,
}

impl State {
    fn is_race(self, since: RequestStart) -> bool {
        self.in_progress > 0 || self.answered.is_some_and(|answered| since < answered)
    }
}

impl Endings {
    /// The present moment. A request reads it when it starts.
    pub(in crate::ops) fn now(&self) -> RequestStart {
        RequestStart::after(self.answered.load(Ordering::SeqCst))
    }

    /// Registers endings before the store is asked for them.
    pub(in crate::ops) fn begin(self: &Arc<Self>, ended: Vec<Ended>) -> Ending {
        let mut known = self.lock();
        for ended in &ended {
            known.endings.entry(*ended).or_default().in_progress += 1;
        }
        Ending { endings: Arc::clone(self), ended }
    }

    /// Whether a request that started at `since` is in a race with the rotation that has ended this token.
    pub(in crate::ops) fn is_race(&self, token: &Token, since: RequestStart) -> bool {
        let known = self.lock();
        let ended = [Some(Ended::Token(token.id)), token.rotated_from.map(Ended::SuccessorOf)];
        known.dropped.is_some_and(|dropped| since < dropped)
            || ended
                .into_iter()
                .flatten()
                .filter_map(|ended| known.endings.get(&ended))
                .any(|state| state.is_race(since))
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn answer(&mut self, ended: Ended, at: RequestStart) {
        let state = self.endings.entry(ended).or_default();
        state.in_progress = state.in_progress.saturating_sub(1);
        state.answered = Some(at);
        self.in_order.push_back((at, ended));
        if self.in_order.len() > MAX_KEPT
            && let Some((at, ended)) = self.in_order.pop_front()
        {
            self.dropped = Some(at);
            // Otherwise it has ended again, or a request may still end it.
            if self.endings.get(&ended).is_some_and(|state| state.in_progress == 0 && state.answered == Some(at)) {
                self.endings.remove(&ended);
            }
        }
    }

    fn withdraw(&mut self, ended: Ended) {
        if let Some(state) = self.endings.get_mut(&ended) {
            state.in_progress = state.in_progress.saturating_sub(1);
            if state.in_progress == 0 && state.answered.is_none() {
                self.endings.remove(&ended);
            }
        }
    }
}

/// Endings that are not answered yet. Drop it once the answer is sent and not before: requests that start after that are
/// reuse. If the client disconnects, it is dropped with the request.
#[derive(Debug)]
#[must_use = "the endings count as answered when this is dropped"]
pub struct Ending {
    endings: Arc<Endings>,
    ended: Vec<Ended>,
}

impl Ending {
    /// Withdraws the endings: nothing has ended.
    pub(in crate::ops) fn did_not_happen(mut self) {
        let mut known = self.endings.lock();
        mem::take(&mut self.ended).into_iter().for_each(|ended| known.withdraw(ended));
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if self.ended.is_empty() {
            return;
        }
        let mut known = self.endings.lock();
        let at = RequestStart::after(self.endings.answered.fetch_add(1, Ordering::SeqCst) + 1);
        mem::take(&mut self.ended).into_iter().for_each(|ended| known.answer(ended, at));
    }
}

impl std::fmt::Debug for Endings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endings").field("answered", &self.answered).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::{ability::Abilities, id::UserId, secret::Hint, text::Name, time::Timestamp, token::Token};

    fn token(number: u128, rotated_from: Option<u128>) -> Token {
        let id = |number| TokenId::new(Uuid::from_u128(number));
        Token {
            id: id(number),
            number: 1,
            owner: UserId::new(Uuid::nil()),
            environment: None,
            name: Name::parse("t").unwrap(),
            abilities: Abilities::full(),
            hint: Hint::parse("abcd").unwrap(),
            created_at: Timestamp::from_unix(1),
            expires_at: None,
            last_used_at: None,
            family: id(number),
            rotated_from: rotated_from.map(id),
            grace: None,
            disabled_at: None,
            revoked: None,
            limits: None,
            annotations: None,
            is_canary: false,
        }
    }

    fn begin(endings: &Arc<Endings>, token: &Token) -> Ending {
        endings.begin(vec![Ended::Token(token.id)])
    }

    #[test]
    fn a_request_is_a_race_if_it_started_before_the_ending_was_answered() {
        let endings = Arc::<Endings>::default();
        let (ended, other) = (token(1, None), token(2, None));
        let long_before = endings.now();
        assert!(!endings.is_race(&ended, long_before), "nothing has ended it");
        let ending = begin(&endings, &ended);
        let before = endings.now();
        assert!(endings.is_race(&ended, before) && endings.is_race(&ended, long_before), "it is in progress");
        drop(ending);
        assert!(endings.is_race(&ended, before) && endings.is_race(&ended, long_before), "it was in progress");
        assert!(!endings.is_race(&ended, endings.now()), "it was answered");
        assert!(!endings.is_race(&other, before));
    }

    #[test]
    fn requests_that_did_not_end_it_do_not_prolong_the_race() {
        let endings = Arc::<Endings>::default();
        let ended = token(1, None);
        let [winner, loser] = [(); 2].map(|()| begin(&endings, &ended));
        let before = endings.now();
        drop(winner);
        let after = endings.now();
        assert!(endings.is_race(&ended, after), "the other request may have ended it");
        loser.did_not_happen();
        assert!(!endings.is_race(&ended, after) && endings.is_race(&ended, before));
        begin(&endings, &token(3, None)).did_not_happen();
        assert_eq!(endings.lock().endings.len(), 1, "a withdrawn ending is not kept");
    }

    #[test]
    fn a_replaced_successor_is_found_by_its_predecessor() {
        let endings = Arc::<Endings>::default();
        let (old, successor) = (token(1, None), token(2, Some(1)));
        let ending = endings.begin(vec![Ended::SuccessorOf(old.id)]);
        assert!(endings.is_race(&successor, endings.now()) && !endings.is_race(&old, endings.now()));
        drop(ending);
        assert!(!endings.is_race(&successor, endings.now()));
    }

    #[test]
    fn memory_is_bounded_and_a_dropped_ending_counts_as_a_race() {
        let endings = Arc::<Endings>::default();
        let first = token(0, None);
        let before = endings.now();
        drop(begin(&endings, &first));
        let after = endings.now();
        for number in 1..=MAX_KEPT as u128 {
            drop(begin(&endings, &token(number, None)));
        }
        assert_eq!(endings.lock().endings.len(), MAX_KEPT);
        assert!(endings.is_race(&first, before));
        assert!(!endings.is_race(&first, after), "it started after the answer");
        // A token that ends several times is kept by its last end.
        let again = token(5, None);
        drop(begin(&endings, &again));
        let before = endings.now();
        drop(begin(&endings, &again));
        for number in 0..MAX_KEPT as u128 - 1 {
            drop(begin(&endings, &token(100_000 + number, None)));
        }
        assert!(endings.is_race(&again, before) && !endings.is_race(&again, endings.now()));
        let known = endings.lock();
        assert_eq!((known.in_order.len(), known.endings.len()), (MAX_KEPT, MAX_KEPT));
    }
}
