//! Hashes and checks passwords on threads of their own, with a limit on how many at once.
//!
//! [`slots`] holds the queue and the threads, [`buffers`] the memory for hashing, and [`dummy`] the parameters for unknown
//! accounts.

mod buffers;
mod dummy;
mod slots;

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{self, Output, ParamsString, Salt},
};

pub(in crate::ops) use self::slots::Slot;
use self::{
    buffers::{BufferPool, OutOfMemory},
    dummy::DummyParameters,
    slots::Slots,
};
use crate::{
    config,
    domain::account::{Email, HashParameters, Password, PasswordHash},
    ops::error::{Error, FieldError},
};

/// A new password that can be guessed with fewer guesses (as a power of ten) is refused: it is a common password, or a
/// repetition, sequence or keyboard pattern. There are no rules on which characters a password must have.
const MIN_GUESSES_LOG10: f64 = 6.0;

/// How many characters of a password are examined. The cost of the estimate grows steeply with the length. With this many
/// it is at most about the cost of a hash.
const EXAMINED_CHARS: usize = 32;

/// Hashes passwords with argon2id.
#[derive(Clone)]
pub(in crate::ops) struct Passwords {
    slots: Arc<Slots>,
    hasher: Arc<Hasher>,
    dummies: Arc<DummyParameters>,
    min_length: usize,
}

