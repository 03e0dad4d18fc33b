//! Judging, hashing and checking passwords, off the threads that answer requests and never more at once than allowed.

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc},
};
use tokio::sync::Semaphore;

use super::{Error, Violation};
use crate::{
    config,
    domain::account::{Password, PasswordHash},
};

/// A new password that falls within this many guesses (as a power of ten) is among the commonest, or a mere
/// repetition, run or keyboard walk. It is a bound on guessing, not a rule of composition.
const TOO_EASY_LOG10: f64 = 6.0;

/// How much of a password is judged. The estimate tries every way of reading digits and signs as letters, so what it
/// costs grows steeply with the length; at this one it costs at the worst about as much as a hash.
const JUDGED_CHARS: usize = 32;

/// Hashes passwords with argon2id, at most so many at once.
pub(super) struct Passwords {
    argon: Argon2<'static>,
    min_length: usize,
    permits: Arc<Semaphore>,
    /// What a sign-in of nobody is checked against, so that it does the same work as any other.
    nobody: PasswordHash,
}

/// The outcome of checking a password.
pub(super) struct Checked {
    /// Whether it is the one.
    pub(super) matches: bool,
    /// The same password hashed anew, where it matched a hash with other parameters than today's.
    pub(super) rehashed: Option<PasswordHash>,
}

impl Passwords {
    pub(super) fn new(settings: &config::Passwords) -> Result<Self, Error> {
        let params =
            Params::new(settings.memory_kib, settings.iterations, settings.lanes, Some(Params::DEFAULT_OUTPUT_LEN))
                .map_err(defect)?;
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        Ok(Self {
            nobody: unknown_password(&argon)?,
            argon,
            min_length: settings.min_length,
            permits: Arc::new(Semaphore::new(settings.concurrent_hashes)),
        })
    }

    /// Hashes a new password, once it is judged good enough. `words` are what a guesser would know of its owner.
    pub(super) async fn hash_new(
        &self,
        field: &'static str,
        password: Password,
        words: Vec<String>,
    ) -> Result<PasswordHash, Error> {
        let length = password.expose().chars().count();
        if length < self.min_length {
            let message = format!("must be at least {} characters.", self.min_length);
            return Err(Violation::new(field, message).into());
        }
        self.blocking(move |argon| {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let judged: String = password.expose().chars().take(JUDGED_CHARS).collect();
            if zxcvbn::zxcvbn(&judged, &words).guesses_log10() < TOO_EASY_LOG10 {
                return Err(
                    Violation::new(field, "is among the first that anybody would guess. Choose another.").into()
                );
            }
            hash(argon, &password)
        })
        .await
    }

    /// Checks a password against the hash of a user, or of nobody, with the same work.
    pub(super) async fn check(&self, password: Arc<Password>, stored: Option<&PasswordHash>) -> Result<Checked, Error> {
        let known = stored.is_some();
        let stored = stored.unwrap_or(&self.nobody).clone();
        self.blocking(move |argon| {
            let parsed = phc::PasswordHash::new(stored.expose()).map_err(defect)?;
            // Always the whole work: a short cut for nobody would tell which addresses are somebody's.
            let verified = verify(argon, &password, &parsed);
            let matches = known && verified;
            let outdated = Params::try_from(&parsed).map_err(defect)? != *argon.params();
            let rehashed = (matches && outdated).then(|| hash(argon, &password)).transpose()?;
            Ok(Checked { matches, rehashed })
        })
        .await
    }

    /// The permit goes along with the work: a caller who stops waiting does not make room before the work has ended.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Argon2<'static>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().map_err(|_| Error::Busy)?;
        let argon = self.argon.clone();
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work(&argon)
        });
        task.await.map_err(|panic| Error::Internal(format!("password work failed: {panic}")))?
    }
}

fn verify(argon: &Argon2<'static>, password: &Password, stored: &phc::PasswordHash) -> bool {
    #[cfg(test)]
    tests::VERIFIED.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    argon.verify_password(password.expose().as_bytes(), stored).is_ok()
}

fn hash(argon: &Argon2<'static>, password: &Password) -> Result<PasswordHash, Error> {
    let hashed = argon.hash_password(password.expose().as_bytes()).map_err(defect)?;
    Ok(PasswordHash::new(hashed.to_string()))
}

/// A hash with today's parameters that no known password has: its salt and its output are random.
fn unknown_password(argon: &Argon2<'static>) -> Result<PasswordHash, Error> {
    let mut salt = [0_u8; 16];
    let mut output = [0_u8; Params::DEFAULT_OUTPUT_LEN];
    getrandom::fill(&mut salt)?;
    getrandom::fill(&mut output)?;
    let hash = phc::PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: argon.params().try_into().map_err(defect)?,
        salt: Some(phc::Salt::new(&salt).map_err(defect)?),
        hash: Some(phc::Output::new(&output).map_err(defect)?),
    };
    Ok(PasswordHash::new(hash.to_string()))
}

fn defect(error: impl std::fmt::Display) -> Error {
    Error::Internal(format!("argon2: {error}"))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// How often a password was verified in this process; this test alone does so.
    pub(super) static VERIFIED: AtomicUsize = AtomicUsize::new(0);

    #[test]
    fn nobody_takes_the_same_work_as_somebody() {
        let mut settings = config::Config::load(config::Sources::default()).unwrap().passwords;
        (settings.memory_kib, settings.iterations) = (8, 1);
        let passwords = Passwords::new(&settings).unwrap();
        let password = || Arc::new(Password::parse("correct horse battery staple").unwrap());
        let stored = hash(&passwords.argon, &password()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for (stored, matches) in [(Some(&stored), true), (None, false)] {
            let before = VERIFIED.load(Ordering::SeqCst);
            let checked = runtime.block_on(passwords.check(password(), stored)).map_err(|error| error.to_string());
            assert_eq!(checked.unwrap().matches, matches);
            assert_eq!(VERIFIED.load(Ordering::SeqCst), before + 1);
        }
    }
}
