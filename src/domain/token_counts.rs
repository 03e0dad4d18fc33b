//! How many tokens there are, for metrics.

use std::time::Duration;

use super::secret::CredentialKind;

/// The states that tokens are counted by. The first that applies counts: a revoked token that has also expired is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountedState {
    /// Revoked.
    Revoked,
    /// Expired, or not used for longer than the idle lifetime.
    Expired,
    /// Disabled.
    Disabled,
    /// None of the others.
    Active,
}

impl CountedState {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Active, Self::Disabled, Self::Expired, Self::Revoked];

    /// The name in a metric.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::Disabled => "disabled",
            Self::Active => "active",
        }
    }
}

/// The kinds of token.
pub const COUNTED_KINDS: [CredentialKind; 2] = [CredentialKind::PersonalAccessToken, CredentialKind::EnvironmentToken];

/// The times within which active tokens expire, with their names in a metric. Each includes the shorter ones.
pub const EXPIRY_WINDOWS: [(&str, Duration); 3] =
    [("1d", Duration::from_hours(24)), ("7d", Duration::from_hours(7 * 24)), ("30d", Duration::from_hours(30 * 24))];

/// How many tokens there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenCounts {
    /// By kind, in the order of [`COUNTED_KINDS`], and by state, in the order of [`CountedState::ALL`].
    pub by_state: [[u64; CountedState::ALL.len()]; COUNTED_KINDS.len()],
    /// The active tokens that expire within each of [`EXPIRY_WINDOWS`].
    pub expiring: [u64; EXPIRY_WINDOWS.len()],
}

impl TokenCounts {
    /// Adds what another part of the tokens counts.
    pub fn add(&mut self, other: &Self) {
        for (sum, more) in self.by_state.as_flattened_mut().iter_mut().zip(other.by_state.as_flattened()) {
            *sum += more;
        }
        for (sum, more) in self.expiring.iter_mut().zip(other.expiring) {
            *sum += more;
        }
    }
}
