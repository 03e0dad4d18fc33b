//! Dummy parameters: checking the password of an unknown account takes as long as that of a known one.
//!
//! Stored hashes keep their parameters when the settings change, so accounts differ in how long a check takes. Unknown
//! accounts must differ in the same way. So they get the parameters of stored hashes, each as often as stored hashes have
//! it, and one address always gets the same.

use std::sync::{PoisonError, RwLock};

use argon2::{Params, password_hash::phc};

use crate::domain::account::{Email, HashParameters};

/// Selects the parameters for unknown accounts.
pub(super) struct DummyParameters {
    configured: Params,
    distribution: RwLock<Distribution>,
}

struct Distribution {
    /// Without it, the parameters of an address cannot be predicted.
    key: [u8; blake3::KEY_LEN],
    shares: Vec<(Params, u64)>,
}

impl DummyParameters {
    /// Every account gets the configured parameters until [`Self::learn`] is called.
    pub(super) fn new(configured: Params, key: [u8; blake3::KEY_LEN]) -> Self {
        Self { configured, distribution: RwLock::new(Distribution { key, shares: Vec::new() }) }
    }

    /// Sets the stored key, so that an address gets the same parameters after a restart.
    pub(super) fn use_key(&self, key: &[u8; blake3::KEY_LEN]) {
        let mut distribution = self.distribution.write().unwrap_or_else(PoisonError::into_inner);
        distribution.key = blake3::derive_key("patd parameters of unknown accounts v1", key);
    }

    /// Sets the parameters of the stored hashes and how many hashes have them.
    pub(super) fn learn(&self, counted: &[(HashParameters, u64)]) {
        let mut shares: Vec<(Params, u64)> = counted
            .iter()
            .filter_map(|(parameters, count)| Some((parse(parameters)?, *count)))
            .filter(|(_, count)| *count > 0)
            .collect();
        // The configured parameters are last. When hashes are renewed, an unknown address changes to them once, like a known
        // one.
        shares
            .sort_by_key(|(params, _)| (*params == self.configured, params.m_cost(), params.t_cost(), params.p_cost()));
        self.distribution.write().unwrap_or_else(PoisonError::into_inner).shares = shares;
    }

    /// The parameters for an address without an account.
    pub(super) fn of(&self, email: &Email) -> Params {
        let distribution = self.distribution.read().unwrap_or_else(PoisonError::into_inner);
        let hash = blake3::keyed_hash(&distribution.key, email.canonical().as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&hash.as_bytes()[..8]);
        let total: u64 = distribution.shares.iter().map(|(_, count)| count).sum();
        // A number below the total, evenly distributed over all addresses.
        let point = u64::try_from((u128::from(u64::from_be_bytes(first)) * u128::from(total)) >> 64).unwrap_or(0);
        let mut end = 0;
        let share = distribution.shares.iter().find(|(_, count)| {
            end += count;
            point < end
        });
        share.map_or_else(|| self.configured.clone(), |(params, _)| params.clone())
    }
}

/// The parameters with the output length of this program's hashes.
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
    fn unknown_addresses_get_stored_parameters_as_often_as_known_ones_have_them() {
        let dummies = DummyParameters::new(params(8), [7; 32]);
        assert!((0..100).all(|n| memory_of(&dummies, n) == 8), "before anything is learned");
        dummies.learn(&[(stored(8), 300), (stored(64), 600), (stored(32), 100)]);
        let drawn: Vec<u32> = (0..10_000).map(|n| memory_of(&dummies, n)).collect();
        for (memory, expected) in [(8, 3000), (64, 6000), (32, 1000)] {
            let count = drawn.iter().filter(|drawn| **drawn == memory).count();
            assert!(count.abs_diff(expected) < 300, "{count} of 10,000 get {memory} KiB");
        }
        assert_eq!(drawn, (0..10_000).map(|n| memory_of(&dummies, n)).collect::<Vec<_>>(), "always the same");
        let spelling = Email::parse("NOBODY1@Example.COM").unwrap();
        assert_eq!(dummies.of(&spelling).m_cost(), drawn[1], "the same for every spelling");
    }

    #[test]
    fn an_unknown_address_changes_to_the_configured_parameters_once() {
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
    fn an_unreadable_hash_is_ignored() {
        let dummies = DummyParameters::new(params(8), [7; 32]);
        let rubbish = ["$argon2id$", "", "$argon2id$v=19$m=1,t=0,p=1$a$b"]
            .map(|text| (crate::domain::account::PasswordHash::new(text.into()).parameters(), 5));
        dummies.learn(&rubbish);
        assert_eq!(memory_of(&dummies, 1), 8);
    }

    #[test]
    fn the_parameters_of_an_address_depend_on_the_key() {
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
