//! Users and their passwords.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use unicode_normalization::UnicodeNormalization;

use super::{
    id::{EnvironmentId, UserId},
    text::{self, Hidden, Name},
    time::Timestamp,
};

/// A person with an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The id.
    pub id: UserId,
    /// The name.
    pub name: Name,
    /// The e-mail address for sign-in.
    pub email: Email,
    /// When the account was created.
    pub created_at: Timestamp,
    /// Since when the account is disabled.
    pub disabled_at: Option<Timestamp>,
    /// The environment that the user has selected.
    pub current_environment: EnvironmentId,
    /// What the user may do on this server.
    pub role: Role,
}

/// What a user may do on this server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Manage what is theirs.
    #[default]
    Member,
    /// Manage everything.
    Admin,
}

/// The text is not a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be member or admin.")]
pub struct ParseRoleError;

impl Role {
    /// Parses the name.
    pub fn parse(text: &str) -> Result<Self, ParseRoleError> {
        match text {
            "member" => Ok(Self::Member),
            "admin" => Ok(Self::Admin),
            _ => Err(ParseRoleError),
        }
    }

    /// The name in the API and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
        }
    }
}

/// An e-mail address. It is kept as written and compared in its canonical form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    written: String,
    canonical: String,
}

/// Why a text is not an [`Email`]. The message reads on from "The email field …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseEmailError {
    /// Empty after trimming.
    #[error("is required.")]
    Empty,
    /// More than 254 bytes (RFC 5321, section 4.5.3.1.3, less the brackets).
    #[error("must not be greater than 254 bytes.")]
    TooLong,
    /// Not of the form `local@host`.
    #[error("must be a valid email address.")]
    Malformed,
    /// It contains this hidden character, which can make two addresses look the same.
    #[error("must not contain {0}. Type the address again without it.")]
    Hidden(Hidden),
}

impl Email {
    const MAX_BYTES: usize = 254;

    /// Trims `text` and checks its form. Only a message could prove that the address exists.
    pub fn parse(text: &str) -> Result<Self, ParseEmailError> {
        let email = Self::parse_stored(text)?;
        match text::hidden_character(&email.written) {
            Some(hidden) => Err(ParseEmailError::Hidden(hidden)),
            None => Ok(email),
        }
    }

    /// The same for an address that may be stored already. Earlier releases accepted hidden characters, and users with such
    /// an address must still be able to sign in.
    pub fn parse_stored(text: &str) -> Result<Self, ParseEmailError> {
        let written = text.trim();
        if written.is_empty() {
            return Err(ParseEmailError::Empty);
        }
        let canonical = canonical(written);
        if written.len().max(canonical.len()) > Self::MAX_BYTES {
            return Err(ParseEmailError::TooLong);
        }
        let stray = |c: char| c.is_whitespace() || c.is_control();
        let sound = |text: &str| {
            let halves = text.split_once('@');
            halves.is_some_and(|(local, host)| !local.is_empty() && !host.is_empty() && !host.contains('@'))
                && !text.contains(stray)
        };
        if !sound(written) || !sound(&canonical) {
            return Err(ParseEmailError::Malformed);
        }
        Ok(Self { written: written.to_owned(), canonical })
    }

    /// The address as written.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// The form in which two spellings of one address are equal: NFKC and lower case.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// Normalises twice, because a lower-case text may no longer be normalised.
fn canonical(text: &str) -> String {
    let folded: String = text.nfkc().flat_map(char::to_lowercase).collect();
    folded.nfkc().collect()
}

/// A password. It is normalised (NFC), so that different keyboards give the same bytes. Debug output does not show it.
pub struct Password(SecretString);

/// Why a text cannot be a [`Password`]. The message reads on from "The password field …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParsePasswordError {
    /// Empty.
    #[error("is required.")]
    Empty,
    /// More than [`Password::MAX_BYTES`] bytes. The limit applies before any hashing.
    #[error("must not be greater than 1024 bytes.")]
    TooLong,
}

impl Password {
    /// The longest password, in bytes.
    pub const MAX_BYTES: usize = 1024;

