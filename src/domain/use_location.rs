//! Use locations: the addresses and user agents that used a token.

use std::{
    fmt,
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use super::{text::is_hidden, time::Timestamp};

/// An address from which a token was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UseLocation {
    /// The address.
    pub address: IpAddr,
    /// The latest user agent at this address.
    pub user_agent: Option<UserAgent>,
    /// The latest use from this address, up to [`UseLocation::GRAIN`] seconds late.
    pub last_used_at: Timestamp,
}

impl UseLocation {
    /// How many locations of a token are kept: the latest ones.
    pub const KEPT: usize = 5;

    /// How often a repeated use from the same location is recorded, in seconds.
    pub const GRAIN: i64 = 60;

    /// Merges two lists: each address once, latest first, at most [`UseLocation::KEPT`].
    pub fn merge(some: Vec<Self>, more: Vec<Self>) -> Vec<Self> {
        let mut all = some;
        all.extend(more);
        // The sort is stable: of two locations with the same time, the one of the first list wins.
        all.sort_by_key(|location| std::cmp::Reverse(location.last_used_at));
        let mut merged: Vec<Self> = Vec::with_capacity(Self::KEPT);
        for location in all {
            if merged.len() < Self::KEPT && merged.iter().all(|known| known.address != location.address) {
                merged.push(location);
            }
        }
        merged
    }
}

/// The `User-Agent` of a client, up to 255 bytes without control characters. Clients can send what they like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserAgent(Box<str>);

impl UserAgent {
    /// How many bytes are kept.
    pub const MAX_BYTES: usize = 255;

    /// Where the escaped text is cut, so that it fits into an audit event.
    const MAX_ESCAPED_BYTES: usize = 500;

    /// Removes control characters and cuts the text. `None` if nothing is left.
    pub fn clean(text: &str) -> Option<Self> {
        let mut kept: String = text.chars().take(Self::MAX_BYTES).filter(|c| !c.is_control()).collect();
        kept.truncate(kept.floor_char_boundary(Self::MAX_BYTES));
        (!kept.is_empty()).then(|| Self(kept.into()))
    }

    /// The text in quotes, with hidden characters, quotes and backslashes escaped, so that nobody can forge other words of an
    /// audit event.
    pub fn escaped(&self) -> String {
        let mut escaped = String::from('"');
        for c in self.0.chars() {
            let shown = match c {
                '"' | '\\' => format!("\\{c}"),
                c if is_hidden(c) => c.escape_unicode().to_string(),
                c => c.to_string(),
            };
            if escaped.len() + shown.len() > Self::MAX_ESCAPED_BYTES {
                break;
            }
            escaped += &shown;
        }
        escaped + "\""
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The hash of the location that was recorded last, inside a record. Comparing it takes no lock. A clone holds none.
#[derive(Debug, Default)]
pub struct NotedLocation(AtomicU64);

impl NotedLocation {
    /// Whether the last location has this hash.
    pub fn is(&self, hash: u64) -> bool {
        self.0.load(Relaxed) == hash
    }

    /// Sets the hash of the last location.
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
    fn an_escaped_user_agent_is_one_quoted_text_of_bounded_length() {
        let escaped = |text: &str| UserAgent::clean(text).unwrap().escaped();
        assert_eq!(escaped("curl/8.5"), r#""curl/8.5""#);
        assert_eq!(escaped("a\", \u{202e}b\\"), r#""a\", \u{202e}b\\""#);
        assert!(escaped(&"\u{200b}".repeat(300)).len() <= 512);
        assert_eq!(escaped(&"\"".repeat(300)), format!("\"{}\"", "\\\"".repeat(249)), "no escape is cut in two");
    }

    #[test]
    fn merging_keeps_each_address_once_and_the_latest_five() {
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
