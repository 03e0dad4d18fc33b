//! What a node forgets when it reads changes.

use crate::store::cluster::{Invalidation, Mark, Position, Reading};

fn at(sequence: i64, mark: u128) -> Position {
    Position { sequence, mark: Mark(mark) }
}

fn after(known: Option<Position>, latest: Position, changes: &[(Position, char)]) -> Invalidation<char> {
    Reading { latest, changes: changes.to_vec() }.invalidation_after(known)
}

#[test]
fn a_node_forgets_what_the_changes_after_its_position_name() {
    let changes = [(at(1, 1), 'a'), (at(2, 2), 'b'), (at(3, 3), 'c')];
    assert_eq!(after(Some(at(1, 1)), at(3, 3), &changes), Invalidation::These(vec!['b', 'c']));
    assert_eq!(after(Some(at(3, 3)), at(3, 3), &changes[2..]), Invalidation::These(vec![]));
    // The changes up to its position may have been deleted.
    assert_eq!(after(Some(at(3, 3)), at(3, 3), &[]), Invalidation::These(vec![]));
}

#[test]
fn a_node_forgets_everything_unless_its_position_is_part_of_an_unbroken_history() {
    let everything = |known, latest, changes: &[_]| assert_eq!(after(known, latest, changes), Invalidation::Everything);
    let changes = [(at(1, 1), 'a'), (at(2, 2), 'b'), (at(3, 3), 'c')];
    everything(None, at(3, 3), &changes);
    // The counter went backwards.
    everything(Some(at(4, 4)), at(3, 3), &[]);
    // Another history has grown to the same number, or beyond.
    everything(Some(at(3, 9)), at(3, 3), &changes[2..]);
    everything(Some(at(2, 9)), at(3, 3), &changes[1..]);
    // Its next change was deleted, one is missing, or the latest one is.
    everything(Some(at(1, 1)), at(3, 3), &changes[1..]);
    everything(Some(at(1, 1)), at(3, 3), &[changes[0], changes[2]]);
    everything(Some(at(1, 1)), at(3, 3), &changes[..2]);
}
