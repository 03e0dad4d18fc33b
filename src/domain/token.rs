//! Tokens: personal access tokens and tokens of environments.

use std::sync::Arc;

use super::{
    ability::Abilities,
    annotations::Annotations,
    id::{EnvironmentId, TokenId, UserId},
    last_use::LastUse,
    owner::Owner,
    secret::{CredentialKind, Hint, Plaintext, TokenHash},
    text::Name,
    time::Timestamp,
    usage_limits::UsageLimits,
    use_counts::UseCounts,
    use_location::NotedLocation,
};

/// A token as it is stored, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The id.
    pub id: TokenId,
    /// The row number, the `N` of `N|pat_…`. It is never reused.
    pub number: i64,
    /// The owner. For an environment token, the owner of the environment.
    pub owner: UserId,
    /// The environment that it stands for. `None` for a personal token.
    pub environment: Option<EnvironmentId>,
    /// The name.
    pub name: Name,
    /// The abilities.
    pub abilities: Abilities,
    /// The last four characters of the secret.
    pub hint: Hint,
    /// When it was created.
    pub created_at: Timestamp,
    /// The expiry. `None` means never. For a rotated token, the end of its grace period if that is earlier.
    pub expires_at: Option<Timestamp>,
    /// The latest use in the store.
    pub last_used_at: Option<Timestamp>,
    /// The first token of its family. The token's own id if it was not created by rotation.
    pub family: TokenId,
    /// The predecessor.
    pub rotated_from: Option<TokenId>,
    /// The grace period, if the token was rotated.
    pub grace: Option<Grace>,
    /// Since when it is disabled.
    pub disabled_at: Option<Timestamp>,
    /// The revocation, if it was revoked.
    pub revoked: Option<Revocation>,
    /// The usage limits. `None` if it has none.
    pub limits: Option<Box<UsageLimits>>,
    /// The description and the metadata. `None` if it has neither.
    pub annotations: Option<Box<Annotations>>,
    /// Whether it is a canary token: it is refused everywhere, and its use is recorded.
    pub is_canary: bool,
}

impl Token {
    /// The kind of credential. A secret with the prefix of another kind is not accepted for this token.
    pub const fn kind(&self) -> CredentialKind {
        match self.environment {
            Some(_) => CredentialKind::EnvironmentToken,
            None => CredentialKind::PersonalAccessToken,
        }
    }

    /// Whether it is refused because of its expiry at `now`.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end.has_passed(now))
    }

    /// Whether it may have a successor.
    pub const fn is_replaced(&self) -> bool {
        self.grace.is_some() || self.revoked.is_some()
    }

    /// An upper limit of its size in a list, in bytes of JSON: all times and ids, and the texts with quotes.
    pub fn listed_size(&self) -> usize {
        const IDS_AND_TIMES: usize = 700;
        /// An IPv6 network with its quotes and its comma.
        const NETWORK: usize = 46;
        // A character of a name needs at most one escape character.
        let name = 2 * self.name.as_str().len();
        let abilities: usize = self.abilities.iter().map(|ability| ability.as_str().len() + "\"\",".len()).sum();
        let networks = self.limits.as_ref().map_or(0, |limits| limits.allowlist.networks().len());
        let annotations = self.annotations.as_ref().map_or(0, |annotations| annotations.listed_size());
        IDS_AND_TIMES + name + abilities + networks * NETWORK + annotations
    }
}

/// How long a rotated token stays valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grace {
    /// The end of the grace period.
    pub ends_at: Timestamp,
    /// Whether the first use of the successor ends it earlier.
    pub on_first_use: bool,
}

impl Token {
    /// Whether rotation is what ended the token, if it has ended. Then a use of its secret is a reuse. Always false for tokens
    /// of environments: users regenerate them, the holder cannot, so an old secret proves nothing.
    pub fn is_rotated_away(&self) -> bool {
        match self.revoked {
            _ if self.environment.is_some() => false,
            Some(revoked) => revoked.reason == RevocationReason::Rotated,
            None => self.grace.is_some(),
        }
    }

