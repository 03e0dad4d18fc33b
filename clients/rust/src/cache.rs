//! A local cache of accepted tokens. It is off unless a client gets one.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    net::IpAddr,
    sync::Mutex,
    time::{Duration, Instant},
};

use sha2::{Digest, Sha256};

use crate::verdict::Accepted;

/// A hash of a whole question, so that the cache does not hold secrets.
type Key = [u8; 32];

/// Remembers accepted tokens for a limited time.
///
/// This gives up the exactness of revocation: a token that was revoked, disabled or rotated, or that expired, may be
/// accepted for `max_age` more. Uses that the cache answers do not count for rates, quotas and the time of the last use.
/// Refused tokens and undecided checks are not cached.
pub struct Cache {
    max_age: Duration,
    max_entries: usize,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    by_key: HashMap<Key, (Instant, Accepted)>,
    /// The oldest first. An entry that was renewed is in it once.
    order: VecDeque<Key>,
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
        let (asked_at, accepted) = entries.by_key.get(key)?;
        (asked_at.elapsed() < self.max_age).then(|| accepted.clone())
    }

    /// The age of an entry counts from the time at which it was asked for.
    pub(crate) fn put(&self, key: Key, accepted: &Accepted, asked_at: Instant) {
        let mut entries = self.entries();
        if entries.by_key.insert(key, (asked_at, accepted.clone())).is_some() {
            return;
        }
        entries.order.push_back(key);
        if entries.order.len() > self.max_entries
            && let Some(oldest) = entries.order.pop_front()
        {
            entries.by_key.remove(&oldest);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
