//! Judging, hashing and checking passwords, off the threads that answer requests and never more at once than allowed.
//!
//! [`slots`] owns the queue and the threads, [`buffers`] the memory of a hash, [`dummy`] what an unknown account is
//! checked against.

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

/// A new password that falls within this many guesses (as a power of ten) is among the commonest, or a mere
/// repetition, run or keyboard walk. It is a bound on guessing, not a rule of composition.
const TOO_EASY_LOG10: f64 = 6.0;

/// How much of a password is judged. The estimate tries every way of reading digits and signs as letters, so what it
/// costs grows steeply with the length; at this one it costs at the worst about as much as a hash.
const JUDGED_CHARS: usize = 32;

/// Hashes passwords with argon2id, at most so many at once.
pub(in crate::ops) struct Passwords {
    slots: Slots,
    hasher: Arc<Hasher>,
    dummies: DummyParameters,
    min_length: usize,
}

/// What a password is checked against.
pub(in crate::ops) enum Against<'a> {
    /// The hash of a user.
    Stored(&'a PasswordHash),
    /// Nothing, with the work that the hash of a user with this address might take.
    UnknownAccount(&'a Email),
}

/// The outcome of checking a password.
pub(in crate::ops) struct Checked {
    /// Whether it is the one.
    pub(in crate::ops) matches: bool,
    /// The same password hashed anew, where it matched a hash with other parameters than today's.
    pub(in crate::ops) rehashed: Option<PasswordHash>,
}

impl Passwords {
    /// The parameters of unknown accounts are drawn by `key` until another is named.
    pub(in crate::ops) fn new(settings: &config::Passwords, key: &[u8; blake3::KEY_LEN]) -> Result<Self, Error> {
        let today =
            Params::new(settings.memory_kib, settings.iterations, settings.lanes, Some(Params::DEFAULT_OUTPUT_LEN))
                .map_err(defect)?;
        Ok(Self {
            slots: Slots::new(settings.concurrent_hashes, settings.max_wait),
            hasher: Arc::new(Hasher { today: today.clone(), buffers: BufferPool::default() }),
            dummies: DummyParameters::new(today, *key),
            min_length: settings.min_length,
        })
    }

    /// Starts the threads that passwords are worked on, which a server does before it answers anybody.
    pub(in crate::ops) fn start(&self) -> Result<(), Error> {
        self.slots.start().map(drop)
    }

    /// Waits for a slot to work on one password. [`Error::Busy`].
    pub(in crate::ops) async fn acquire_slot(&self) -> Result<Slot, Error> {
        self.slots.acquire().await
    }

    /// Learns how many stored hashes were made with which parameters.
    pub(in crate::ops) fn learn(&self, counted: &[(HashParameters, u64)]) {
        self.dummies.learn(counted);
    }

    /// Draws the parameters of unknown accounts by this key from now on.
    pub(in crate::ops) fn use_key(&self, key: &[u8; blake3::KEY_LEN]) {
        self.dummies.use_key(key);
    }

    /// Refuses a new password that is too short, which takes no work.
    pub(in crate::ops) fn expect_length(&self, field: &'static str, password: &Password) -> Result<(), Error> {
        if password.expose().chars().count() < self.min_length {
            let message = format!("must be at least {} characters.", self.min_length);
            return Err(FieldError::new(field, message).into());
        }
        Ok(())
    }

    /// Hashes a new password, once it is judged good enough. `words` are what a guesser would know of its owner.
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

    /// Checks a password, always with the whole work: a short cut for nobody would tell which addresses are somebody's.
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

    /// Whether a password is the one of a stored hash.
    pub(in crate::ops) async fn confirm(
        &self,
        slot: Slot,
        current: Password,
        stored: &PasswordHash,
    ) -> Result<bool, Error> {
        let (hasher, stored) = (Arc::clone(&self.hasher), stored.clone());
        slot.run(move || hasher.verify(&current, &stored)).await
    }

    /// Hashes a new password if `current` is the old one; else `None`. Both take one slot, so that what was checked is
    /// not refused for want of another.
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

/// The work itself, on whatever thread.
struct Hasher {
    /// The parameters of new hashes.
    today: Params,
    buffers: BufferPool,
}

impl Hasher {
    fn check(&self, password: &Password, stored: &PasswordHash) -> Result<Checked, Error> {
        let matches = self.verify(password, stored)?;
        let outdated = || {
            let parsed = phc::PasswordHash::new(stored.expose()).map_err(defect)?;
            Ok::<_, Error>(Params::try_from(&parsed).map_err(defect)? != self.today)
        };
        let rehashed = (matches && outdated()?).then(|| self.hash(password)).transpose()?;
        Ok(Checked { matches, rehashed })
    }

    /// What no password matches, since it is random.
    fn check_unknown(&self, password: &Password, params: Params) -> Result<Checked, Error> {
        let mut salt = [0_u8; 16];
        getrandom::fill(&mut salt)?;
        self.compute(Algorithm::Argon2id, Version::V0x13, params, password, &salt)?;
        Ok(Checked { matches: false, rehashed: None })
    }

    /// Whether the password is the one. What keeps it from being computed is an error and not a wrong password.
    fn verify(&self, password: &Password, stored: &PasswordHash) -> Result<bool, Error> {
        let parsed = phc::PasswordHash::new(stored.expose()).map_err(defect)?;
        let (Some(salt), Some(expected)) = (&parsed.salt, &parsed.hash) else {
            return Err(defect("a stored hash has no salt or no output"));
        };
        let algorithm = Algorithm::try_from(parsed.algorithm.as_str()).map_err(defect)?;
        let version = parsed.version.map_or(Ok(Version::default()), Version::try_from).map_err(defect)?;
        let params = Params::try_from(&parsed).map_err(defect)?;
        // Outputs are compared in constant time.
        Ok(self.compute(algorithm, version, params, password, salt)? == *expected)
    }

    fn hash_new(&self, field: &'static str, password: &Password, words: &[String]) -> Result<PasswordHash, Error> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let judged: String = password.expose().chars().take(JUDGED_CHARS).collect();
        if zxcvbn::zxcvbn(&judged, &words).guesses_log10() < TOO_EASY_LOG10 {
            return Err(FieldError::new(field, "is among the first that anybody would guess. Choose another.").into());
        }
        self.hash(password)
    }

    fn hash(&self, password: &Password) -> Result<PasswordHash, Error> {
        let (algorithm, version) = (Algorithm::Argon2id, Version::V0x13);
        let mut salt = [0_u8; argon2::RECOMMENDED_SALT_LEN];
        getrandom::fill(&mut salt)?;
        let output = self.compute(algorithm, version, self.today.clone(), password, &salt)?;
        let hash = phc::PasswordHash {
            algorithm: algorithm.ident(),
            version: Some(version.into()),
            params: ParamsString::try_from(&self.today).map_err(defect)?,
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
        /// BufferPool, passes and lanes of each hash that was computed on this thread.
        pub(super) static COMPUTED: RefCell<Vec<(u32, u32, u32)>> = const { RefCell::new(Vec::new()) };
    }

    fn hasher(memory_kib: u32) -> Hasher {
        let today = Params::new(memory_kib, 1, 1, Some(Params::DEFAULT_OUTPUT_LEN)).unwrap();
        Hasher { today, buffers: BufferPool::default() }
    }

    fn password() -> Password {
        Password::parse("correct horse battery staple").unwrap()
    }

    fn computed() -> Vec<(u32, u32, u32)> {
        COMPUTED.with_borrow_mut(std::mem::take)
    }

    #[test]
    fn nobody_takes_the_same_work_as_somebody() {
        let (old, hasher) = (hasher(16), hasher(8));
        let stored = old.hash(&password()).unwrap();
        computed();
        assert!(!hasher.check(&Password::parse("wrong").unwrap(), &stored).unwrap().matches);
        let of_somebody = computed();
        let dummies = DummyParameters::new(hasher.today.clone(), [1; 32]);
        dummies.learn(&[(stored.parameters(), 1)]);
        let params = dummies.of(&Email::parse("nobody@example.com").unwrap());
        assert!(!hasher.check_unknown(&password(), params).unwrap().matches);
        assert_eq!(computed(), of_somebody);
        assert_eq!(of_somebody, [(16, 1, 1)]);
    }

    #[test]
    fn a_hash_is_read_by_any_argon2_and_any_argon2_by_this() {
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
    fn a_hash_that_cannot_be_read_is_a_defect_and_no_wrong_password() {
        for rubbish in ["", "$argon2id$", "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ"] {
            let checked =
                hasher(8).check(&password(), &PasswordHash::new(rubbish.into())).map(|checked| checked.matches);
            assert!(matches!(checked, Err(Error::Internal(_))), "{rubbish}");
        }
    }
}