/// What a password is checked against.
pub(in crate::ops) enum Against<'a> {
    /// The hash of a user.
    Stored(&'a PasswordHash),
    /// Nothing. The work is that of a hash which an account with this address might have.
    UnknownAccount(&'a Email),
}

/// The outcome of checking a password.
pub(in crate::ops) struct Checked {
    /// Whether the password is correct.
    pub(in crate::ops) matches: bool,
    /// A new hash of the password, if it is correct and the stored hash has other parameters than the configured ones.
    pub(in crate::ops) rehashed: Option<PasswordHash>,
}

impl Passwords {
    /// `key` selects the parameters of unknown accounts until [`Self::use_key`] sets another.
    pub(in crate::ops) fn new(settings: &config::Passwords, key: &[u8; blake3::KEY_LEN]) -> Result<Self, Error> {
        let configured =
            Params::new(settings.memory_kib, settings.iterations, settings.lanes, Some(Params::DEFAULT_OUTPUT_LEN))
                .map_err(defect)?;
        Ok(Self {
            slots: Arc::new(Slots::new(settings.concurrent_hashes, settings.max_wait)),
            hasher: Arc::new(Hasher { configured: configured.clone(), buffers: BufferPool::default() }),
            dummies: Arc::new(DummyParameters::new(configured, *key)),
            min_length: settings.min_length,
        })
    }

    /// The minimum length of new passwords.
    pub(in crate::ops) const fn min_length(&self) -> usize {
        self.min_length
    }

    /// The same with another minimum length of new passwords.
    pub(in crate::ops) fn with_min_length(&self, min_length: usize) -> Self {
        Self { min_length, ..self.clone() }
    }

    /// Hashes on this thread, without a slot.
    pub(in crate::ops) fn hash_now(&self, password: &Password) -> Result<PasswordHash, Error> {
        self.hasher.hash(password)
    }

    /// Starts the threads. A server does this before its first request.
    pub(in crate::ops) fn start(&self) -> Result<(), Error> {
        self.slots.start().map(drop)
    }

    /// Waits for a slot. Fails with [`Error::Busy`] if that takes too long.
    pub(in crate::ops) async fn acquire_slot(&self) -> Result<Slot, Error> {
        self.slots.acquire().await
    }

    /// How many passwords are being hashed.
    pub(in crate::ops) fn in_flight(&self) -> usize {
        self.slots.taken()
    }

    /// Sets the parameters of the stored hashes and how many hashes have them.
    pub(in crate::ops) fn learn(&self, counted: &[(HashParameters, u64)]) {
        self.dummies.learn(counted);
    }

    /// Sets the key that selects the parameters of unknown accounts.
    pub(in crate::ops) fn use_key(&self, key: &[u8; blake3::KEY_LEN]) {
        self.dummies.use_key(key);
    }

    /// Refuses a new password that is too short. This needs no slot.
    pub(in crate::ops) fn expect_length(&self, field: &'static str, password: &Password) -> Result<(), Error> {
        if password.expose().chars().count() < self.min_length {
            let message = format!("must be at least {} characters.", self.min_length);
            return Err(FieldError::new(field, message).into());
        }
        Ok(())
    }

    /// Hashes a new password, unless it is too easy to guess. `words` are what an attacker may know of its owner.
    pub(in crate::ops) async fn hash_new(
        &self,
        slot: Slot,
        field: &'static str,
        password: Password,
        words: Vec<String>,
    ) -> Result<PasswordHash, Error> {
        self.expect_length(field, &password)?;
        let hasher = Arc::clone(&self.hasher);
        slot.run(move || hasher.hash_new(field, &password, &words)).await
    }

    /// Checks a password. The work is the same for unknown accounts; otherwise the time would reveal which addresses have an
    /// account.
    pub(in crate::ops) async fn check(
        &self,
        slot: Slot,
        password: Arc<Password>,
        against: Against<'_>,
    ) -> Result<Checked, Error> {
        let hasher = Arc::clone(&self.hasher);
        match against {
            Against::Stored(stored) => {
                let stored = stored.clone();
                slot.run(move || hasher.check(&password, &stored)).await
            }
            Against::UnknownAccount(email) => {
                let params = self.dummies.of(email);
                slot.run(move || hasher.check_unknown(&password, params)).await
            }
        }
    }

    /// Whether a password matches a stored hash.
    pub(in crate::ops) async fn confirm(
        &self,
        slot: Slot,
        current: Password,
        stored: &PasswordHash,
    ) -> Result<bool, Error> {
        let (hasher, stored) = (Arc::clone(&self.hasher), stored.clone());
        slot.run(move || hasher.verify(&current, &stored)).await
    }

    /// Hashes a new password if `current` is correct, else returns `None`. Both use one slot, so that no second wait can fail
    /// after the check.
    pub(in crate::ops) async fn replace(
        &self,
        slot: Slot,
        current: Password,
        stored: &PasswordHash,
        new: Password,
        words: Vec<String>,
    ) -> Result<Option<PasswordHash>, Error> {
        const FIELD: &str = "password";
        let (hasher, stored) = (Arc::clone(&self.hasher), stored.clone());
        let is_long = self.expect_length(FIELD, &new);
        let work = move || match hasher.verify(&current, &stored)? {
            true => is_long.and_then(|()| hasher.hash_new(FIELD, &new, &words)).map(Some),
            false => Ok(None),
        };
        slot.run(work).await
    }
}

/// Computes hashes on the calling thread.
struct Hasher {
    /// The configured parameters, for new hashes.
    configured: Params,
    buffers: BufferPool,
}

impl Hasher {
    fn check(&self, password: &Password, stored: &PasswordHash) -> Result<Checked, Error> {
        let matches = self.verify(password, stored)?;
        let outdated = || {
            let parsed = phc::PasswordHash::new(stored.expose()).map_err(defect)?;
            Ok::<_, Error>(Params::try_from(&parsed).map_err(defect)? != self.configured)
        };
        let rehashed = (matches && outdated()?).then(|| self.hash(password)).transpose()?;
        Ok(Checked { matches, rehashed })
    }

    /// Hashes with a random salt and matches nothing.
    fn check_unknown(&self, password: &Password, params: Params) -> Result<Checked, Error> {
        let mut salt = [0_u8; 16];
        getrandom::fill(&mut salt)?;
        self.compute(Algorithm::Argon2id, Version::V0x13, params, password, &salt)?;
        Ok(Checked { matches: false, rehashed: None })
    }

    /// Whether the password is correct. A failure to compute the hash is an error, not a wrong password.
    fn verify(&self, password: &Password, stored: &PasswordHash) -> Result<bool, Error> {
        let parsed = phc::PasswordHash::new(stored.expose()).map_err(defect)?;
        let (Some(salt), Some(expected)) = (&parsed.salt, &parsed.hash) else {
            return Err(defect("a stored hash has no salt or no output"));
        };
        let algorithm = Algorithm::try_from(parsed.algorithm.as_str()).map_err(defect)?;
        let version = parsed.version.map_or(Ok(Version::default()), Version::try_from).map_err(defect)?;
        let params = Params::try_from(&parsed).map_err(defect)?;
        // This comparison takes constant time.
        Ok(self.compute(algorithm, version, params, password, salt)? == *expected)
    }

    fn hash_new(&self, field: &'static str, password: &Password, words: &[String]) -> Result<PasswordHash, Error> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let examined: String = password.expose().chars().take(EXAMINED_CHARS).collect();
        if zxcvbn::zxcvbn(&examined, &words).guesses_log10() < MIN_GUESSES_LOG10 {
            return Err(FieldError::new(field, "is among the first that anybody would guess. Choose another.").into());
        }
        self.hash(password)
    }

    fn hash(&self, password: &Password) -> Result<PasswordHash, Error> {
        let (algorithm, version) = (Algorithm::Argon2id, Version::V0x13);
        let mut salt = [0_u8; argon2::RECOMMENDED_SALT_LEN];
        getrandom::fill(&mut salt)?;
        let output = self.compute(algorithm, version, self.configured.clone(), password, &salt)?;
        let hash = phc::PasswordHash {
            algorithm: algorithm.ident(),
            version: Some(version.into()),
            params: ParamsString::try_from(&self.configured).map_err(defect)?,
            salt: Some(Salt::new(&salt).map_err(defect)?),
            hash: Some(output),
        };
        Ok(PasswordHash::new(hash.to_string()))
    }

    fn compute(
        &self,
        algorithm: Algorithm,
        version: Version,
        params: Params,
        password: &Password,
        salt: &[u8],
    ) -> Result<Output, Error> {
        #[cfg(test)]
        tests::COMPUTED.with_borrow_mut(|computed| computed.push((params.m_cost(), params.t_cost(), params.p_cost())));
        let (blocks, length) = (params.block_count(), params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN));
        let argon = Argon2::new(algorithm, version, params);
        let mut output = vec![0_u8; length];
        let password = password.expose().as_bytes();
        let compute = |memory: &mut [Block]| argon.hash_password_into_with_memory(password, salt, &mut output, memory);
        let computed = self.buffers.with(blocks, compute).map_err(|OutOfMemory| Error::Exhausted("memory"))?;
        computed.map_err(defect)?;
        Output::new(&output).map_err(defect)
    }
}

