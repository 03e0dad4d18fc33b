//! Attempt counters: the throttle keeps them in memory, and the store saves them over a restart.

use std::{num::NonZeroU32, time::Duration};

use super::{audit::ParseWordError, time::Timestamp};

/// What a counter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Failed sign-ins to one account from one network.
    AccountFromNetwork,
    /// Failed sign-ins to one account from one site.
    AccountFromSite,
    /// Failed sign-ins to one account from anywhere.
    Account,
    /// Failed sign-ins and registrations from one network.
    Network,
    /// Failed sign-ins and registrations from one site.
    Site,
    /// Failed confirmations of the password in one session, and changes of the address.
    Session,
    /// The same in all sessions of one user.
    User,
    /// Successful sign-ins and password changes of one account.
    Successes,
    /// Leak reports from one network.
    Reports,
    /// Leak reports from anywhere.
    AllReports,
    /// Self-rotations in one family.
    Rotations,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::AccountFromNetwork,
        Self::AccountFromSite,
        Self::Account,
        Self::Network,
        Self::Site,
        Self::Session,
        Self::User,
        Self::Successes,
        Self::Reports,
        Self::AllReports,
        Self::Rotations,
    ];

    /// The name in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccountFromNetwork => "account_from_network",
            Self::AccountFromSite => "account_from_site",
            Self::Account => "account",
            Self::Network => "network",
            Self::Site => "site",
            Self::Session => "session",
            Self::User => "user",
            Self::Successes => "successes",
            Self::Reports => "reports",
            Self::AllReports => "all_reports",
            Self::Rotations => "rotations",
        }
    }

    /// Parses the name in the store.
    pub fn parse(text: &str) -> Result<Self, ParseWordError> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or(ParseWordError)
    }
}

/// A keyed hash of an address, account or family. Without the key it reveals none of them.
pub type Digest = [u8; 16];

/// Identifies a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CounterKey {
    /// What is counted.
    pub scope: Scope,
    /// The account, user or family. All zero if the counter has none.
    pub subject: Digest,
    /// The network or session. All zero if the counter has none.
    pub origin: Digest,
}

/// The counters of an account, a user, a network or a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountersOf {
    /// Those of an account or a user.
    Subject(Digest),
    /// Those of a network or a site.
    Origin(Digest),
}

impl CountersOf {
    /// Whether the counter is one of them.
    pub fn includes(&self, key: &CounterKey) -> bool {
        match self {
            Self::Subject(subject) => key.subject == *subject,
            Self::Origin(origin) => key.origin == *origin,
        }
    }
}

/// A burst at once, then one attempt per interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptRate {
    /// How many attempts at once.
    pub burst: u32,
    /// How long until one more.
    pub interval: Duration,
}

impl AttemptRate {
    /// So many at once, and so many a minute.
    pub fn new(burst: NonZeroU32, per_minute: NonZeroU32) -> Self {
        Self { burst: burst.get(), interval: Duration::from_secs(60) / per_minute.get() }
    }

    /// Twice the burst and the rate.
    pub fn doubled(self) -> Self {
        Self { burst: self.burst.saturating_mul(2), interval: self.interval / 2 }
    }

    /// At least the burst and the rate of `other`.
    pub fn at_least(self, other: Self) -> Self {
        Self { burst: self.burst.max(other.burst), interval: self.interval.min(other.interval) }
    }

    /// How long a counter takes from its limit to rest.
    pub fn window(self) -> Duration {
        self.interval * self.burst
    }
}

/// A counter that is not at rest yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    /// The key.
    pub key: CounterKey,
    /// When it is at rest if nothing more is counted. Each counted attempt moves it further ahead.
    pub rests_at: Timestamp,
}

/// What the store saves of attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedAttempts {
    /// The key of the digests. Each database has its own.
    pub key: [u8; 32],
    /// The counters.
    pub counters: Vec<Counter>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_is_read_as_what_it_was_written_for() {
        for scope in Scope::ALL {
            assert_eq!(Scope::parse(scope.as_str()), Ok(scope));
        }
        assert_eq!(Scope::parse("everything"), Err(ParseWordError));
    }
}
