//! An exhaustive search through the states of a model.

use std::{
    collections::{HashSet, VecDeque},
    fmt::Debug,
    hash::{BuildHasher, Hash, RandomState},
};

/// A system of steps. From each state, all steps that are possible are taken.
pub(super) trait Model {
    type State: Clone + Hash;
    type Step: Copy + Debug;

    fn initial(&self) -> Self::State;
    /// The states that can be next. They must be in a form that is equal for states that behave alike.
    fn next(&self, state: &Self::State) -> Vec<(Self::Step, Self::State)>;
    /// What is wrong with a state.
    fn fault(&self, state: &Self::State) -> Option<String>;
}

/// What a search has found.
#[derive(Debug)]
pub(super) enum Outcome<S> {
    /// All states are sound. So many are there.
    Sound(usize),
    /// A shortest way to a faulty state.
    Faulty { fault: String, steps: Vec<S> },
}

/// Visits every state, in the order of its distance from the first one.
pub(super) fn search<M: Model>(model: &M) -> Outcome<M::Step> {
    // A hash of 64 bits stands for a state. The chance that any two of a million states collide is below 10^-7, and each
    // run hashes with another key.
    let hasher = RandomState::new();
    let fingerprint = |state: &M::State| hasher.hash_one(state);
    let first = model.initial();
    let mut seen = HashSet::from([fingerprint(&first)]);
    let mut ways: Vec<(usize, Option<M::Step>)> = vec![(0, None)];
    let mut waiting = VecDeque::from([(0, first)]);
    while let Some((at, state)) = waiting.pop_front() {
        if let Some(fault) = model.fault(&state) {
            return Outcome::Faulty { fault, steps: way_to(at, &ways) };
        }
        for (step, next) in model.next(&state) {
            if seen.insert(fingerprint(&next)) {
                waiting.push_back((ways.len(), next));
                ways.push((at, Some(step)));
            }
        }
    }
    Outcome::Sound(ways.len())
}

fn way_to<S: Copy>(mut at: usize, ways: &[(usize, Option<S>)]) -> Vec<S> {
    let mut steps = Vec::new();
    while let (before, Some(step)) = ways[at] {
        steps.push(step);
        at = before;
    }
    steps.reverse();
    steps
}
