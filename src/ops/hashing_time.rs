//! How long a password takes to hash on this machine.

use std::time::{Duration, Instant};

use super::{Error, state::passwords::Passwords};
use crate::{config, domain::account::Password};

/// The time of one hash with these settings. It computes two: the first one also allocates the memory.
pub fn of_one_password(settings: &config::Passwords) -> Result<Duration, Error> {
    let passwords = Passwords::new(settings, &[0; blake3::KEY_LEN])?;
    let password = Password::parse("a password of nobody").map_err(|error| Error::Internal(error.to_string()))?;
    passwords.hash_now(&password)?;
    let begun = Instant::now();
    passwords.hash_now(&password)?;
    Ok(begun.elapsed())
}
