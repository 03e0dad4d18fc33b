//! The latest use of a token or session, inside its record.

use std::{
    fmt,
    sync::atomic::{
        AtomicI64,
        Ordering::{AcqRel, Acquire},
    },
};

use super::time::Timestamp;

/// The latest use that a record knows. All threads that share the record advance it. It never goes back.
///
/// It also holds a flag: whether the record is *listed* among those whose use is to be written to the store. While it is
/// listed, advancing takes no lock, and a second use in the same second writes nothing. The flag is set and cleared only
/// under the lock of the list. Time and flag share one word, so that no use is lost between the two.
///
/// A clone is not listed.
pub struct LastUse(AtomicI64);

/// The word for no use, without the flag: earlier than every [`Timestamp`].
const NEVER: i64 = i64::MIN;
const LISTED: i64 = 1;

impl LastUse {
    /// The latest use in the store, not listed.
    pub fn new(stored: Option<Timestamp>) -> Self {
        Self(AtomicI64::new(stored.map_or(NEVER, |at| word(at, 0))))
    }

    /// The latest use.
    pub fn at(&self) -> Option<Timestamp> {
        time(self.0.load(Acquire))
    }

    /// Advances the time to `now`. Returns `false`, and changes nothing, if the time would advance and the record is not
    /// listed: then the caller must list it ([`LastUse::list`]).
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

    /// Advances the time to `now` and sets the flag.
    pub fn list(&self, now: Timestamp) {
        self.0.update(AcqRel, Acquire, |found| word(time(found).map_or(now, |at| at.max(now)), LISTED));
    }

    /// Clears the flag and returns the time.
    pub fn unlist(&self) -> Option<Timestamp> {
        time(self.0.fetch_and(!LISTED, AcqRel))
    }

    /// Clears the flag if the time is still `at`. Returns whether it was.
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
    fn it_holds_the_latest_use_in_any_order() {
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
    fn only_a_use_that_advances_an_unlisted_time_needs_the_list() {
        let used = LastUse::new(Some(at(1)));
        assert!(used.advance(at(1)) && used.advance(at(0)), "nothing to advance");
        assert!(!used.advance(at(2)));
        assert_eq!(used.at(), Some(at(1)), "it has not advanced");
        used.list(at(2));
        assert!(used.advance(at(3)));
        assert_eq!(used.at(), Some(at(3)));
    }

    #[test]
    fn the_flag_is_cleared_only_at_the_time_that_was_written() {
        let used = LastUse::new(None);
        used.list(at(1));
        assert!(used.advance(at(2)));
        assert!(!used.unlist_at(at(1)), "it has advanced");
        assert!(used.unlist_at(at(2)));
        assert!(!used.advance(at(3)));
        assert!(!used.clone().advance(at(3)), "a clone is not listed");
    }
}
