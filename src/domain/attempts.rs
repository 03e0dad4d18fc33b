//! Counters of attempts, as the throttle keeps them and the store remembers them over a restart.

use super::{audit::ParseWordError, time::Timestamp};

/// What a counter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Failed sign-ins as one account from one network.
    AccountFromNetwork,
    /// The same from one site: the larger IPv6 network that a network belongs to.
    AccountFromSite,
    /// Failed sign-ins as one account from everywhere.
    Account,
    /// Failed sign-ins and registrations from one network.
    Network,
    /// The same from one site.
    Site,
    /// Failed attempts of one session to confirm its user's password, and changes of address.
    Session,
    /// The same of all sessions of one user.
    User,
    /// Sign-ins and password changes that succeeded, of one account.
    Successes,
    /// Reports of leaked secrets from one network.
    Reports,
    /// Reports of leaked secrets from everywhere.
    AllReports,
    /// Rotations of the tokens of one family by themselves.
    Rotations,
}

impl Scope {
    /// Every one of them.
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

    /// The word for it in the store.
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

    /// Reads the word.
    pub fn parse(text: &str) -> Result<Self, ParseWordError> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or(ParseWordError)
    }
}

/// A keyed hash of whom or what is counted. Without the key, neither an address nor an account can be told from it.
pub type Digest = [u8; 16];

/// Which counter it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CounterKey {
    /// What is counted.
    pub scope: Scope,
    /// Of which account, user or family; all zero where it is of none.
    pub subject: Digest,
    /// From which network or by which session; all zero where that does not matter.
    pub origin: Digest,
}

/// A counter that is not at rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Which one.
    pub key: CounterKey,
    /// When it is at rest, if nothing more is counted. The later, the more was counted.
    pub rests_at: Timestamp,
}

/// What the store remembers of attempts.
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
