//! The protocol as a system of steps, with the decisions of the code and a database, nodes and revokers of a few tokens.
//!
//! Each step is one thing that happens at once: a transaction, a read, a look at the clock, a change of memory. Between any two
//! steps of a process all others may take any number of theirs, and time may pass, so each process may pause anywhere.
//! A notification that is lost is a renewal that comes later, which is always possible.

use super::{
    Fault,
    database::Database,
    search::Model,
    state::{Filling, NOW, Node, Phase, Revoker, State, TERMS, clock},
    step::Step,
};
use crate::{
    domain::node::NodeState,
    store::cluster::{
        Invalidation, Mark, Neighbours, PendingRevocation, Position, RenewalOutcome, ServerId, Verdict,
        membership::Renewal,
    },
};

/// What may happen besides the protocol, and what is left out of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Configuration {
    pub(super) nodes: usize,
    /// Each revokes the token of its own number. They begin in that order.
    pub(super) revocations: usize,
    /// The token that checks are about. What memory holds of the others does not matter for it.
    pub(super) watched: usize,
    /// How many registrations there may be. Each beyond the number of nodes is a node that comes back.
    pub(super) registrations: usize,
    /// How often a node may lose all of its memory, and its knowledge of its row.
    pub(super) crashes: u8,
    /// Whether the database may fall back to an earlier state, as from a backup.
    pub(super) may_rewind: bool,
    /// Whether another database may take over while this one still answers reads.
    pub(super) may_depose: bool,
    /// Whether nodes may then be led to the old one once more.
    pub(super) may_go_back: bool,
    pub(super) fault: Option<Fault>,
}

impl Configuration {
    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn position(&self, token: usize, sequence: i64) -> Position {
        // Without marks, only the numbers of changes are compared.
        let mark = if self.has(Fault::NoMarks) { 0 } else { token as u128 + 1 };
        Position { sequence, mark: Mark(mark) }
    }

    fn may_answer(&self, node: &Node, index: usize, now: u64) -> bool {
        self.has(Fault::NoLeaseCheck) && node.row.is_some() || node.membership.may_answer(clock(index, now))
    }

    /// The code makes no look-up without a lease. On the primary it would do no harm, so here it is made.
    fn may_look_up(&self, node: &Node, index: usize, now: u64) -> bool {
        !node.is_on_deposed || self.has(Fault::AsksWithoutLease) || self.may_answer(node, index, now)
    }

    fn node_steps(&self, state: &State, index: usize, next: &mut Vec<(Step, State)>) {
        let node = &state.nodes[index];
        let now = clock(index, state.now);
        let mut add = |step, change: &dyn Fn(&mut State)| {
            let mut changed = state.clone();
            change(&mut changed);
            next.push((step, changed));
        };
        match &node.phase {
            Phase::Idle => {
                if node.membership.is_registered() || state.database.registered() < self.registrations {
                    add(Step::Begin(index), &|state| {
                        let node = &mut state.nodes[index];
                        node.phase = Phase::Began(node.membership.begin(now));
                    });
                }
            }
            // A database that was deposed does not commit.
            Phase::Began(_) if node.is_on_deposed => {}
            Phase::Began(renewal) => {
                add(Step::CommitRenewal(index), &|state| self.commit_renewal(state, index, renewal.clone()));
            }
            Phase::Committed(renewal) => add(Step::ReadChanges(index), &|state| {
                let from = state.nodes[index].membership.position();
                let reading = state.database_of(index).read_changes(from);
                state.nodes[index].phase = Phase::Read(renewal.clone(), reading);
            }),
            Phase::Read(renewal, reading) => add(Step::Apply(index), &|state| {
                let is_first = state.nodes[index].membership.position().is_none();
                let node = &mut state.nodes[index];
                let renewal = match self.has(Fault::LeaseFromTheEnd) {
                    true => node.membership.begin(now),
                    false => renewal.clone(),
                };
                let mut forgotten = Invalidation::These(Vec::new());
                let applied = node.membership.apply(renewal, reading.clone(), |forget| forgotten = forget);
                let keeps = is_first && self.has(Fault::EmptiesMemoryBeforeReading) || self.has(Fault::KeepsMemory);
                match forgotten {
                    Invalidation::Everything if keeps => {}
                    Invalidation::Everything => node.forget(false),
                    Invalidation::These(tokens) => {
                        if tokens.contains(&self.watched) {
                            node.forget(self.has(Fault::NoEpochs));
                        }
                    }
                }
                node.phase = Phase::Applied(applied);
            }),
            Phase::Applied(applied) => add(Step::Extend(index), &|state| {
                let node = &mut state.nodes[index];
                node.phase = Phase::Extended(node.membership.extend(applied.clone()));
            }),
            Phase::Extended(_) if node.is_on_deposed => add(Step::Acknowledge(index), &|state| {
                state.nodes[index].phase = Phase::Idle;
            }),
            Phase::Extended(acknowledgement) => add(Step::Acknowledge(index), &|state| {
                if let Some(row) = state.nodes[index].row {
                    state.database.acknowledge(row, acknowledgement.position);
                }
                state.nodes[index].phase = Phase::Idle;
            }),
        }
        match node.filling {
            // The memory of the first node stands for that of all: what another one holds changes nothing for it.
            None if index == 0 && !node.holds_token && self.may_look_up(node, index, state.now) => {
                let on_deposed = node.is_on_deposed;
                add(Step::BeginLookUp(index), &|state| {
                    state.nodes[index].filling = Some(Filling::Begun { on_deposed });
                });
            }
            None => {}
            Some(Filling::Begun { on_deposed }) => {
                let is_revoked = state.database_at(on_deposed).revoked[self.watched];
                add(Step::ReadToken(index), &|state| {
                    state.nodes[index].filling = (!is_revoked).then_some(Filling::Current);
                });
            }
            Some(filling) => add(Step::KeepToken(index), &|state| {
                let node = &mut state.nodes[index];
                node.holds_token |= filling == Filling::Current;
                node.filling = None;
            }),
        }
        if self.has(Fault::LooksIntoMemoryFirst)
            && !node.looked_too_early
            && node.holds_token
            && state.is_answered(self.watched)
        {
            add(Step::LookIntoMemory(index), &|state| state.nodes[index].looked_too_early = true);
        }
        if state.crashes < self.crashes {
            add(Step::Crash(index), &|state| {
                state.crashes += 1;
                state.nodes[index] = Node::new(state.nodes[index].is_on_deposed);
            });
        }
        let mut switch = |step, to_deposed: bool| {
            add(step, &|state| {
                let node = &mut state.nodes[index];
                node.is_on_deposed = to_deposed;
                node.has_gone_back |= to_deposed;
                node.phase = Phase::Idle;
                if !self.has(Fault::KeepsLeaseOnAnotherServer) {
                    node.membership.moved();
                }
            });
        };
        if node.is_on_deposed {
            switch(Step::SwitchOver(index), false);
        } else if self.may_go_back && state.deposed.is_some() && !node.has_gone_back {
            switch(Step::SwitchBack(index), true);
        }
    }

