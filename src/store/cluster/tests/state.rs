//! A state of the model: a database, nodes, and who revokes.

use std::time::Duration;

use super::database::{Database, Registration};
use crate::{
    domain::node::NodeState,
    store::cluster::{
        BootTime, Departure, LeaseTerms, Mark, Membership, Neighbours, NodeId, NodeRow, PendingRevocation, Reading,
        membership::{Acknowledgement, Applied, Renewal},
    },
};

/// In the model, a lease is two ticks long, and all clocks tick together.
pub(super) const LENGTH: u64 = 2;
pub(super) const TERMS: LeaseTerms = LeaseTerms::new(Duration::from_secs(LENGTH), Duration::ZERO);
/// The present, after each state was brought to its normal form.
pub(super) const NOW: u64 = 100;
/// How far apart the clocks of machines are, so that a comparison of two machines' times would show.
pub(super) const APART: u64 = 1000;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) now: u64,
    pub(super) database: Database,
    /// An earlier state of the database, from a backup.
    pub(super) backup: Option<Box<Database>>,
    /// The database that was deposed.
    pub(super) deposed: Option<Box<Database>>,
    pub(super) is_rewound: bool,
    pub(super) nodes: Vec<Node>,
    /// Declares nodes gone. Any number of processes may do so; one stands for all.
    pub(super) observer: Neighbours,
    /// What it has decided and not done yet.
    pub(super) departure: Option<Departure>,
    pub(super) revokers: Vec<Revoker>,
    pub(super) crashes: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Node {
    pub(super) membership: Membership,
    pub(super) row: Option<Registration>,
    pub(super) phase: Phase,
    /// Whether memory holds the watched token as valid.
    pub(super) holds_token: bool,
    /// Whether it was read as valid and is not in memory yet.
    pub(super) filling: Option<Filling>,
    pub(super) is_on_deposed: bool,
    /// Whether it has gone back to the database that was deposed.
    pub(super) has_gone_back: bool,
    /// With a fault: a check has looked into memory before it looks at the lease, after its token's revocation was answered.
    pub(super) looked_too_early: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Filling {
    /// A look-up has begun under a lease, on the database on which the lease is renewed.
    Begun { on_deposed: bool },
    /// It has found the token valid.
    Current,
    /// A change came after the read.
    Invalidated,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    Idle,
    Began(Renewal),
    Committed(Renewal),
    Read(Renewal, Reading<usize>),
    Applied(Applied),
    Extended(Acknowledgement),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Revoker {
    Idle,
    Waiting(PendingRevocation),
    Answered,
    /// Its change was lost with the history that it was part of.
    Failed,
}

pub(super) fn clock(machine: usize, now: u64) -> BootTime {
    BootTime::since_boot(Duration::from_secs(now + APART * machine as u64))
}

impl State {
    pub(super) fn is_answered(&self, token: usize) -> bool {
        self.revokers[token] == Revoker::Answered
    }

    /// The database that a node reads.
    pub(super) fn database_of(&self, node: usize) -> &Database {
        self.database_at(self.nodes[node].is_on_deposed)
    }

    pub(super) fn database_at(&self, is_deposed: bool) -> &Database {
        match &self.deposed {
            Some(deposed) if is_deposed => deposed,
            _ => &self.database,
        }
    }

    /// Brings states that behave alike to one form: the present is [`NOW`], and what is a lease ago or longer is just that long
    /// ago. The lease of a node without a memory does not matter, so it is always over.
    pub(super) fn normalise(&mut self) {
        let passed = Duration::from_secs(self.now - NOW);
        self.now = NOW;
        let past = |time: BootTime| {
            let machine = time.elapsed_since_boot().as_secs() / APART;
            let earliest = clock(machine as usize, NOW - LENGTH);
            BootTime::since_boot(time.elapsed_since_boot() - passed).max(earliest)
        };
        for (index, node) in self.nodes.iter_mut().enumerate() {
            let over = clock(index, NOW);
            let started = |time: BootTime| if index == 0 { past(time) } else { clock(index, NOW - LENGTH) };
            node.membership.map_times(|end| if index == 0 { past(end).max(over) } else { over });
            match &mut node.phase {
                Phase::Began(renewal) | Phase::Committed(renewal) | Phase::Read(renewal, _) => {
                    renewal.map_times(started)
                }
                Phase::Applied(applied) => applied.map_times(started),
                Phase::Idle | Phase::Extended(_) => {}
            }
        }
        self.observer.map_times(past);
        self.forget_observations_that_are_over();
        self.renumber_renewals();
        for revoker in &mut self.revokers {
            if let Revoker::Waiting(pending) = revoker {
                pending.map_times(past);
            }
        }
    }
}

impl State {
    /// A mark that no renewal has.
    pub(super) fn new_renewal(&mut self) -> Mark {
        Mark(self.renewals().map(|mark| mark.0 + 1).max().unwrap_or(0))
    }

    /// An observation of a row that is another one now leads to nothing, unless the row comes back from the backup.
    fn forget_observations_that_are_over(&mut self) {
        let rows = self.rows_that_may_come_back();
        self.observer.keep_only(|id, state, renewal| is_current(&rows, id, state, renewal));
    }

    /// The same for what was decided then.
    pub(super) fn forget_departure_that_is_over(&mut self) {
        if self.departure.is_none() {
            return;
        }
        let rows = self.rows_that_may_come_back();
        self.departure.take_if(|one| !is_current(&rows, one.node, one.state, one.renewal));
    }

    fn rows_that_may_come_back(&self) -> Vec<NodeRow> {
        let databases = std::iter::once(&self.database).chain(self.backup.as_deref());
        databases.flat_map(Database::rows).collect()
    }

    /// Only which marks are equal matters, so they are numbered in the order in which they occur.
    fn renumber_renewals(&mut self) {
        let mut known = Vec::new();
        for mark in self.renewals() {
            let number = known.iter().position(|other| other == mark).unwrap_or_else(|| {
                known.push(*mark);
                known.len() - 1
            });
            *mark = Mark(number as u128);
        }
    }

    fn renewals(&mut self) -> impl Iterator<Item = &mut Mark> {
        let others = [self.backup.as_deref_mut(), self.deposed.as_deref_mut()].into_iter().flatten();
        let databases = std::iter::once(&mut self.database).chain(others);
        let decided = self.departure.as_mut().map(|departure| &mut departure.renewal);
        databases.flat_map(Database::renewals).chain(self.observer.renewals()).chain(decided)
    }
}

fn is_current(rows: &[NodeRow], id: NodeId, state: NodeState, renewal: Mark) -> bool {
    state != NodeState::Gone && rows.iter().any(|row| (row.id, row.state, row.renewal) == (id, state, renewal))
}

impl Node {
    pub(super) fn new(is_on_deposed: bool) -> Self {
        Self {
            membership: Membership::new(TERMS),
            row: None,
            phase: Phase::Idle,
            holds_token: false,
            filling: None,
            is_on_deposed,
            has_gone_back: false,
            looked_too_early: false,
        }
    }

    pub(super) fn forget(&mut self, without_epochs: bool) {
        self.holds_token = false;
        if !without_epochs {
            self.filling = self.filling.map(|_| Filling::Invalidated);
        }
    }
}
