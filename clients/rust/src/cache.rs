//! A local cache of accepted tokens. It is off unless a client gets one.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    net::IpAddr,
    sync::Mutex,
    time::{Duration, Instant, SystemTime},
};

use sha2::{Digest, Sha256};

use crate::verdict::Accepted;

/// A hash of a whole question, so that the cache does not hold secrets.
type Key = [u8; 32];

/// Remembers accepted tokens for a limited time.
///
/// This gives up the exactness of revocation: a token that was revoked, disabled or rotated may be accepted for `max_age`
/// more, but not beyond its expiry. Uses that the cache answers do not count for rates, quotas and the time of the last
/// use. Refused tokens and undecided checks are not cached.
pub struct Cache {
    max_age: Duration,
    max_entries: usize,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    by_key: HashMap<Key, Entry>,
    /// The oldest first. An entry that was renewed is in it once.
    order: VecDeque<Key>,
}

struct Entry {
    accepted: Accepted,
    asked_at: Instant,
    /// How long after `asked_at` it is used.
    age: Duration,
}

impl Cache {
    /// A cache for this long and for this many tokens.
    ///
    /// # Panics
    ///
    /// If one of them is zero.
    #[must_use]
    pub fn new(max_age: Duration, max_entries: usize) -> Self {
        assert!(!max_age.is_zero() && max_entries > 0, "max_age and max_entries must be positive");
        Self { max_age, max_entries, entries: Mutex::default() }
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries().by_key.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Accepted> {
        let entries = self.entries();
        let entry = entries.by_key.get(key)?;
        (entry.asked_at.elapsed() < entry.age).then(|| entry.accepted.clone())
    }

    /// The age of an entry counts from the time at which it was asked for.
    pub(crate) fn put(&self, key: Key, accepted: &Accepted, asked_at: Instant) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let age = self.age(accepted.token.expires_at.as_deref(), now);
        if age.is_zero() {
            return;
        }
        let mut entries = self.entries();
        let entry = Entry { accepted: accepted.clone(), asked_at, age };
        if entries.by_key.insert(key, entry).is_some() {
            return;
        }
        entries.order.push_back(key);
        if entries.order.len() > self.max_entries
            && let Some(oldest) = entries.order.pop_front()
        {
            entries.by_key.remove(&oldest);
        }
    }

    /// For how long a token is remembered that expires at this time. `now` counts from 1970. A text that is no time is taken
    /// for one in the past.
    fn age(&self, expires_at: Option<&str>, now: Duration) -> Duration {
        let Some(expires_at) = expires_at else { return self.max_age };
        let expires_at = Duration::from_secs(unix_time(expires_at).unwrap_or_default());
        self.max_age.min(expires_at.saturating_sub(now))
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, Entries> {
        // Another thread that panicked has left nothing half done.
        self.entries.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("max_age", &self.max_age)
            .field("max_entries", &self.max_entries)
            .finish_non_exhaustive()
    }
}

pub(crate) fn key(token: &str, abilities: &[&str], ip: Option<IpAddr>) -> Key {
    let mut abilities = abilities.to_vec();
    abilities.sort_unstable();
    abilities.dedup();
    // The lengths keep questions apart whose texts are the same when they are joined.
    let mut hash = Sha256::new();
    let ip = ip.map(|ip| ip.to_string()).unwrap_or_default();
    for text in [token, &ip].into_iter().chain(abilities) {
        hash.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes());
        hash.update(text);
    }
    hash.finalize().into()
}

/// The seconds from 1970 to a time like `2030-01-31T12:00:00Z`: the server writes all times in this form.
fn unix_time(time: &str) -> Option<u64> {
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'Z')];
    if time.len() != 20 || separators.iter().any(|(at, separator)| time.as_bytes()[*at] != *separator) {
        return None;
    }
    let number = |from: usize, to: usize| time.get(from..to)?.parse::<u64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years that begin in March have their leap day at the end.
    let (years, months) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = years * 365 + years / 4 - years / 100 + years / 400 + (153 * months + 2) / 5 + day - 1;
    // 719,468 days lie between the first of March of the year 0 and the first of January of 1970.
    Some(((days.checked_sub(719_468)? * 24 + hour) * 60 + minute) * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_the_server_are_read() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T23:59:59Z", 951_868_799),
            ("2000-03-01T00:00:00Z", 951_868_800),
            ("2026-12-27T08:01:11Z", 1_798_358_471),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
        ] {
            assert_eq!(unix_time(text), Some(seconds), "{text}");
        }
        let others = [
            "",
            "soon",
            "1969-12-31T23:59:59Z",
            "2026-13-01T00:00:00Z",
            "2026-12-27 08:01:11Z",
            "20é6-12-27T08:01:11Z",
        ];
        for text in others {
            assert_eq!(unix_time(text), None, "{text}");
        }
    }

    #[test]
    fn each_question_has_a_key_of_its_own() {
        let here: IpAddr = "192.0.2.7".parse().unwrap();
        let questions = [
            key("t", &[], None),
            key("u", &[], None),
            key("t", &["a"], None),
            key("t", &["a", "b"], None),
            key("t", &["ab"], None),
            key("t", &[], Some(here)),
            key("t", &["192.0.2.7"], None),
        ];
        for (at, question) in questions.iter().enumerate() {
            assert!(!questions[..at].contains(question), "{at}");
        }
        assert_eq!(key("t", &["a", "b"], None), key("t", &["b", "a", "b"], None));
    }

    #[test]
    fn an_entry_is_used_until_its_age_and_not_beyond_the_expiry_of_the_token() {
        let cache = Cache::new(Duration::from_secs(3600), 10);
        let seconds = Duration::from_secs;
        let expiry = Some("2026-12-27T08:01:11Z");
        for (before, age) in [(0, 0), (1, 1), (600, 600), (3600, 3600), (90_000, 3600)] {
            assert_eq!(cache.age(expiry, seconds(1_798_358_471 - before)), seconds(age), "{before}");
        }
        assert_eq!(cache.age(expiry, seconds(1_798_358_472)), seconds(0));
        assert_eq!(cache.age(Some("soon"), seconds(1)), seconds(0));
        assert_eq!(cache.age(None, seconds(1)), seconds(3600));

        let accepted = |expires_at: Option<&str>| -> Accepted {
            let token = serde_json::json!({"id": "1", "type": "", "abilities": [], "expires_at": expires_at});
            serde_json::from_value(serde_json::json!({"token": token})).unwrap()
        };
        let key = key("t", &[], None);
        let ago = |age| Instant::now().checked_sub(seconds(age)).unwrap();
        for (expires_at, age, is_used) in [
            (None, 0, true),
            (None, 3599, true),
            (None, 3600, false),
            (Some("9999-12-31T23:59:59Z"), 0, true),
            (Some("2020-01-01T00:00:00Z"), 0, false),
        ] {
            let cache = Cache::new(seconds(3600), 10);
            cache.put(key, &accepted(expires_at), ago(age));
            assert_eq!(cache.get(&key).is_some(), is_used, "{expires_at:?} {age}");
        }
    }
}