    fn commit_renewal(&self, state: &mut State, index: usize, renewal: Renewal) {
        // Marks are random.
        let mark = if self.has(Fault::NoMarksOfRenewals) { Mark(0) } else { state.new_renewal() };
        let node = &mut state.nodes[index];
        let row = match node.row {
            Some(row) => {
                let outcome = match state.database.renew(row, mark) {
                    NodeState::Active => RenewalOutcome::Committed,
                    _ if self.has(Fault::RenewsWhenFenced) => RenewalOutcome::Committed,
                    _ => RenewalOutcome::NotActive,
                };
                if outcome == RenewalOutcome::NotActive {
                    node.membership.lost();
                    node.row = None;
                    node.phase = Phase::Idle;
                    return;
                }
                row
            }
            None => {
                node.membership.registered();
                if self.has(Fault::EmptiesMemoryBeforeReading) {
                    node.forget(false);
                }
                *node.row.insert(state.database.register(mark))
            }
        };
        if self.has(Fault::AcknowledgesAtOnce) {
            state.database.acknowledge(row, state.database.latest());
        }
        node.phase = Phase::Committed(renewal);
    }

    fn revoker_steps(&self, state: &State, index: usize, next: &mut Vec<(Step, State)>) {
        let machine = self.nodes + 1 + index;
        let now = clock(machine, state.now);
        let is_next = index == 0 || state.revokers[index - 1] != Revoker::Idle;
        match &state.revokers[index] {
            Revoker::Idle if is_next => {
                let mut changed = state.clone();
                let position = self.position(index, changed.database.latest().sequence + 1);
                changed.database.revoke(index, position);
                changed.revokers[index] = Revoker::Waiting(PendingRevocation::new(position, now, TERMS));
                next.push((Step::Revoke(index), changed));
            }
            Revoker::Waiting(pending) => {
                // A revoker that was connected to the deposed database may read it, too.
                for database in [Some(&state.database), state.deposed.as_deref()].into_iter().flatten() {
                    let mut rows = database.rows();
                    if self.has(Fault::TwoStates) {
                        rows.retain(|row| row.state != NodeState::Fencing);
                    }
                    let verdict = match self.has(Fault::NoAcknowledgement) {
                        true => Verdict::Answer,
                        false => pending.judge(&rows, database.holds(pending.change()), now),
                    };
                    let revoker = match verdict {
                        Verdict::Answer => Revoker::Answered,
                        Verdict::Lost => Revoker::Failed,
                        Verdict::Wait { .. } => continue,
                    };
                    let mut changed = state.clone();
                    changed.revokers[index] = revoker;
                    next.push((Step::Answer(index), changed));
                }
            }
            _ => {}
        }
    }

