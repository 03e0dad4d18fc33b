//! When something was last used, told by its record.

use std::{
    fmt,
    sync::atomic::{
        AtomicI64,
        Ordering::{AcqRel, Acquire},
    },
};

use super::time::Timestamp;

/// The latest use that a record knows of. Whoever shares the record moves it on; it never moves back.
///
/// It also remembers whether it is *listed*: whether somebody who keeps a list of such records will see to it that the
/// time reaches the disk. While it is, to move it on takes no lock, and where its second has come already, no write
/// either. It is put on the list and taken off under the list's lock only; both are in one word, so that no use falls
/// between the two.
///
/// A copy is on no list.
pub struct LastUse(AtomicI64);

/// What lies below [`LISTED`] when there was no use: earlier than every [`Timestamp`].
const NEVER: i64 = i64::MIN;
const LISTED: i64 = 1;

impl LastUse {
    /// What the store knows, on no list.
    pub fn new(stored: Option<Timestamp>) -> Self {
        Self(AtomicI64::new(stored.map_or(NEVER, |at| word(at, 0))))
    }

    /// The latest use.
    pub fn at(&self) -> Option<Timestamp> {
        time(self.0.load(Acquire))
    }

    /// Moves the time on to `now`. `false` where it would move and is on no list, so that whoever keeps the list must do
    /// it ([`LastUse::list`]).
    pub fn advance(&self, now: Timestamp) -> bool {
        let advanced = self.0.try_update(AcqRel, Acquire, |found| match time(found) {
            Some(at) if at >= now => None,
            _ if found & LISTED == 0 => None,
            _ => Some(word(now, LISTED)),
        });
        match advanced {
            Ok(_) => true,
            Err(found) => time(found) >= Some(now),
        }
    }

    /// Moves the time on to `now` as one that is listed from now on.
    pub fn list(&self, now: Timestamp) {
        self.0.update(AcqRel, Acquire, |found| word(time(found).map_or(now, |at| at.max(now)), LISTED));
    }

    /// Ends the listing, whatever the time, and answers it.
    pub fn unlist(&self) -> Option<Timestamp> {
        time(self.0.fetch_and(!LISTED, AcqRel))
    }

    /// Ends the listing if the time is still `at`; answers whether it is.
    pub fn unlist_at(&self, at: Timestamp) -> bool {
        self.0.compare_exchange(word(at, LISTED), word(at, 0), AcqRel, Acquire).is_ok()
    }
}

impl Clone for LastUse {
    fn clone(&self) -> Self {
        Self::new(self.at())
    }
}

impl fmt::Debug for LastUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.at(), f)
    }
}

const fn word(at: Timestamp, listed: i64) -> i64 {
    at.unix() << 1 | listed
}

fn time(word: i64) -> Option<Timestamp> {
    (word & !LISTED != NEVER).then(|| Timestamp::from_unix(word >> 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(seconds)
    }

    #[test]
    fn it_tells_the_latest_use_whatever_the_order() {
        let used = LastUse::new(None);
        assert_eq!(used.at(), None);
        for (now, latest) in [(-5, -5), (7, 7), (3, 7), (7, 7), (8, 8)] {
            used.list(at(now));
            assert_eq!(used.at(), Some(at(latest)));
        }
        for extreme in [at(i64::MIN), at(0), at(i64::MAX)] {
            assert_eq!(LastUse::new(Some(extreme)).at(), Some(extreme));
        }
    }

    #[test]
    fn only_a_use_that_moves_an_unlisted_time_needs_the_list() {
        let used = LastUse::new(Some(at(1)));
        assert!(used.advance(at(1)) && used.advance(at(0)), "it is known");
        assert!(!used.advance(at(2)));
        assert_eq!(used.at(), Some(at(1)), "and has not moved");
        used.list(at(2));
        assert!(used.advance(at(3)));
        assert_eq!(used.at(), Some(at(3)));
    }

    #[test]
    fn a_listing_ends_only_at_the_time_that_was_written() {
        let used = LastUse::new(None);
        used.list(at(1));
        assert!(used.advance(at(2)));
        assert!(!used.unlist_at(at(1)), "it moved meanwhile");
        assert!(used.unlist_at(at(2)));
        assert!(!used.advance(at(3)));
        assert!(!used.clone().advance(at(3)), "a copy is on no list");
    }
}
