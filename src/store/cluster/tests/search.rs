//! An exhaustive search through the states of a model.

use std::{
    collections::{HashSet, VecDeque},
    fmt::Debug,
    hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState},
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
    let key = RandomState::new().hash_one(());
    let fingerprint = |state: &M::State| {
        let mut fingerprint = Fingerprint(key);
        state.hash(&mut fingerprint);
        fingerprint.finish()
    };
    let first = model.initial();
    let mut seen = HashSet::<u64, BuildHasherDefault<Fingerprint>>::from_iter([fingerprint(&first)]);
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

/// A hash of the numbers that a state consists of. That of the standard library works on bytes: without optimisation, half of
/// the time of a search would be spent there.
#[derive(Default)]
struct Fingerprint(u64);

impl Fingerprint {
    fn mix(&mut self, number: u64) {
        let product = u128::from(self.0 ^ number) * 0x9E37_79B9_7F4A_7C15;
        self.0 = (product as u64) ^ (product >> 64) as u64;
    }
}

impl Hasher for Fingerprint {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.mix(u64::from(*byte)));
    }

    fn write_u8(&mut self, number: u8) {
        self.mix(u64::from(number));
    }

    fn write_u32(&mut self, number: u32) {
        self.mix(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.mix(number);
    }

    fn write_usize(&mut self, number: usize) {
        self.mix(number as u64);
    }

    fn write_u128(&mut self, number: u128) {
        self.mix(number as u64);
        self.mix((number >> 64) as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
