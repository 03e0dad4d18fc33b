//! What a rotation asks of the store, and how far a change reaches among what rotation made.

use std::time::Duration;

use crate::domain::{
    id::{TokenId, UserId},
    secret::{Hint, TokenHash},
    time::Timestamp,
};

/// The replacement of a token by a successor that has its name, its abilities and its limits.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// The owner of both.
    pub owner: UserId,
    /// The token that is replaced.
    pub token: TokenId,
    /// What that one was made to replace, where it was. It ends now: of a family, no more than two are good at once.
    pub rotated_from: Option<TokenId>,
    /// The successor's identifier.
    pub successor: TokenId,
    /// The hash of the successor's secret.
    pub hash: TokenHash,
    /// The last four characters of the successor's secret.
    pub hint: Hint,
    /// When the successor ends.
    pub end: SuccessorEnd,
    /// How long the replaced token goes on, if it does not end before; zero ends it now.
    pub grace: Duration,
    /// Whether the first use of the successor ends it before that.
    pub end_on_first_use: bool,
    /// Whether a successor that nobody has used may give way to this one. Then the grace stays as it was.
    pub replace_unused: bool,
}

/// When a successor ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuccessorEnd {
    /// When the token that it replaces would have ended.
    WithPredecessor,
    /// Never, which needs a predecessor that has no end either.
    Never,
    /// At this time, which must not be after the end of the token that it replaces.
    At(Timestamp),
}

/// What became of the later tokens of a family when one of its tokens was revoked or disabled.
///
/// A successor that the token made by itself is known to whoever holds the token's secret, so it is changed with the
/// token, and so on for what that one made. A successor that the owner made with a session is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Successors {
    /// Those that were changed with the token.
    pub changed: Vec<TokenId>,
    /// The first good one that was not.
    pub unchanged: Option<TokenId>,
}