    /// Whether it is a successor that was not used yet. Its first use is stored before it is answered. Always false for tokens
    /// of environments, whose predecessor ended when they were created.
    pub const fn is_fresh_successor(&self) -> bool {
        self.rotated_from.is_some() && self.last_used_at.is_none() && self.environment.is_none()
    }
}

/// The revocation of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// When it was revoked.
    pub at: Timestamp,
    /// The reason.
    pub reason: RevocationReason,
}

/// Why a token was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevocationReason {
    /// Its owner, or somebody with the right to, revoked it.
    RevokedByOwner,
    /// Rotation has ended it.
    Rotated,
    /// A leak report named its secret.
    LeakReport,
    /// Reuse in its family was detected.
    ReuseDetected,
}

/// The text is not a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a reason why a token was revoked")]
pub struct ParseRevocationReasonError;

impl RevocationReason {
    /// All reasons.
    pub const ALL: [Self; 4] = [Self::RevokedByOwner, Self::Rotated, Self::LeakReport, Self::ReuseDetected];

    /// Parses the name.
    pub fn parse(text: &str) -> Result<Self, ParseRevocationReasonError> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text).ok_or(ParseRevocationReasonError)
    }

    /// The name in the API and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RevokedByOwner => "revoked_by_owner",
            Self::Rotated => "rotated",
            Self::LeakReport => "leaked",
            Self::ReuseDetected => "reuse_detected",
        }
    }
}

/// A token to store. The store gives it its number.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// The id.
    pub id: TokenId,
    /// The owner. For an environment token, the owner of the environment.
    pub owner: UserId,
    /// The environment that it stands for. `None` for a personal token.
    pub environment: Option<EnvironmentId>,
    /// The name.
    pub name: Name,
    /// The abilities.
    pub abilities: Abilities,
    /// The hash of the secret.
    pub hash: TokenHash,
    /// The last four characters of the secret.
    pub hint: Hint,
    /// When it was created.
    pub created_at: Timestamp,
    /// The expiry. `None` means never.
    pub expires_at: Option<Timestamp>,
    /// The first token of its family. The token's own id if it is not created by rotation.
    pub family: TokenId,
    /// The predecessor.
    pub rotated_from: Option<TokenId>,
    /// The usage limits. `None` if it has none.
    pub limits: Option<Box<UsageLimits>>,
    /// The description and the metadata. `None` if it has neither.
    pub annotations: Option<Box<Annotations>>,
    /// Whether it is a canary token: it is refused everywhere, and its use is recorded.
    pub is_canary: bool,
}

/// A new token with its secret.
#[derive(Debug)]
pub struct IssuedToken {
    /// The stored token.
    pub token: Token,
    /// The secret, `N|pat_…` or `talq_…`. It is shown once.
    pub plaintext: Plaintext,
    /// How many uses of its quota are left. `None` if it has no quota.
    pub quota_left: Option<u32>,
}

/// What a look-up by secret returns: a token and its owner, from one read.
#[derive(Clone, Debug)]
pub struct TokenRecord {
    /// The token.
    pub token: Token,
    /// The owner, from the same read. It may be shared with other records of the owner.
    pub owner: Arc<Owner>,
    /// The latest use, shared by all who hold this record. Another record of the token may hold a later one, so ask the store
    /// before refusing a token as idle.
    pub last_use: LastUse,
    /// The location that was recorded last, shared by all who hold this record.
    pub noted_location: NotedLocation,
    /// The uses that are counted and not collected yet, shared by all who hold this record.
    pub use_counts: UseCounts,
}

/// The states by which a list can be filtered. A token is in exactly one at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// Neither expired nor revoked.
    Active,
    /// Expired and not revoked.
    Expired,
    /// Revoked.
    Revoked,
}
