//! Secrets of tokens and sessions: how they are generated, written, parsed and stored.
//!
//! A secret is a prefix, 40 base62 characters from the operating system's random generator (238 bits), and 8 hex digits of
//! the CRC-32 of those 40. The store keeps the BLAKE3 hash of it. A fast hash is enough, because 238 random bits cannot be
//! guessed. It would be wrong for a password ([`super::account::PasswordHash`]).

use std::fmt::{self, Write};

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const RANDOM_CHARS: usize = 40;
const CHECKSUM_CHARS: usize = 8;
/// How many digits the largest row number has.
const NUMBER_CHARS: usize = 19;

/// The kind of a credential. Its prefix tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CredentialKind {
    /// A session of a signed-in user.
    Session,
    /// A token that a user made for software.
    PersonalAccessToken,
    /// A token of an environment.
    EnvironmentToken,
}

impl CredentialKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Session, Self::PersonalAccessToken, Self::EnvironmentToken];

    /// The name in the API and in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::PersonalAccessToken => "personal_access_token",
            Self::EnvironmentToken => "environment_token",
        }
    }
}

/// The prefix of each kind of credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefixes {
    session: String,
    personal_access_token: String,
    environment_token: String,
}

/// Why prefixes cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParsePrefixesError {
    /// A prefix has a wrong character or length.
    #[error("{0:?} must be 1 to 16 letters, digits or underscores")]
    Malformed(String),
    /// One prefix begins with another.
    #[error("{0:?} and {1:?} must not begin alike: a token is matched to its kind by its prefix")]
    Ambiguous(String, String),
    /// The prefix begins like [`Prefixes::PASSWORD_LINK`].
    #[error("{0:?} must not begin like {link:?}, the prefix of password links", link = Prefixes::PASSWORD_LINK)]
    LikePasswordLink(String),
}

impl Prefixes {
    /// The prefix of the secrets of password links, which are not credentials. No setting changes it.
    pub const PASSWORD_LINK: &str = "lnk_";

    /// One prefix for each kind: 1 to 16 characters of `[A-Za-z0-9_]`. No prefix may begin with another, or with that of
    /// password links.
    pub fn new(
        session: &str,
        personal_access_token: &str,
        environment_token: &str,
    ) -> Result<Self, ParsePrefixesError> {
        let all = [session, personal_access_token, environment_token];
        for (at, prefix) in all.iter().enumerate() {
            if !Self::is_sound(prefix) {
                return Err(ParsePrefixesError::Malformed((*prefix).to_owned()));
            }
            if Self::is_like_password_link(prefix) {
                return Err(ParsePrefixesError::LikePasswordLink((*prefix).to_owned()));
            }
            if let Some((_, other)) =
                all.iter().enumerate().find(|(other_at, other)| *other_at != at && other.starts_with(prefix))
            {
                return Err(ParsePrefixesError::Ambiguous((*prefix).to_owned(), (*other).to_owned()));
            }
        }
        Ok(Self {
            session: session.to_owned(),
            personal_access_token: personal_access_token.to_owned(),
            environment_token: environment_token.to_owned(),
        })
    }

    /// Whether the characters and the length of a prefix are valid.
    pub fn is_sound(prefix: &str) -> bool {
        (1..=16).contains(&prefix.len()) && prefix.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    }

    /// Whether a secret with this prefix could be taken for that of a password link, or the other way round.
    pub fn is_like_password_link(prefix: &str) -> bool {
        prefix.starts_with(Self::PASSWORD_LINK) || Self::PASSWORD_LINK.starts_with(prefix)
    }

    /// The prefix of `kind`.
    pub fn of(&self, kind: CredentialKind) -> &str {
        match kind {
            CredentialKind::Session => &self.session,
            CredentialKind::PersonalAccessToken => &self.personal_access_token,
            CredentialKind::EnvironmentToken => &self.environment_token,
        }
    }

    fn split<'t>(&self, text: &'t str) -> Option<(CredentialKind, &'t str)> {
        [CredentialKind::PersonalAccessToken, CredentialKind::Session, CredentialKind::EnvironmentToken]
            .into_iter()
            .find_map(|kind| Some((kind, text.strip_prefix(self.of(kind))?)))
    }
}

/// A secret in plain text. It has no Display, Serialize or Clone, and is wiped from memory when dropped. It leaves the
/// program once: in the answer to the request that made it.
pub struct Plaintext(SecretString);

impl Plaintext {
    /// Generates a new secret of `kind`. Fails only if the operating system gives no randomness.
    pub fn generate(kind: CredentialKind, prefixes: &Prefixes) -> Result<Self, getrandom::Error> {
        Self::with_prefix(prefixes.of(kind))
    }

