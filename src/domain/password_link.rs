//! Password links: one-time secrets with which a user sets a password, as an invitation or after a reset.
//!
//! A link is not a credential: no request is accepted because of it. Its secret has the form of a token's, with a prefix of
//! its own that no setting changes, and the store keeps its BLAKE3 hash ([`super::secret`]).

use super::{
    account::User,
    secret::{Plaintext, Prefixes, TokenHash, has_valid_checksum},
    time::Timestamp,
};

/// A link to store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewPasswordLink {
    /// The hash of its secret.
    pub hash: TokenHash,
    /// Its expiry. It is expired when `now >= expires_at`.
    pub expires_at: Timestamp,
}

/// A stored link with its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordLink {
    /// The user whose password it sets.
    pub user: User,
    /// Its expiry.
    pub expires_at: Timestamp,
}

impl PasswordLink {
    /// Whether it sets a password at `now`. While the user is disabled, it does not.
    pub fn is_usable(&self, now: Timestamp) -> bool {
        now < self.expires_at && self.user.disabled_at.is_none()
    }
}

/// A new link with its secret, for the one answer that shows it.
#[derive(Debug)]
pub struct IssuedPasswordLink {
    /// The secret.
    pub plaintext: Plaintext,
    /// Its expiry.
    pub expires_at: Timestamp,
}

/// Generates the secret of a link. Fails only if the operating system gives no randomness.
pub fn generate() -> Result<Plaintext, getrandom::Error> {
    Plaintext::with_prefix(Prefixes::PASSWORD_LINK)
}

/// The hash to look up, if the text has the form of a link's secret.
pub fn parse(text: &str) -> Option<TokenHash> {
    let body = text.strip_prefix(Prefixes::PASSWORD_LINK)?;
    has_valid_checksum(body).then(|| TokenHash::of(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::secret::{Prefixes, PresentedCredential};

    #[test]
    fn the_secret_of_a_link_is_no_credential_and_parses_to_its_hash() {
        let secret = generate().unwrap();
        let prefixes = Prefixes::new("ses_", "pat_", "talq_").unwrap();
        assert!(PresentedCredential::parse(secret.expose(), &prefixes).is_err());
        assert_eq!(secret.expose().len(), Prefixes::PASSWORD_LINK.len() + 48);
        assert_eq!(parse(secret.expose()), Some(secret.hash()));
        let body = &secret.expose()[Prefixes::PASSWORD_LINK.len()..];
        for rubbish in [body.to_owned(), format!("ses_{body}"), format!("{}0", secret.expose()), "lnk_".to_owned()] {
            assert_eq!(parse(&rubbish), None, "{rubbish}");
        }
    }
}
