//! The rules of rotation: when the successor expires, and when its predecessor ends.

use std::time::Duration;

use super::{
    ability::Abilities,
    id::TokenId,
    secret::{Hint, TokenHash},
    time::Timestamp,
    token::{NewToken, Token},
};

/// When a successor is to expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuccessorEnd {
    /// When its predecessor would have expired.
    WithPredecessor,
    /// Never. Only if its predecessor never expires.
    Never,
    /// At this time, which must not be after the expiry of its predecessor.
    At(Timestamp),
}

/// The successor would be valid for longer than its predecessor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the successor would outlive the token that it replaces")]
pub struct OutlivesPredecessor;

/// The successor would have an ability that none of its predecessor covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the successor would have more abilities than the token that it replaces")]
pub struct WidensAbilities;

/// The abilities of a successor of a token with the abilities `held`: these, or the `wanted` ones, if each of those is covered.
pub fn narrowed(held: Abilities, wanted: Option<Abilities>) -> Result<Abilities, WidensAbilities> {
    match wanted {
        None => Ok(held),
        Some(wanted) if wanted.iter().all(|ability| held.cover(ability.as_str())) => Ok(wanted),
        Some(_) => Err(WidensAbilities),
    }
}

/// What a new successor takes the place of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaces {
    /// The predecessor, which has no successor yet.
    Predecessor,
    /// An unused successor that expires then. It is withdrawn. The predecessor is in its grace already, and its row has the
    /// end of the grace as its expiry.
    UnusedSuccessor {
        /// When it expires.
        expires_at: Option<Timestamp>,
    },
}

/// What becomes of the predecessor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PredecessorEnd {
    /// It is revoked now.
    Now,
    /// It expires at the end of its grace.
    At(Timestamp),
    /// Its grace goes on as it was.
    Unchanged,
}

/// What a rotation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotationPlan {
    /// When the successor expires.
    pub successor_expires_at: Option<Timestamp>,
    /// What becomes of the predecessor.
    pub predecessor_end: PredecessorEnd,
}

impl RotationPlan {
    /// Plans a rotation of `predecessor` at `now`. The successor must not outlive what it replaces, and a grace does not
    /// extend the life of the predecessor.
    pub fn new(
        predecessor: &Token,
        replaces: Replaces,
        end: SuccessorEnd,
        grace: Duration,
        now: Timestamp,
    ) -> Result<Self, OutlivesPredecessor> {
        let bound = match replaces {
            Replaces::Predecessor => predecessor.expires_at,
            Replaces::UnusedSuccessor { expires_at } => expires_at,
        };
        let successor_expires_at = match (end, bound) {
            (SuccessorEnd::WithPredecessor, bound) => bound,
            (SuccessorEnd::Never, None) => None,
            (SuccessorEnd::At(end), bound) if bound.is_none_or(|bound| end <= bound) => Some(end),
            (SuccessorEnd::Never | SuccessorEnd::At(_), _) => return Err(OutlivesPredecessor),
        };
        let grace_end = now.plus(grace);
        let predecessor_end = match replaces {
            Replaces::UnusedSuccessor { .. } => PredecessorEnd::Unchanged,
            Replaces::Predecessor if grace.is_zero() => PredecessorEnd::Now,
            Replaces::Predecessor => {
                PredecessorEnd::At(predecessor.expires_at.map_or(grace_end, |expiry| expiry.min(grace_end)))
            }
        };
        Ok(Self { successor_expires_at, predecessor_end })
    }
}

/// The secret of a successor, and its id.
#[derive(Clone, Copy, Debug)]
pub struct NewSecret {
    /// The id of the successor.
    pub id: TokenId,
    /// The hash of its secret.
    pub hash: TokenHash,
    /// The last four characters of its secret.
    pub hint: Hint,
}

