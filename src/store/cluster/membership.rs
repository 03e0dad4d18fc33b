//! A node's own side: when it may answer, and what it must do, in which order, before it may.
//!
//! Each step returns the value that the next step needs, so that no step can be left out or come too early.

use super::{
    history::{Invalidation, Position, Reading},
    lease::{BootTime, LeaseTerms},
};

/// What a node knows about its lease and its memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Membership {
    terms: LeaseTerms,
    /// The change up to which its memory is current. `None` if the memory must be emptied before it counts.
    position: Option<Position>,
    /// The first moment at which it may not answer any more. `None` without a lease.
    lease_end: Option<BootTime>,
    /// Whether its row is active as far as it knows.
    is_registered: bool,
}

/// A renewal that has begun. It has done nothing yet.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(Clone, Hash))]
pub(crate) struct Renewal {
    started: BootTime,
}

/// What the transaction of a renewal has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum RenewalOutcome {
    /// The row was active, and the commit was answered.
    Committed,
    /// The row is not active, or is not there.
    NotActive,
}

/// A renewal whose changes have been applied to memory.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(Clone, Hash))]
pub(crate) struct Applied {
    started: BootTime,
    position: Position,
}

/// What the node has to store in its row, only if the change at this position is part of the history there: the database may
/// be another one by now.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(Clone, Hash))]
pub(crate) struct Acknowledgement {
    pub(crate) position: Position,
}

impl Membership {
    pub(crate) const fn new(terms: LeaseTerms) -> Self {
        Self { terms, position: None, lease_end: None, is_registered: false }
    }

    /// Whether the node may answer a check that starts now: from memory, or from what it reads in the database afterwards.
    /// Ask this first, and look into memory after it.
    #[cfg(test)]
    pub(super) fn may_answer(&self, now: BootTime) -> bool {
        super::lease::holds(self.lease_end, now)
    }

    /// Whether the node has a row to renew. Otherwise it registers under a new id.
    pub(crate) const fn is_registered(&self) -> bool {
        self.is_registered
    }

    /// Until when the lease lasts, for the atomic that checks read.
    pub(crate) const fn lease_end(&self) -> Option<BootTime> {
        self.lease_end
    }

    /// From which position on changes are to be read.
    pub(crate) const fn position(&self) -> Option<Position> {
        self.position
    }

    /// Begins a renewal, or a registration. `now` must be read before its transaction is sent.
    pub(crate) const fn begin(&self, now: BootTime) -> Renewal {
        Renewal { started: now }
    }

    /// The node has registered under a new id, and that is committed. What its memory holds may be old.
    pub(crate) fn registered(&mut self) {
        self.is_registered = true;
        self.position = None;
    }

    /// Its row is not active any more: others do not wait for it. It may answer nothing from now on.
    pub(crate) fn lost(&mut self) {
        self.is_registered = false;
        self.position = None;
        self.lease_end = None;
    }

    /// Renewals go to another server from now on. The lease says nothing about that one: what it answers may be old.
    pub(crate) fn moved(&mut self) {
        self.lease_end = None;
    }

    /// Applies what was read after the transaction of `renewal` was committed. `forget` must have taken effect when it
    /// returns: no check finds in memory, from then on, what was read from the database before.
    pub(crate) fn apply<C>(
        &mut self,
        renewal: Renewal,
        reading: Reading<C>,
        forget: impl FnOnce(Invalidation<C>),
    ) -> Applied {
        let position = reading.latest;
        forget(reading.invalidation_after(self.position));
        self.position = Some(position);
        Applied { started: renewal.started, position }
    }

    /// Extends the lease. Checks may be answered until it ends.
    pub(crate) fn extend(&mut self, applied: Applied) -> Acknowledgement {
        let end = self.terms.end(applied.started);
        self.lease_end = Some(self.lease_end.map_or(end, |current| current.max(end)));
        Acknowledgement { position: applied.position }
    }
}

#[cfg(test)]
impl Membership {
    pub(super) fn map_times(&mut self, map: impl Fn(BootTime) -> BootTime) {
        self.lease_end = self.lease_end.map(map);
    }
}

#[cfg(test)]
impl Renewal {
    pub(super) fn map_times(&mut self, map: impl Fn(BootTime) -> BootTime) {
        self.started = map(self.started);
    }
}

#[cfg(test)]
impl Applied {
    pub(super) fn map_times(&mut self, map: impl Fn(BootTime) -> BootTime) {
        self.started = map(self.started);
    }
}