fn defect(error: impl std::fmt::Display) -> Error {
    Error::Internal(format!("argon2: {error}"))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    thread_local! {
        /// Memory, passes and lanes of each hash that was computed on this thread.
        pub(super) static COMPUTED: RefCell<Vec<(u32, u32, u32)>> = const { RefCell::new(Vec::new()) };
    }

    fn hasher(memory_kib: u32) -> Hasher {
        let configured = Params::new(memory_kib, 1, 1, Some(Params::DEFAULT_OUTPUT_LEN)).unwrap();
        Hasher { configured, buffers: BufferPool::default() }
    }

    fn password() -> Password {
        Password::parse("correct horse battery staple").unwrap()
    }

    fn computed() -> Vec<(u32, u32, u32)> {
        COMPUTED.with_borrow_mut(std::mem::take)
    }

    #[test]
    fn an_unknown_account_takes_the_same_work_as_a_known_one() {
        let (old, hasher) = (hasher(16), hasher(8));
        let stored = old.hash(&password()).unwrap();
        computed();
        assert!(!hasher.check(&Password::parse("wrong").unwrap(), &stored).unwrap().matches);
        let of_known = computed();
        let dummies = DummyParameters::new(hasher.configured.clone(), [1; 32]);
        dummies.learn(&[(stored.parameters(), 1)]);
        let params = dummies.of(&Email::parse("nobody@example.com").unwrap());
        assert!(!hasher.check_unknown(&password(), params).unwrap().matches);
        assert_eq!(computed(), of_known);
        assert_eq!(of_known, [(16, 1, 1)]);
    }

    #[test]
    fn hashes_are_compatible_with_the_argon2_crate_in_both_directions() {
        use argon2::password_hash::{PasswordHasher, PasswordVerifier};
        let theirs = Argon2::default();
        let ours = hasher(32).hash(&password()).unwrap();
        let parsed = phc::PasswordHash::new(ours.expose()).unwrap();
        assert!(theirs.verify_password(password().expose().as_bytes(), &parsed).is_ok());
        let their_hash = theirs.hash_password(password().expose().as_bytes()).unwrap();
        let their_hash = PasswordHash::new(their_hash.to_string());
        let checked = hasher(32).check(&password(), &their_hash).unwrap();
        assert!(checked.matches && checked.rehashed.is_some());
        assert!(!hasher(32).check(&Password::parse("wrong").unwrap(), &their_hash).unwrap().matches);
        let checked = hasher(32).check(&password(), &ours).unwrap();
        assert!(checked.matches && checked.rehashed.is_none());
    }

    #[test]
    fn an_unreadable_hash_is_a_defect_and_not_a_wrong_password() {
        for rubbish in ["", "$argon2id$", "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ"] {
            let checked =
                hasher(8).check(&password(), &PasswordHash::new(rubbish.into())).map(|checked| checked.matches);
            assert!(matches!(checked, Err(Error::Internal(_))), "{rubbish}");
        }
    }
}