    fn observer_steps(&self, state: &State, next: &mut Vec<(Step, State)>) {
        let now = clock(self.nodes, state.now);
        // Fencing is safe at any time, so the model does not ask the observer for a reason.
        for row in 0..state.database.registered() {
            if state.database.rows()[row].state == NodeState::Active {
                let mut changed = state.clone();
                changed.database.fence(row);
                next.push((Step::Fence(row), changed));
            }
        }
        if let Some(departure) = state.departure {
            let mut changed = state.clone();
            changed.departure = None;
            changed.database.depart(departure, !self.has(Fault::DeclaresRenewedNodesGone));
            next.push((Step::Depart, changed));
            return;
        }
        // What it sees in the database that was deposed leads to nothing: that one commits nothing.
        let server = ServerId(i64::from(state.is_rewound && !self.has(Fault::MistakesServers)));
        let mut observer = state.observer.clone();
        let departures = observer.observe(server, &state.database.rows(), now, TERMS);
        // One after the other, or none of them: the observer may end at any time.
        for departure in departures.into_iter().map(Some).chain([None]) {
            next.push((Step::Observe, State { observer: observer.clone(), departure, ..state.clone() }));
        }
    }

    fn database_steps(&self, state: &State, next: &mut Vec<(Step, State)>) {
        let mut add = |step, change: &dyn Fn(&mut State)| {
            let mut changed = state.clone();
            change(&mut changed);
            next.push((step, changed));
        };
        if self.may_rewind && !state.is_rewound {
            match &state.backup {
                None => add(Step::BackUp, &|state| state.backup = Some(Box::new(state.database.clone()))),
                // The loss of a registration is not modelled: nobody waits for a node whose row is lost, as long as its lease lasts.
                Some(backup) if backup.registered() < state.database.registered() => {}
                Some(backup) => add(Step::Restore, &|state| {
                    state.is_rewound = true;
                    if !self.has(Fault::MistakesServers) {
                        // The connection of the observer has ended.
                        state.departure = None;
                    }
                    state.database = (**backup).clone();
                    state.backup = None;
                    // What was lost is not promised any more.
                    for token in 0..self.revocations {
                        if !state.database.revoked[token] && state.revokers[token] == Revoker::Answered {
                            state.revokers[token] = Revoker::Failed;
                        }
                    }
                }),
            }
        }
        if self.may_depose && state.deposed.is_none() {
            add(Step::Depose, &|state| {
                state.deposed = Some(Box::new(state.database.clone()));
                for node in &mut state.nodes {
                    node.is_on_deposed = true;
                    if let Some(Filling::Begun { on_deposed }) = &mut node.filling {
                        *on_deposed = true;
                    }
                }
            });
        }
    }
}

impl Model for Configuration {
    type State = State;
    type Step = Step;

    fn initial(&self) -> State {
        State {
            now: NOW,
            database: Database::new(self.revocations),
            backup: None,
            deposed: None,
            is_rewound: false,
            nodes: vec![Node::new(false); self.nodes],
            observer: Neighbours::default(),
            departure: None,
            revokers: vec![Revoker::Idle; self.revocations],
            crashes: 0,
        }
    }

    fn next(&self, state: &State) -> Vec<(Step, State)> {
        let mut next = Vec::with_capacity(16);
        let mut later = state.clone();
        later.now += 1;
        next.push((Step::Tick, later));
        (0..self.nodes).for_each(|index| self.node_steps(state, index, &mut next));
        (0..self.revocations).for_each(|index| self.revoker_steps(state, index, &mut next));
        self.observer_steps(state, &mut next);
        self.database_steps(state, &mut next);
        for (_, state) in &mut next {
            if !self.has(Fault::DeclaresRenewedNodesGone) {
                state.forget_departure_that_is_over();
            }
            state.normalise();
        }
        next
    }

    /// A check of the watched token may start in any state, at any node. It must be refused if the revocation was answered.
    fn fault(&self, state: &State) -> Option<String> {
        if !state.is_answered(self.watched) {
            return None;
        }
        // Only the first node has a memory.
        for (index, node) in state.nodes.iter().enumerate().take(1) {
            let may_answer = self.may_answer(node, index, state.now);
            let fault = if may_answer && node.holds_token {
                "accepts the token from memory"
            } else if may_answer && node.filling == Some(Filling::Current) {
                // The check pauses after it has looked at the lease, and the record arrives meanwhile.
                "is about to keep the token"
            } else if (may_answer || self.has(Fault::AsksWithoutLease))
                && !state.database_of(index).revoked[self.watched]
            {
                "reads the token from a database that was deposed"
            } else if may_answer && node.looked_too_early {
                "looks at its lease after it has found the token in memory"
            } else {
                continue;
            };
            return Some(format!("node {index} {fault}"));
        }
        None
    }
}
