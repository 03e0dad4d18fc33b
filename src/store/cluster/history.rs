//! The order of the changes that take rights away, and what a node has to forget when it reads the next ones.

use std::ops::RangeInclusive;

/// Random. It tells two changes apart that have the same number in two histories, as after a failover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Mark(pub(crate) u128);

/// A change, and with it everything before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Position {
    pub(crate) sequence: i64,
    pub(crate) mark: Mark,
}

/// What was read in one snapshot of the database: the latest position, and the changes from a node's own position on,
/// that one included. Old changes may have been deleted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Reading<C> {
    pub(crate) latest: Position,
    pub(crate) changes: Vec<(Position, C)>,
}

/// What a node has to forget.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Invalidation<C> {
    /// What these changes affect.
    These(Vec<C>),
    /// All of its memory.
    Everything,
}

impl<C> Reading<C> {
    /// What a node at `known` has to forget. Everything, unless the reading proves that its position is part of this history
    /// and that no change after it is missing.
    pub(super) fn invalidation_after(self, known: Option<Position>) -> Invalidation<C> {
        let Some(known) = known else { return Invalidation::Everything };
        if known == self.latest {
            return Invalidation::These(Vec::new());
        }
        let found = self.changes.iter().map(|(position, _)| *position);
        let is_continuous = found.clone().next() == Some(known)
            && found.clone().next_back() == Some(self.latest)
            && found.map(|position| position.sequence).eq(sequences(known, self.latest));
        match is_continuous {
            true => Invalidation::These(self.changes.into_iter().skip(1).map(|(_, change)| change).collect()),
            false => Invalidation::Everything,
        }
    }
}

fn sequences(from: Position, to: Position) -> RangeInclusive<i64> {
    from.sequence..=to.sequence
}