/// The successor of a token: same owner, name, abilities, limits, annotations and family.
pub fn successor(
    predecessor: Token,
    secret: NewSecret,
    expires_at: Option<Timestamp>,
    created_at: Timestamp,
) -> NewToken {
    NewToken {
        id: secret.id,
        owner: predecessor.owner,
        environment: predecessor.environment,
        name: predecessor.name,
        abilities: predecessor.abilities,
        hash: secret.hash,
        hint: secret.hint,
        created_at,
        expires_at,
        family: predecessor.family,
        rotated_from: Some(predecessor.id),
        limits: predecessor.limits,
        annotations: predecessor.annotations,
        is_canary: predecessor.is_canary,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::{ability::Ability, id::UserId, text::Name};

    fn abilities(words: &[&str]) -> Abilities {
        Abilities::new(words.iter().map(|word| Ability::parse(word).unwrap())).unwrap()
    }

    #[test]
    fn a_successor_has_no_ability_that_its_predecessor_does_not_cover() {
        let narrow = |held: &[&str], wanted: &[&str]| narrowed(abilities(held), Some(abilities(wanted)));
        for (held, wanted) in [
            (&["*"][..], &["calls:read", "calls:*"][..]),
            (&["calls:*"], &["calls:read:own"]),
            (&["calls:read", "calls:write"], &["calls:write"]),
            (&["admin:*"], &["admin:read"]),
            (&["calls:read"], &["calls:read"]),
            (&["calls:read"], &[]),
        ] {
            assert_eq!(narrow(held, wanted), Ok(abilities(wanted)), "{held:?} {wanted:?}");
        }
        for (held, wanted) in [
            (&["calls:read"][..], &["calls:write"][..]),
            (&["calls:read"], &["calls:*"]),
            (&["calls:*"], &["calls"]),
            (&["calls:*"], &["*"]),
            (&["*"], &["tokens:introspect"]),
            (&["*"], &["admin:*"]),
            (&[], &["calls:read"]),
        ] {
            assert_eq!(narrow(held, wanted), Err(WidensAbilities), "{held:?} {wanted:?}");
        }
        assert_eq!(narrowed(abilities(&["a", "b"]), None), Ok(abilities(&["a", "b"])));
    }

    fn token(expires_at: Option<i64>) -> Token {
        let id = TokenId::new(Uuid::from_u128(1));
        Token {
            id,
            number: 1,
            owner: UserId::new(Uuid::from_u128(2)),
            environment: None,
            name: Name::parse("t").unwrap(),
            abilities: Abilities::full(),
            hint: Hint::parse("abcd").unwrap(),
            created_at: at(1),
            expires_at: expires_at.map(at),
            last_used_at: None,
            family: id,
            rotated_from: None,
            grace: None,
            disabled_at: None,
            revoked: None,
            limits: None,
            annotations: None,
            is_canary: false,
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(seconds)
    }

    fn expiry(
        expires_at: Option<i64>,
        replaces: Replaces,
        end: SuccessorEnd,
    ) -> Result<Option<i64>, OutlivesPredecessor> {
        let plan = RotationPlan::new(&token(expires_at), replaces, end, Duration::ZERO, at(10))?;
        Ok(plan.successor_expires_at.map(Timestamp::unix))
    }

    #[test]
    fn a_successor_may_not_outlive_its_predecessor() {
        let first = |expires_at, end| expiry(expires_at, Replaces::Predecessor, end);
        assert_eq!(first(None, SuccessorEnd::WithPredecessor), Ok(None));
        assert_eq!(first(None, SuccessorEnd::Never), Ok(None));
        assert_eq!(first(None, SuccessorEnd::At(at(99))), Ok(Some(99)));
        assert_eq!(first(Some(50), SuccessorEnd::WithPredecessor), Ok(Some(50)));
        assert_eq!(first(Some(50), SuccessorEnd::At(at(50))), Ok(Some(50)));
        assert_eq!(first(Some(50), SuccessorEnd::At(at(51))), Err(OutlivesPredecessor));
        assert_eq!(first(Some(50), SuccessorEnd::Never), Err(OutlivesPredecessor));
    }

    #[test]
    fn a_second_successor_may_not_outlive_the_first() {
        // The row of the predecessor has the end of its grace as its expiry by now.
        let second =
            |bound: Option<i64>, end| expiry(Some(20), Replaces::UnusedSuccessor { expires_at: bound.map(at) }, end);
        assert_eq!(second(Some(50), SuccessorEnd::WithPredecessor), Ok(Some(50)));
        assert_eq!(second(Some(50), SuccessorEnd::At(at(51))), Err(OutlivesPredecessor));
        assert_eq!(second(None, SuccessorEnd::Never), Ok(None));
    }

    #[test]
    fn a_grace_ends_no_later_than_the_predecessor_and_is_not_renewed() {
        let end = |expires_at, replaces, grace| {
            let grace = Duration::from_secs(grace);
            let plan = RotationPlan::new(&token(expires_at), replaces, SuccessorEnd::WithPredecessor, grace, at(10));
            plan.unwrap().predecessor_end
        };
        assert_eq!(end(None, Replaces::Predecessor, 0), PredecessorEnd::Now);
        assert_eq!(end(None, Replaces::Predecessor, 60), PredecessorEnd::At(at(70)));
        assert_eq!(end(Some(50), Replaces::Predecessor, 60), PredecessorEnd::At(at(50)));
        assert_eq!(end(Some(50), Replaces::UnusedSuccessor { expires_at: None }, 60), PredecessorEnd::Unchanged);
    }
}
