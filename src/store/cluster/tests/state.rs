//! A state of the model: a database, nodes, and who revokes.

use std::time::Duration;

use super::database::{Database, Registration};
use crate::store::cluster::{
    BootTime, LeaseTerms, Membership, Neighbours, PendingRevocation, Reading,
    membership::{Acknowledgement, Applied, Renewal},
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
    /// Fences nodes. Any number of processes may do so; one stands for all.
    pub(super) observer: Neighbours,
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
    /// With a fault: a check has looked into memory before it looks at the lease, after its token's revocation was answered.
    pub(super) looked_too_early: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Filling {
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
        match &self.deposed {
            Some(deposed) if self.nodes[node].is_on_deposed => deposed,
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
        for revoker in &mut self.revokers {
            if let Revoker::Waiting(pending) = revoker {
                pending.map_times(past);
            }
        }
    }
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
