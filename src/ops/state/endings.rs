//! Secrets that rotation ended lately: what tells a race from a reuse.
//!
//! A secret that comes back after rotation has ended it means that two parties hold it, and if one of them wants to rotate
//! with it, the whole family ends ([`crate::ops::reuse`]). But software that runs in several places may rotate one token in
//! all of them at once. One rotation wins. The others were sent while the secret was good, by somebody who could not know
//! of the winner; to call them a reuse would end the winner's token, too, and leave nobody with a good secret.
//!
//! So a request is a race, and no reuse, if it started before the ending was answered: until then nobody outside could
//! know that the secret had ended. A thief gains nothing by that: a race is refused, and the answer holds no secret. A
//! thief who tries again after the answer is found out.
//!
//! The order comes from a counter of answered endings. A request reads it when it starts, and it moves when an ending was
//! answered. No clock is involved, so of two moments one is always before the other. An ending is registered here before
//! the store can commit it, so a request that finds a secret ended finds the ending here. After a restart no request is
//! under way that started before it, so nothing has to be kept on disk.

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

/// How many answered endings are remembered. A request that started before one that is forgotten counts as a race: few
/// requests are under way while so many rotations are answered.
const REMEMBERED: usize = 10_000;

/// A moment in the order in which endings are answered.
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
    /// Its unused successor, which gives way to another one.
    SuccessorOf(TokenId),
}

/// The endings of secrets that are under way or were answered lately.
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
    /// The latest one that was forgotten.
    forgotten: Option<RequestStart>,
}

#[derive(Clone, Copy, Default)]
struct State {
    /// How many requests may end it and are not answered.
    under_way: usize,
    answered: Option<RequestStart>,
}

impl State {
    fn is_race(self, since: RequestStart) -> bool {
        self.under_way > 0 || self.answered.is_some_and(|answered| since < answered)
    }
}

impl Endings {
    /// The moment now: what a request notes when it starts.
    pub(in crate::ops) fn now(&self) -> RequestStart {
        RequestStart::after(self.answered.load(Ordering::SeqCst))
    }

    /// Notes that a request is about to end something: before the store is asked to.
    pub(in crate::ops) fn begin(self: &Arc<Self>, ended: Vec<Ended>) -> Ending {
        let mut known = self.lock();
        for ended in &ended {
            known.endings.entry(*ended).or_default().under_way += 1;
        }
        Ending { endings: Arc::clone(self), ended }
    }

    /// Whether a request that started at `since` crosses the rotation that has ended this token.
    pub(in crate::ops) fn is_race(&self, token: &Token, since: RequestStart) -> bool {
        let known = self.lock();
        let ended = [Some(Ended::Token(token.id)), token.rotated_from.map(Ended::SuccessorOf)];
        known.forgotten.is_some_and(|forgotten| since < forgotten)
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
        state.under_way = state.under_way.saturating_sub(1);
        state.answered = Some(at);
        self.in_order.push_back((at, ended));
        if self.in_order.len() > REMEMBERED
            && let Some((at, ended)) = self.in_order.pop_front()
        {
            self.forgotten = Some(at);
            // Otherwise it ended again, or may.
            if self.endings.get(&ended).is_some_and(|state| state.under_way == 0 && state.answered == Some(at)) {
                self.endings.remove(&ended);
            }
        }
    }

    fn give_up(&mut self, ended: Ended) {
        if let Some(state) = self.endings.get_mut(&ended) {
            state.under_way = state.under_way.saturating_sub(1);
            if state.under_way == 0 && state.answered.is_none() {
                self.endings.remove(&ended);
            }
        }
    }
}

/// An ending that is not answered yet. Whoever answers drops it then, and not before: what starts after that is a reuse.
/// Where the answer is lost, it is dropped with the request.
#[derive(Debug)]
#[must_use = "an ending counts as answered when this is dropped"]
pub struct Ending {
    endings: Arc<Endings>,
    ended: Vec<Ended>,
}

impl Ending {
    /// Says that nothing was ended.
    pub(in crate::ops) fn did_not_happen(mut self) {
        let mut known = self.endings.lock();
        mem::take(&mut self.ended).into_iter().for_each(|ended| known.give_up(ended));
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
        assert!(endings.is_race(&ended, before) && endings.is_race(&ended, long_before), "it is under way");
        drop(ending);
        assert!(endings.is_race(&ended, before) && endings.is_race(&ended, long_before), "it was under way");
        assert!(!endings.is_race(&ended, endings.now()), "it was answered");
        assert!(!endings.is_race(&other, before));
    }

    #[test]
    fn of_many_that_would_end_it_those_that_did_not_prolong_nothing() {
        let endings = Arc::<Endings>::default();
        let ended = token(1, None);
        let [winner, loser] = [(); 2].map(|()| begin(&endings, &ended));
        let before = endings.now();
        drop(winner);
        let after = endings.now();
        assert!(endings.is_race(&ended, after), "the other one may have been the one that did");
        loser.did_not_happen();
        assert!(!endings.is_race(&ended, after) && endings.is_race(&ended, before));
        begin(&endings, &token(3, None)).did_not_happen();
        assert_eq!(endings.lock().endings.len(), 1, "what did not happen is not remembered");
    }

    #[test]
    fn a_successor_that_gives_way_is_found_by_what_it_replaced() {
        let endings = Arc::<Endings>::default();
        let (old, successor) = (token(1, None), token(2, Some(1)));
        let ending = endings.begin(vec![Ended::SuccessorOf(old.id)]);
        assert!(endings.is_race(&successor, endings.now()) && !endings.is_race(&old, endings.now()));
        drop(ending);
        assert!(!endings.is_race(&successor, endings.now()));
    }

    #[test]
    fn memory_is_bounded_and_what_is_forgotten_counts_as_a_race() {
        let endings = Arc::<Endings>::default();
        let first = token(0, None);
        let before = endings.now();
        drop(begin(&endings, &first));
        let after = endings.now();
        for number in 1..=REMEMBERED as u128 {
            drop(begin(&endings, &token(number, None)));
        }
        assert_eq!(endings.lock().endings.len(), REMEMBERED);
        assert!(endings.is_race(&first, before));
        assert!(!endings.is_race(&first, after), "it started after the answer");
        // One that ends again and again is remembered by its last end.
        let again = token(5, None);
        drop(begin(&endings, &again));
        let before = endings.now();
        drop(begin(&endings, &again));
        for number in 0..REMEMBERED as u128 - 1 {
            drop(begin(&endings, &token(100_000 + number, None)));
        }
        assert!(endings.is_race(&again, before) && !endings.is_race(&again, endings.now()));
        let known = endings.lock();
        assert_eq!((known.in_order.len(), known.endings.len()), (REMEMBERED, REMEMBERED));
    }
}
