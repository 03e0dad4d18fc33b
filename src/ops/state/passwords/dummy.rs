//! What the password of an unknown account is checked against, so that it takes as long as that of a known one.
//!
//! Stored hashes keep the parameters that they were made with. After the settings change, accounts differ in how long
//! their hashes take, and an unknown account must differ in the same way: it takes the parameters that stored hashes
//! have, each as often as they have it, and one address always the same ones.

use std::sync::{PoisonError, RwLock};

use argon2::{Params, password_hash::phc};

use crate::domain::account::{Email, HashParameters};

/// Which parameters stand in for those of unknown accounts.
pub(super) struct DummyParameters {
    today: Params,
    drawn: RwLock<Drawn>,
}

struct Drawn {
    /// Without it, nobody can tell which address takes which parameters.
    key: [u8; blake3::KEY_LEN],
    shares: Vec<(Params, u64)>,
}

impl DummyParameters {
    /// Today's parameters for everybody, until more is learned.
    pub(super) fn new(today: Params, key: [u8; blake3::KEY_LEN]) -> Self {
        Self { today, drawn: RwLock::new(Drawn { key, shares: Vec::new() }) }
    }

    /// Takes another key: the one that is stored, so that an address takes as long after a restart.
    pub(super) fn use_key(&self, key: &[u8; blake3::KEY_LEN]) {
        let mut drawn = self.drawn.write().unwrap_or_else(PoisonError::into_inner);
        drawn.key = blake3::derive_key("patd parameters of unknown accounts v1", key);
    }

    /// Learns how many stored hashes were made with which parameters.
    pub(super) fn learn(&self, counted: &[(HashParameters, u64)]) {
        let mut shares: Vec<(Params, u64)> = counted
            .iter()
            .filter_map(|(parameters, count)| Some((parse(parameters)?, *count)))
            .filter(|(_, count)| *count > 0)
            .collect();
        // Today's come last. As hashes are renewed, an unknown address moves on to today's once, like a known one.
        shares.sort_by_key(|(params, _)| (*params == self.today, params.m_cost(), params.t_cost(), params.p_cost()));
        self.drawn.write().unwrap_or_else(PoisonError::into_inner).shares = shares;
    }

    /// The parameters for an address that is nobody's.
    pub(super) fn of(&self, email: &Email) -> Params {
        let drawn = self.drawn.read().unwrap_or_else(PoisonError::into_inner);
        let hash = blake3::keyed_hash(&drawn.key, email.canonical().as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&hash.as_bytes()[..8]);
        let total: u64 = drawn.shares.iter().map(|(_, count)| count).sum();
        // A point between 0 and the total, evenly distributed over the addresses.
        let point = u64::try_from((u128::from(u64::from_be_bytes(first)) * u128::from(total)) >> 64).unwrap_or(0);
        let mut end = 0;
        let share = drawn.shares.iter().find(|(_, count)| {
            end += count;
            point < end
        });
        share.map_or_else(|| self.today.clone(), |(params, _)| params.clone())
    }
}

/// With the output length that every hash of ours has.
fn parse(parameters: &HashParameters) -> Option<Params> {
    let parsed = phc::PasswordHash::new(parameters.as_str()).ok()?;
    let params = Params::try_from(&parsed).ok()?;
    Params::new(params.m_cost(), params.t_cost(), params.p_cost(), Some(Params::DEFAULT_OUTPUT_LEN)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(memory_kib: u32) -> Params {
        Params::new(memory_kib, 1, 1, Some(Params::DEFAULT_OUTPUT_LEN)).unwrap()
    }

    fn stored(memory_kib: u32) -> HashParameters {
        let hash = format!("$argon2id$v=19$m={memory_kib},t=1,p=1$c2FsdHNhbHQ$b3V0cHV0");
        crate::domain::account::PasswordHash::new(hash).parameters()
    }

    fn memory_of(dummies: &DummyParameters, n: usize) -> u32 {
        dummies.of(&Email::parse(&format!("nobody{n}@example.com")).unwrap()).m_cost()
    }

    #[test]
    fn unknown_addresses_take_the_stored_parameters_as_often_as_known_ones() {
        let dummies = DummyParameters::new(params(8), [7; 32]);
        assert!((0..100).all(|n| memory_of(&dummies, n) == 8), "nothing is known yet");
        dummies.learn(&[(stored(8), 300), (stored(64), 600), (stored(32), 100)]);
        let drawn: Vec<u32> = (0..10_000).map(|n| memory_of(&dummies, n)).collect();
        for (memory, expected) in [(8, 3000), (64, 6000), (32, 1000)] {
            let count = drawn.iter().filter(|drawn| **drawn == memory).count();
            assert!(count.abs_diff(expected) < 300, "{count} of 10,000 take {memory} KiB");
        }
        assert_eq!(drawn, (0..10_000).map(|n| memory_of(&dummies, n)).collect::<Vec<_>>(), "always the same");
        let spelling = Email::parse("NOBODY1@Example.COM").unwrap();
        assert_eq!(dummies.of(&spelling).m_cost(), drawn[1], "in every spelling");
    }

    #[test]
    fn an_unknown_address_moves_on_to_todays_parameters_once_like_a_known_one() {
        let dummies = DummyParameters::new(params(8), [7; 32]);
        let mut before = vec![64; 1000];
        for renewed in (0..=100).step_by(10) {
            dummies.learn(&[(stored(8), renewed), (stored(64), 100 - renewed)]);
            let now: Vec<u32> = (0..1000).map(|n| memory_of(&dummies, n)).collect();
            assert!(before.iter().zip(&now).all(|(before, now)| before == now || *now == 8));
            before = now;
        }
        assert!(before.iter().all(|memory| *memory == 8));
    }

    #[test]
    fn a_hash_that_cannot_be_read_stands_in_for_nobody() {
        let dummies = DummyParameters::new(params(8), [7; 32]);
        let rubbish = ["$argon2id$", "", "$argon2id$v=19$m=1,t=0,p=1$a$b"]
            .map(|text| (crate::domain::account::PasswordHash::new(text.into()).parameters(), 5));
        dummies.learn(&rubbish);
        assert_eq!(memory_of(&dummies, 1), 8);
    }

    #[test]
    fn who_takes_which_parameters_depends_on_the_key() {
        let dummies = DummyParameters::new(params(8), [7; 32]);
        dummies.learn(&[(stored(8), 1), (stored(64), 1)]);
        let with = |key: [u8; 32]| {
            dummies.use_key(&key);
            (0..100).map(|n| memory_of(&dummies, n)).collect::<Vec<_>>()
        };
        assert_ne!(with([1; 32]), with([2; 32]));
        assert_eq!(with([1; 32]), with([1; 32]));
    }
}
