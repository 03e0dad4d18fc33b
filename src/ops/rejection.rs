//! Why a credential, a forwarded request or an attempt is rejected.

use std::time::Duration;

use crate::domain::{path::AmbiguousPath, time::Timestamp};

/// Why a credential is not accepted. Logs and metrics show the reason. Clients get the same 401 for all of them, except
/// for [`Self::RateLimited`] and [`Self::QuotaExceeded`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The request has no credential.
    #[error("no credential")]
    Missing,
    /// The prefix, length or checksum is wrong. The store is not asked.
    #[error("malformed")]
    Malformed,
    /// The secret belongs to no token and no session, or to a session that was ended.
    #[error("unknown")]
    Unknown,
    /// A canary token. Only the log tells it from an unknown one.
    #[error("canary token")]
    Canary,
    /// The `N` in front of the `|` is the number of another token.
    #[error("wrong row number")]
    WrongNumber,
    /// Expired.
    #[error("expired")]
    Expired,
    /// Not used for longer than the idle lifetime.
    #[error("idle")]
    Idle,
    /// Revoked.
    #[error("revoked")]
    Revoked,
    /// Rotation has ended the token: its successor is in use, or the grace period is over.
    #[error("rotated")]
    Rotated,
    /// The token is disabled.
    #[error("disabled")]
    Disabled,
    /// The account of the owner is disabled.
    #[error("owner disabled")]
    OwnerDisabled,
    /// The token has an allowlist, and the client's address is not on it or not known.
    #[error("address not allowed")]
    AddressNotAllowed,
    /// The rate limit of the token is reached.
    #[error("used too often")]
    RateLimited(Throttled),
    /// The quota of the token is used up.
    #[error("quota used up")]
    QuotaExceeded,
}

impl Rejection {
    /// The code in answers to callers that may know the reason (`POST /api/v1/tokens/verify`).
    pub const fn code(self) -> &'static str {
        match self {
            Self::Missing | Self::Malformed => "malformed",
            Self::Unknown | Self::Canary | Self::WrongNumber => "unknown",
            Self::Expired | Self::Idle => "expired",
            Self::Revoked | Self::Rotated => "revoked",
            Self::Disabled => "disabled",
            Self::OwnerDisabled => "owner_disabled",
            Self::AddressNotAllowed => "ip_not_allowed",
            Self::RateLimited(_) => "rate_limited",
            Self::QuotaExceeded => "quota_exceeded",
        }
    }
}

/// Why a policy rejects a forwarded request for every credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.code())]
pub enum PolicyRejection {
    /// No policy has this name.
    UnknownPolicy,
    /// The request target is not a path.
    MalformedPath(AmbiguousPath),
    /// Applications may read the path in different ways.
    AmbiguousPath(AmbiguousPath),
    /// No rule matches the method and path.
    NoRule,
    /// The rule does not accept this kind of credential.
    WrongKind,
}

impl PolicyRejection {
    /// The code in answers and logs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::UnknownPolicy => "unknown_policy",
            Self::MalformedPath(_) => "malformed_path",
            Self::AmbiguousPath(_) => "ambiguous_path",
            Self::NoRule => "no_rule",
            Self::WrongKind => "wrong_kind",
        }
    }
}

impl From<AmbiguousPath> for PolicyRejection {
    fn from(ambiguous: AmbiguousPath) -> Self {
        match ambiguous {
            AmbiguousPath::NotAbsolute | AmbiguousPath::Fragment => Self::MalformedPath(ambiguous),
            ambiguous => Self::AmbiguousPath(ambiguous),
        }
    }
}

/// A limit on attempts or on the rate of a token is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttled {
    /// How long to wait before the next attempt: whole seconds, at least one.
    pub retry_after: Duration,
    /// The end of that wait.
    pub resets_at: Timestamp,
    /// How many attempts are allowed at once.
    pub limit: u32,
}
