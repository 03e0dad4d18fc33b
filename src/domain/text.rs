//! Names that people give to things: users, tokens, devices.

use std::fmt;

/// A human-readable name: 1 to 255 characters after trimming, no control characters, otherwise kept as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(Box<str>);

/// Why a text is not a [`Name`]. The message reads on from "The name field …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAName {
    /// Nothing is left after trimming.
    #[error("is required.")]
    Empty,
    /// More than [`Name::MAX_CHARS`] characters (Unicode scalar values, not bytes).
    #[error("must not be greater than 255 characters.")]
    TooLong,
    /// It holds a control character (Unicode Cc: NUL, line feed, escape …), which could forge a line of a log or a terminal.
    #[error("must not contain control characters.")]
    Control,
}

impl Name {
    /// The most characters that a name may have.
    pub const MAX_CHARS: usize = 255;

    /// Trims `text` and takes it, if it holds.
    pub fn parse(text: &str) -> Result<Self, NotAName> {
        let text = text.trim();
        if text.is_empty() {
            return Err(NotAName::Empty);
        }
        if text.chars().any(char::is_control) {
            return Err(NotAName::Control);
        }
        if text.chars().count() > Self::MAX_CHARS {
            return Err(NotAName::TooLong);
        }
        Ok(Self(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text as one word of a POSIX shell: quoted, unless it is plain. Control characters are written out (`$'…'`, which
/// bash, zsh and ksh read), so that the word can be printed.
pub fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+=:@%,".contains(c);
    if text.chars().any(char::is_control) {
        return format!("$'{}'", text.chars().map(ansi_c_quoted).collect::<String>());
    }
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

fn ansi_c_quoted(c: char) -> String {
    match c {
        '\'' | '\\' => format!("\\{c}"),
        c if c.is_control() => c.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("\\x{byte:02x}")).collect(),
        c => c.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_quoted_where_a_shell_would_take_it_apart() {
        for plain in ["/var/lib/patd.db", "ada@example.com", "Zoë"] {
            assert_eq!(shell_word(plain), plain);
        }
        assert_eq!(shell_word("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(shell_word("1|pat_"), "'1|pat_'");
        assert_eq!(shell_word(""), "''");
        assert_eq!(shell_word("é'\\\n\u{85}"), r"$'é\'\\\x0a\xc2\x85'");
    }

    #[test]
    fn counts_characters_and_not_bytes() {
        assert!(Name::parse(&"🦀".repeat(255)).is_ok());
        assert_eq!(Name::parse(&"🦀".repeat(256)), Err(NotAName::TooLong));
    }

    #[test]
    fn refuses_control_characters_and_keeps_the_rest_as_sent() {
        assert_eq!(Name::parse("a\0b"), Err(NotAName::Control));
        assert_eq!(Name::parse("a\u{85}b"), Err(NotAName::Control));
        assert_eq!(Name::parse(" \t "), Err(NotAName::Empty));
        assert_eq!(Name::parse("  a\u{202e}b ").unwrap().as_str(), "a\u{202e}b");
    }
}
