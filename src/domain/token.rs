//! Personal access tokens: a person's key for software, limited to its abilities.

use std::sync::Arc;

use super::{
    ability::Abilities,
    account::User,
    id::{SessionId, TokenId, UserId},
    last_use::LastUse,
    secret::{Hint, Plaintext, TokenHash},
    text::Name,
    time::Timestamp,
};

/// A personal access token as it is stored, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its identifier.
    pub id: TokenId,
    /// Its row number, the `N` of `N|pat_…`; never given twice.
    pub number: i64,
    /// Whose it is.
    pub owner: UserId,
    /// What the owner called it.
    pub name: Name,
    /// What it may do.
    pub abilities: Abilities,
    /// The last four characters of its secret.
    pub hint: Hint,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is refused; `None` is never.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, as far as that is on disk.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked, for good.
    pub revoked_at: Option<Timestamp>,
}

/// A token to be stored; the store gives it its number.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Its identifier.
    pub id: TokenId,
    /// Whose it is.
    pub owner: UserId,
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
    /// The session on whose authority it is made, which must not have ended; `None` is an administrator's.
    pub authority: Option<SessionId>,
}

/// A token that was just made, with its plaintext: the only value in the program that holds both.
#[derive(Debug)]
pub struct IssuedToken {
    /// The stored token.
    pub token: Token,
    /// `N|pat_…`, shown once.
    pub plaintext: Plaintext,
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