    /// Generates a new secret that begins with `prefix`.
    pub(super) fn with_prefix(prefix: &str) -> Result<Self, getrandom::Error> {
        let mut random = Zeroizing::new(String::with_capacity(RANDOM_CHARS));
        let mut pool = Zeroizing::new([0_u8; 64]);
        while random.len() < RANDOM_CHARS {
            getrandom::fill(&mut *pool)?;
            // 248 is the largest multiple of 62 in a byte. Larger values are dropped, so that all characters are equally
            // likely.
            let fair = pool.iter().filter(|byte| **byte < 248).map(|byte| char::from(ALPHABET[usize::from(byte % 62)]));
            let missing = RANDOM_CHARS - random.len();
            random.extend(fair.take(missing));
        }
        let checksum = crc32fast::hash(random.as_bytes());
        Ok(Self(format!("{prefix}{}{checksum:08x}", *random).into()))
    }

    /// The hash that the store keeps.
    pub fn hash(&self) -> TokenHash {
        TokenHash(blake3::hash(self.expose().as_bytes()))
    }

    /// The hint.
    pub fn hint(&self) -> Hint {
        let [.., a, b, c, d] = self.expose().as_bytes() else { unreachable!("every secret ends in a checksum") };
        Hint([*a, *b, *c, *d])
    }

    /// The form in which a personal access token is issued: `N|pat_…`.
    pub fn numbered(&self, number: i64) -> Self {
        Self(format!("{number}|{}", self.expose()).into())
    }

    /// The secret, for the one answer that shows it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The secret without its `N|`. A shell reads an unquoted `|` as a pipe: it would run the secret as a command and print
    /// it in an error.
    pub fn expose_unnumbered(&self) -> &str {
        let text = self.expose();
        text.split_once('|').map_or(text, |(_, secret)| secret)
    }
}

impl fmt::Debug for Plaintext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plaintext([redacted])")
    }
}

/// The last four characters of a secret, by which its owner recognises it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hint([u8; 4]);

/// The text is not four ASCII characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be four characters of ASCII")]
pub struct ParseHintError;

impl Hint {
    /// Parses a stored hint.
    pub fn parse(text: &str) -> Result<Self, ParseHintError> {
        let bytes: [u8; 4] = text.as_bytes().try_into().map_err(|_| ParseHintError)?;
        if bytes.is_ascii() { Ok(Self(bytes)) } else { Err(ParseHintError) }
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| f.write_char(char::from(*byte)))
    }
}

impl PartialEq<str> for Hint {
    fn eq(&self, text: &str) -> bool {
        self.0 == text.as_bytes()
    }
}

/// The BLAKE3 hash of a secret, with its prefix and checksum and without `N|`. Comparisons take constant time.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(blake3::Hash);

impl TokenHash {
    /// The hash of a secret whose form was checked.
    pub(super) fn of(secret: &str) -> Self {
        Self(blake3::hash(secret.as_bytes()))
    }

    /// The 32 bytes, for a look-up.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

/// A hash is useless for signing in, but it does not belong in a log.
impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash([redacted])")
    }
}

/// A credential that a request presents: well-formed, but not looked up yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresentedCredential {
    /// The kind that its prefix names.
    pub kind: CredentialKind,
    /// The row number in front of it. A wrong one is refused.
    pub number: Option<i64>,
    /// The hash to look up.
    pub hash: TokenHash,
}

/// The text is not a credential of this server: its prefix, length, alphabet or checksum is wrong. The message does not
/// repeat the text, because it may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a well-formed credential")]
pub struct ParseCredentialError;

impl PresentedCredential {
    /// Parses a credential. The checksum is tested before anything is hashed. A correct checksum proves nothing.
    pub fn parse(text: &str, prefixes: &Prefixes) -> Result<Self, ParseCredentialError> {
        // Most credentials have no number. The first character saves them the search.
        let may_have_number = text.as_bytes().first().is_some_and(u8::is_ascii_digit);
        let bar = || text.bytes().take(NUMBER_CHARS + 1).position(|byte| byte == b'|');
        let (number, secret) = match may_have_number.then(bar).flatten() {
            Some(bar) => (Some(parse_number(&text[..bar])?), &text[bar + 1..]),
            None => (None, text),
        };
        let (kind, body) = prefixes.split(secret).ok_or(ParseCredentialError)?;
        if number.is_some() && kind != CredentialKind::PersonalAccessToken {
            return Err(ParseCredentialError);
        }
        if !has_valid_checksum(body) {
            return Err(ParseCredentialError);
        }
        Ok(Self { kind, number, hash: TokenHash::of(secret) })
    }
}

/// Whether a secret without its prefix has 40 base62 characters and their checksum.
#[inline]
pub(super) fn has_valid_checksum(body: &str) -> bool {
    let Some((random, checksum)) = body.as_bytes().split_at_checked(RANDOM_CHARS) else { return false };
    // Without an early exit, the compiler can test many characters in one step.
    let is_base62 = random.iter().fold(true, |all, byte| all & byte.is_ascii_alphanumeric());
    is_base62 && parse_checksum(checksum) == Some(crc32fast::hash(random))
}

