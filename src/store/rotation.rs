//! The rotation that the store is asked for, and which successors a change of a token reaches.

use std::time::Duration;

use crate::domain::{
    ability::Abilities,
    id::{TokenId, UserId},
    rotation::{NewSecret, SuccessorEnd},
    secret::{Hint, TokenHash},
};

/// The replacement of a token by a successor. What it does is decided by
/// [`RotationPlan`](crate::domain::rotation::RotationPlan).
#[derive(Clone, Debug)]
pub struct Rotation {
    /// The owner of both tokens.
    pub owner: UserId,
    /// The token to replace.
    pub token: TokenId,
    /// The predecessor of that token, if it has one. It is revoked: at most two tokens of a family are valid at a time.
    pub rotated_from: Option<TokenId>,
    /// The id of the successor.
    pub successor: TokenId,
    /// The hash of the successor's secret.
    pub hash: TokenHash,
    /// The last four characters of the successor's secret.
    pub hint: Hint,
    /// Its abilities, each covered by those of what it replaces. `None` keeps them.
    pub abilities: Option<Abilities>,
    /// When the successor expires.
    pub end: SuccessorEnd,
    /// How long the replaced token stays valid, if it does not expire sooner. Zero revokes it now.
    pub grace: Duration,
    /// Whether the first use of the successor ends the grace.
    pub end_on_first_use: bool,
    /// Whether the successor may replace an earlier one that was never used. The grace stays as it was then.
    pub replace_unused: bool,
}

impl Rotation {
    /// The id and secret of the successor.
    pub(super) const fn secret(&self) -> NewSecret {
        NewSecret { id: self.successor, hash: self.hash, hint: self.hint }
    }
}

/// The later tokens of a family when one of its tokens is revoked or disabled.
///
/// If a token rotated itself, the holder of its secret has the successor's secret too. So the successor is changed with the
/// token, and so on along the lineage. A successor that the owner created with a session is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Successors {
    /// The successors that were changed with the token.
    pub changed: Vec<TokenId>,
    /// The first valid successor that was not.
    pub unchanged: Option<TokenId>,
}
