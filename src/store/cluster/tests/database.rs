//! What the database of the model holds. Each method is one transaction.

use crate::{
    domain::node::NodeState,
    store::cluster::{Departure, Mark, NodeId, NodeRow, Position, Reading},
};

/// Identifies a node's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Registration(usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Row {
    state: NodeState,
    acknowledged: i64,
    renewal: Mark,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Database {
    pub(super) revoked: Vec<bool>,
    /// The first is the beginning of the history.
    changes: Vec<(Position, usize)>,
    nodes: Vec<Row>,
}

impl Database {
    pub(super) fn new(tokens: usize) -> Self {
        let beginning = Position { sequence: 0, mark: Mark(0) };
        Self { revoked: vec![false; tokens], changes: vec![(beginning, usize::MAX)], nodes: Vec::new() }
    }

    pub(super) fn register(&mut self, renewal: Mark) -> Registration {
        self.nodes.push(Row { state: NodeState::Active, acknowledged: 0, renewal });
        Registration(self.nodes.len() - 1)
    }

    /// Renews the row if it is active. Returns the state that it is in.
    pub(super) fn renew(&mut self, registration: Registration, renewal: Mark) -> NodeState {
        let row = &mut self.nodes[registration.0];
        if row.state == NodeState::Active {
            row.renewal = renewal;
        }
        row.state
    }

    /// Only an active node acknowledges, and only what is part of this history.
    pub(super) fn acknowledge(&mut self, registration: Registration, position: Position) {
        let is_known = self.holds(position);
        let row = &mut self.nodes[registration.0];
        if row.state == NodeState::Active && is_known {
            row.acknowledged = position.sequence.max(row.acknowledged);
        }
    }

    pub(super) fn rows(&self) -> Vec<NodeRow> {
        let row = |(id, row): (usize, &Row)| NodeRow {
            id: NodeId(id as u128),
            state: row.state,
            acknowledged: row.acknowledged,
            renewal: row.renewal,
        };
        self.nodes.iter().enumerate().map(row).collect()
    }

    pub(super) fn registered(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn fence(&mut self, row: usize) {
        if self.nodes[row].state == NodeState::Active {
            self.nodes[row].state = NodeState::Fencing;
        }
    }

    /// Without `compares_renewal`, a row that was renewed since becomes gone, too.
    pub(super) fn depart(&mut self, departure: Departure, compares_renewal: bool) {
        let row = &mut self.nodes[departure.node.0 as usize];
        if row.state == departure.state && (row.renewal == departure.renewal || !compares_renewal) {
            row.state = NodeState::Gone;
        }
    }

    /// The marks of renewals, in the order of the rows.
    pub(super) fn renewals(&mut self) -> impl Iterator<Item = &mut Mark> {
        self.nodes.iter_mut().map(|row| &mut row.renewal)
    }

    pub(super) fn revoke(&mut self, token: usize, position: Position) {
        self.revoked[token] = true;
        self.changes.push((position, token));
    }

    pub(super) fn latest(&self) -> Position {
        self.changes.last().expect("a beginning").0
    }

    pub(super) fn holds(&self, position: Position) -> bool {
        self.changes.iter().any(|(held, _)| *held == position)
    }

    pub(super) fn read_changes(&self, from: Option<Position>) -> Reading<usize> {
        let from = from.map_or(i64::MAX, |position| position.sequence);
        let changes = self.changes.iter().filter(|(position, _)| position.sequence >= from).copied().collect();
        Reading { latest: self.latest(), changes }
    }
}