/// A checksum has one valid form: eight digits, letters in lower case.
fn parse_checksum(text: &[u8]) -> Option<u32> {
    let digits: &[u8; CHECKSUM_CHARS] = text.try_into().ok()?;
    digits.iter().try_fold(0, |sum, digit| match digit {
        b'0'..=b'9' => Some(sum << 4 | u32::from(digit - b'0')),
        b'a'..=b'f' => Some(sum << 4 | u32::from(digit - b'a' + 10)),
        _ => None,
    })
}

/// A row number has one valid form: no sign, no leading zero.
fn parse_number(text: &str) -> Result<i64, ParseCredentialError> {
    let number: i64 = text.parse().map_err(|_| ParseCredentialError)?;
    (number > 0 && number.to_string() == text).then_some(number).ok_or(ParseCredentialError)
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::Index};

    use super::*;

    fn prefixes() -> Prefixes {
        Prefixes::new("ses_", "pat_", "talq_").unwrap()
    }

    const KINDS: [CredentialKind; 3] =
        [CredentialKind::Session, CredentialKind::PersonalAccessToken, CredentialKind::EnvironmentToken];

    #[test]
    fn a_secret_has_a_prefix_40_characters_and_a_checksum() {
        let token = Plaintext::generate(CredentialKind::PersonalAccessToken, &prefixes()).unwrap();
        let text = token.expose();
        assert_eq!(text.len(), "pat_".len() + 40 + 8);
        assert_eq!(format!("{:08x}", crc32fast::hash(&text.as_bytes()[4..44])), text[44..]);
        assert_eq!(token.hint(), text[48..]);
        assert_eq!(token.numbered(7).expose(), format!("7|{text}"));
        assert_eq!(token.numbered(7).expose_unnumbered(), text);
        assert_eq!(token.expose_unnumbered(), text);
    }

    #[test]
    fn the_checksum_is_crc32b() {
        assert_eq!(format!("{:08x}", crc32fast::hash(b"123456789")), "cbf43926");
    }

    #[test]
    fn no_prefix_begins_with_another() {
        assert!(matches!(Prefixes::new("a", "ab", "c"), Err(ParsePrefixesError::Ambiguous(..))));
        assert!(matches!(Prefixes::new("a_", "a_", "c"), Err(ParsePrefixesError::Ambiguous(..))));
        for bad in ["", "a|", "a b", "é", "12345678901234567"] {
            assert!(matches!(Prefixes::new(bad, "x_", "y_"), Err(ParsePrefixesError::Malformed(_))), "{bad:?}");
        }
    }

    #[test]
    fn a_row_number_has_one_form_and_belongs_to_personal_access_tokens() {
        let prefixes = prefixes();
        let token = Plaintext::generate(CredentialKind::PersonalAccessToken, &prefixes).unwrap();
        let session = Plaintext::generate(CredentialKind::Session, &prefixes).unwrap();
        for number in ["", "0", "-1", "+1", "01", " 1", "1 ", "9223372036854775808", "1|1"] {
            assert!(
                PresentedCredential::parse(&format!("{number}|{}", token.expose()), &prefixes).is_err(),
                "{number:?}"
            );
        }
        assert!(PresentedCredential::parse(&format!("1|{}", session.expose()), &prefixes).is_err());
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let token = Plaintext::generate(CredentialKind::Session, &prefixes()).unwrap();
        let presented = PresentedCredential::parse(token.expose(), &prefixes()).unwrap();
        let shown = format!("{token:?} {presented:?}");
        assert!(!shown.contains(&token.expose()[4..]) && !shown.contains(&token.hash().0.to_hex()[..8]), "{shown}");
    }

    proptest! {
        #[test]
        fn a_generated_secret_parses_to_its_own_hash(kind in 0..3_usize, number in 1..i64::MAX) {
            let (kind, prefixes) = (KINDS[kind], prefixes());
            let secret = Plaintext::generate(kind, &prefixes).unwrap();
            let plain = PresentedCredential::parse(secret.expose(), &prefixes).unwrap();
            prop_assert_eq!(plain, PresentedCredential { kind, number: None, hash: secret.hash() });
            if kind == CredentialKind::PersonalAccessToken {
                let numbered = PresentedCredential::parse(secret.numbered(number).expose(), &prefixes).unwrap();
                prop_assert_eq!(numbered, PresentedCredential { kind, number: Some(number), hash: secret.hash() });
            }
        }

        #[test]
        fn a_changed_character_never_parses_to_the_same_secret(at in any::<Index>(), to in any::<char>()) {
            let prefixes = prefixes();
            let secret = Plaintext::generate(CredentialKind::PersonalAccessToken, &prefixes).unwrap();
            let mut text: Vec<char> = secret.expose().chars().collect();
            let at = at.index(text.len());
            prop_assume!(text[at] != to);
            text[at] = to;
            let changed: String = text.into_iter().collect();
            // CRC-32 finds every error of a single character, so none of these is ever looked up.
            prop_assert_eq!(PresentedCredential::parse(&changed, &prefixes), Err(ParseCredentialError));
        }

        #[test]
        fn rubbish_is_refused(text in "\\PC{0,80}") {
            prop_assert_eq!(PresentedCredential::parse(&text, &prefixes()), Err(ParseCredentialError));
        }
    }
}