    /// Parses a password. Whether a *new* password is strong enough is checked when it is hashed.
    pub fn parse(text: &str) -> Result<Self, ParsePasswordError> {
        if text.is_empty() {
            return Err(ParsePasswordError::Empty);
        }
        if text.len() > Self::MAX_BYTES {
            return Err(ParsePasswordError::TooLong);
        }
        let normalised: String = text.nfc().collect();
        match normalised.len() <= Self::MAX_BYTES {
            true => Ok(Self(normalised.into())),
            false => Err(ParsePasswordError::TooLong),
        }
    }

    /// The password in plain text, to hash it or to estimate its strength.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password([redacted])")
    }
}

/// An argon2id hash as a PHC string, its parameters and salt included.
///
/// Passwords can be guessed, so their hash must be slow. The 238 random bits of a token cannot, so a fast hash is enough
/// there ([`super::secret::TokenHash`]).
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Wraps a PHC string that was computed or loaded.
    pub fn new(phc: String) -> Self {
        Self(phc)
    }

    /// The PHC string, for verification and storage.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The parameters of the hash.
    pub fn parameters(&self) -> HashParameters {
        // `$` separates the fields, and no field contains it.
        let without_last = |text: &str| text.rsplit_once('$').map_or("", |(rest, _)| rest).to_owned();
        HashParameters(without_last(&without_last(&self.0)))
    }
}

/// The beginning of a PHC string: algorithm, version and parameters, without salt and output.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HashParameters(String);

impl HashParameters {
    /// The text, for example `$argon2id$v=19$m=19456,t=2,p=1`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash([redacted])")
    }
}

/// A user and the hash of their password, from one read.
#[derive(Clone, Debug)]
pub struct UserCredentials {
    /// The user.
    pub user: User,
    /// The hash of the password. `None` until the user sets one with a link.
    pub password: Option<PasswordHash>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_address_share_a_canonical_form() {
        let canonical = |text| Email::parse(text).unwrap().canonical().to_owned();
        assert_eq!(canonical(" Ada@Example.COM "), "ada@example.com");
        assert_eq!(canonical("ａｄａ@example.com"), "ada@example.com");
        assert_eq!(canonical("cafe\u{301}@example.com"), canonical("CAF\u{c9}@example.com"));
        assert_eq!(Email::parse(" Ada@Example.COM ").unwrap().as_str(), "Ada@Example.COM");
    }

    #[test]
    fn a_malformed_address_is_refused() {
        for bad in ["ada", "@example.com", "ada@", "a@b@c", "a b@c", "a@b\nc", "a＠b@c"] {
            assert_eq!(Email::parse(bad), Err(ParseEmailError::Malformed), "{bad:?}");
        }
        assert_eq!(Email::parse("  "), Err(ParseEmailError::Empty));
        assert_eq!(Email::parse(&format!("{}@b", "a".repeat(253))), Err(ParseEmailError::TooLong));
    }

    #[test]
    fn hidden_characters_are_refused_except_in_stored_addresses() {
        for hidden in ["\u{200b}", "\u{202e}", "\u{feff}", "\u{ad}", "\u{2060}", "\u{fe0f}", "\u{ffa0}"] {
            for text in [format!("a{hidden}da@example.com"), format!("ada@exam{hidden}ple.com")] {
                let refused = Email::parse(&text).unwrap_err();
                assert!(matches!(refused, ParseEmailError::Hidden(_)), "{text:?}: {refused}");
                assert_eq!(Email::parse_stored(&text).unwrap().as_str(), text);
            }
        }
    }

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        let shown = format!("{:?} {:?}", Password::parse("canary-canary").unwrap(), PasswordHash::new("canary".into()));
        assert!(!shown.contains("canary"), "{shown}");
    }

    #[test]
    fn the_parameters_of_a_hash_are_all_but_its_salt_and_its_output() {
        let parameters = |phc: &str| PasswordHash::new(phc.into()).parameters().as_str().to_owned();
        assert_eq!(parameters("$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA"), "$argon2id$v=19$m=8,t=1,p=1");
        assert_eq!(parameters("$argon2id$"), "");
        assert_eq!(parameters(""), "");
    }

    #[test]
    fn passwords_are_capped_in_bytes_before_and_after_normalisation() {
        assert!(Password::parse(&"x".repeat(1024)).is_ok());
        assert_eq!(Password::parse(&"x".repeat(1025)).unwrap_err(), ParsePasswordError::TooLong);
        assert_eq!(Password::parse("e\u{301}").unwrap().expose(), "\u{e9}");
    }
}
