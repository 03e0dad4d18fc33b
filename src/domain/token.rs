//! Tokens: a person's or an environment's key for software, limited to its abilities.

use std::sync::Arc;

use super::{
    ability::Abilities,
    account::User,
    id::{EnvironmentId, TokenId, UserId},
    last_use::LastUse,
    secret::{CredentialKind, Hint, Plaintext, TokenHash},
    text::Name,
    time::Timestamp,
    usage_limits::UsageLimits,
    use_location::NotedLocation,
};

/// A token as it is stored, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its identifier.
    pub id: TokenId,
    /// Its row number, the `N` of `N|pat_…`; never given twice.
    pub number: i64,
    /// Whose it is; of an environment's token, the environment's owner.
    pub owner: UserId,
    /// The environment that it stands for; `None` is a personal token.
    pub environment: Option<EnvironmentId>,
    /// What the owner called it.
    pub name: Name,
    /// What it may do.
    pub abilities: Abilities,
    /// The last four characters of its secret.
    pub hint: Hint,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is refused; `None` is never. Of a token that was rotated, the end of its grace, where that is earlier.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, as far as that is on disk.
    pub last_used_at: Option<Timestamp>,
    /// The first of the chain of rotations that led to it: its own id where it was not made by rotation.
    pub family: TokenId,
    /// Which one it was made to replace.
    pub rotated_from: Option<TokenId>,
    /// How long it goes on after it was rotated; `None` was not.
    pub grace: Option<Grace>,
    /// Since when it is refused until somebody enables it.
    pub disabled_at: Option<Timestamp>,
    /// That it was revoked, for good.
    pub revoked: Option<Revocation>,
    /// From where and how much it may be used; `None` is without limits.
    pub limits: Option<Box<UsageLimits>>,
}

impl Token {
    /// What kind of credential it is. A secret that claims to be of another kind is none of it.
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

    /// At most how many bytes it takes in a list, as JSON: all times and ids, and each text quoted.
    pub fn listed_size(&self) -> usize {
        const IDS_AND_TIMES: usize = 700;
        /// An IPv6 network with its quotes and its comma.
        const NETWORK: usize = 46;
        // No character of a name needs more than an escape before it.
        let name = 2 * self.name.as_str().len();
        let abilities: usize = self.abilities.iter().map(|ability| ability.as_str().len() + "\"\",".len()).sum();
        let networks = self.limits.as_ref().map_or(0, |limits| limits.allowlist.networks().len());
        IDS_AND_TIMES + name + abilities + networks * NETWORK
    }
}

/// How long a token that was rotated goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grace {
    /// From when on it is refused.
    pub ends_at: Timestamp,
    /// Whether the first use of its successor ends it before that.
    pub on_first_use: bool,
}

impl Token {
    /// Whether, if it has ended, that is because a successor has taken its place: its secret must not be seen again. A
    /// token of an environment is replaced by people, never by who holds it: that its old secret comes back tells nothing.
    pub fn is_rotated_away(&self) -> bool {
        match self.revoked {
            _ if self.environment.is_some() => false,
            Some(revoked) => revoked.reason == RevocationReason::Rotated,
            None => self.grace.is_some(),
        }
    }

    /// Whether it was made by rotation and nobody has used it so far. Its first use is on disk before it is answered. A
    /// token of an environment has nothing to end by that: the one before it ended when it was made.
    pub const fn is_fresh_successor(&self) -> bool {
        self.rotated_from.is_some() && self.last_used_at.is_none() && self.environment.is_none()
    }
}

/// The end of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Since when.
    pub at: Timestamp,
    /// Why.
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

    /// The word for it, on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RevokedByOwner => "revoked_by_owner",
            Self::Rotated => "rotated",
            Self::LeakReport => "leaked",
            Self::ReuseDetected => "reuse_detected",
        }
    }
}

/// A token to be stored; the store gives it its number.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Its identifier.
    pub id: TokenId,
    /// Whose it is; of an environment's token, the environment's owner.
    pub owner: UserId,
    /// The environment that it stands for; `None` is a personal token.
    pub environment: Option<EnvironmentId>,
    /// What the owner called it.
    pub name: Name,
    /// What it may do.
    pub abilities: Abilities,
    /// The hash of its secret.
    pub hash: TokenHash,
    /// The last four characters of its secret.
    pub hint: Hint,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is refused; `None` is never.
    pub expires_at: Option<Timestamp>,
    /// The first of the chain of rotations that led to it: its own id where it is not made by rotation.
    pub family: TokenId,
    /// Which one it is made to replace.
    pub rotated_from: Option<TokenId>,
    /// From where and how much it may be used; `None` is without limits.
    pub limits: Option<Box<UsageLimits>>,
}

/// A token that was just made, with its plaintext: the only value in the program that holds both.
#[derive(Debug)]
pub struct IssuedToken {
    /// The stored token.
    pub token: Token,
    /// `N|pat_…` or `talq_…`, shown once.
    pub plaintext: Plaintext,
    /// How many uses of its quota are left. `None` if it has no quota.
    pub quota_left: Option<u32>,
}

/// What a look-up by secret finds: the token and its owner, read in one moment.
#[derive(Clone, Debug)]
pub struct TokenRecord {
    /// The token.
    pub token: Token,
    /// Its owner, as they were when the token was; perhaps shared with other records that say the same.
    pub owner: Arc<User>,
    /// Its latest use that those who share this record know of. It was not used later by any other than who holds another
    /// record of it: who would refuse a token for not being used asks the store first.
    pub last_use: LastUse,
    /// From where those who share this record noted it last.
    pub noted_location: NotedLocation,
}

/// The states by which a list can be narrowed. A token is in exactly one at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// Neither expired nor revoked.
    Active,
    /// Past its expiry and not revoked.
    Expired,
    /// Revoked.
    Revoked,
}
