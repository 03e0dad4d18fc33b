//! Random passwords.

use crate::cli::failure::Failure;

/// The minimum length of the generated passwords: 24 hexadecimal digits are 96 bits.
const PASSWORD_LENGTH: usize = 24;

/// Random, because other users of the machine can connect to the server.
pub(super) fn random_password(min_length: usize) -> Result<String, Failure> {
    let mut random = [0_u8; 64];
    getrandom::fill(&mut random).map_err(|error| Failure::Defect(format!("no randomness: {error}")))?;
    let mut digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.truncate(min_length.max(PASSWORD_LENGTH));
    Ok(digits)
}
