//! From where a token was used, and by what.

use std::{
    fmt,
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use super::time::Timestamp;

/// An address from which a token was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UseLocation {
    /// The address.
    pub address: IpAddr,
    /// What was said last to be using it there.
    pub user_agent: Option<UserAgent>,
    /// When it was last used from there, to within [`UseLocation::GRAIN`] seconds.
    pub last_used_at: Timestamp,
}

impl UseLocation {
    /// How many of a token are kept: those that were used last.
    pub const KEPT: usize = 5;

    /// How far the time may lie behind, in seconds: a use from where the one before came is noted this often.
    pub const GRAIN: i64 = 60;

    /// Puts what is known in two places together: each address once, the latest first, no more than are kept.
    pub fn merge(some: Vec<Self>, more: Vec<Self>) -> Vec<Self> {
        let mut all = some;
        all.extend(more);
        // Stable, so that of two of one time, the one from the first place counts.
        all.sort_by_key(|origin| std::cmp::Reverse(origin.last_used_at));
        let mut merged: Vec<Self> = Vec::with_capacity(Self::KEPT);
        for origin in all {
            if merged.len() < Self::KEPT && merged.iter().all(|known| known.address != origin.address) {
                merged.push(origin);
            }
        }
        merged
    }
}

/// What a client calls itself: anybody's claim, up to 255 bytes without control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserAgent(Box<str>);

impl UserAgent {
    /// The most bytes that are kept of one.
    pub const MAX_BYTES: usize = 255;

    /// Takes what can be kept of `text`; `None` where that is nothing.
    pub fn clean(text: &str) -> Option<Self> {
        let mut kept: String = text.chars().take(Self::MAX_BYTES).filter(|c| !c.is_control()).collect();
        kept.truncate(kept.floor_char_boundary(Self::MAX_BYTES));
        (!kept.is_empty()).then(|| Self(kept.into()))
    }

    /// It as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which origin was noted last, told by a record: a hash of it, so that to see that it is the same takes no lock. A copy
/// knows of none.
#[derive(Debug, Default)]
pub struct NotedLocation(AtomicU64);

impl NotedLocation {
    /// Whether it is the one with that hash.
    pub fn is(&self, hash: u64) -> bool {
        self.0.load(Relaxed) == hash
    }

    /// It is the one with that hash from now on.
    pub fn set(&self, hash: u64) {
        self.0.store(hash, Relaxed);
    }
}

impl Clone for NotedLocation {
    fn clone(&self) -> Self {
        Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_agent_is_cut_between_characters_and_holds_no_control_character() {
        let clean = |text: &str| UserAgent::clean(text).map(|agent| agent.to_string());
        assert_eq!(clean("curl/8.5\r\n\u{1b}[31m"), Some("curl/8.5[31m".to_owned()));
        assert_eq!(clean(&format!("a{}", "é".repeat(200))), Some(format!("a{}", "é".repeat(127))));
        assert_eq!((clean(""), clean("\0\n")), (None, None));
    }

    #[test]
    fn what_is_merged_is_each_address_once_and_the_latest_five() {
        let origin = |last: u8, agent: &str, at| UseLocation {
            address: [192, 0, 2, last].into(),
            user_agent: UserAgent::clean(agent),
            last_used_at: Timestamp::from_unix(at),
        };
        let memory = vec![origin(1, "new", 9), origin(2, "a", 5)];
        let stored =
            vec![origin(1, "old", 8), origin(3, "a", 7), origin(4, "a", 3), origin(5, "a", 2), origin(6, "a", 1)];
        let merged = UseLocation::merge(memory, stored);
        assert_eq!(
            merged,
            [origin(1, "new", 9), origin(3, "a", 7), origin(2, "a", 5), origin(4, "a", 3), origin(5, "a", 2)]
        );
    }
}
