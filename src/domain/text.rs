//! Names of users, tokens, devices and environments: which characters they may contain, and how they are searched.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

/// A human-readable name: 1 to 255 characters after trimming. Control characters and hidden characters
/// ([`hidden_character`]) are refused. Nothing else is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(Box<str>);

/// Why a text is not a [`Name`]. The message reads on from "The name field …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseNameError {
    /// Empty after trimming.
    #[error("is required.")]
    Empty,
    /// More than [`Name::MAX_CHARS`] characters (Unicode scalar values, not bytes).
    #[error("must not be greater than 255 characters.")]
    TooLong,
    /// It contains a control character (Unicode Cc: NUL, line feed, escape …), which could forge a line of a log.
    #[error("must not contain control characters.")]
    Control,
    /// It contains this hidden character, which can make two names look the same or change the order of the text.
    #[error("must not contain {0}. Type the text again without it.")]
    Hidden(Hidden),
}

impl Name {
    /// The longest name, in characters.
    pub const MAX_CHARS: usize = 255;

    /// Trims `text` and checks it.
    pub fn parse(text: &str) -> Result<Self, ParseNameError> {
        let name = Self::parse_stored(text)?;
        match hidden_character(&name.0) {
            Some(hidden) => Err(ParseNameError::Hidden(hidden)),
            None => Ok(name),
        }
    }

    /// The same for a name that is stored already. Earlier releases accepted hidden characters, and those names must stay
    /// readable.
    pub fn parse_stored(text: &str) -> Result<Self, ParseNameError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(ParseNameError::Empty);
        }
        if text.chars().any(char::is_control) {
            return Err(ParseNameError::Control);
        }
        if text.chars().count() > Self::MAX_CHARS {
            return Err(ParseNameError::TooLong);
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

/// The text as one word of a POSIX shell, quoted if necessary. Control characters become escapes (`$'…'`, which bash, zsh
/// and ksh read), so that the word can be printed.
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

/// A character that is invisible or changes how other characters are displayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hidden(char);

impl fmt::Display for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if is_bidirectional(self.0) { "changes the direction of text" } else { "is invisible" };
        write!(f, "U+{:04X}, which {kind}", u32::from(self.0))
    }
}

/// The first hidden character of `text`: Unicode's Bidi_Control and Default_Ignorable_Code_Point, line separators,
/// interlinear marks and the empty braille pattern. A variation selector after a symbol with an emoji form is allowed.
pub fn hidden_character(text: &str) -> Option<Hidden> {
    if text.is_ascii() {
        return None;
    }
    let mut before = '\0';
    for c in text.chars() {
        let selects_emoji = matches!(c, '\u{fe0e}' | '\u{fe0f}') && has_emoji_form(before);
        if is_hidden(c) && !selects_emoji {
            return Some(Hidden(c));
        }
        before = c;
    }
    None
}

/// Whether `c` is invisible or changes how other characters are displayed.
pub fn is_hidden(c: char) -> bool {
    is_bidirectional(c)
        || matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200d}'
                | '\u{2028}'..='\u{2029}'
                | '\u{2060}'..='\u{206f}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// Unicode's Bidi_Control.
const fn is_bidirectional(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The blocks of symbols with a text form and an emoji form.
const fn has_emoji_form(c: char) -> bool {
    matches!(
        c,
        '©' | '®' | '‼' | '⁉' | '〰' | '〽' | '㊗' | '㊙' | '\u{2100}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}'
    )
}

/// The form in which texts are searched: NFKC and lower case. It goes through upper case first, so that `ß` and `SS`, `ς`
/// and `Σ` are equal.
pub fn folded(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let lower: String = text.nfkc().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect();
    lower.nfkc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_quoted_if_a_shell_would_split_it() {
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
        assert_eq!(Name::parse(&"🦀".repeat(256)), Err(ParseNameError::TooLong));
    }

    #[test]
    fn refuses_control_characters_and_keeps_the_rest_as_sent() {
        assert_eq!(Name::parse("a\0b"), Err(ParseNameError::Control));
        assert_eq!(Name::parse("a\u{85}b"), Err(ParseNameError::Control));
        assert_eq!(Name::parse(" \t "), Err(ParseNameError::Empty));
        assert_eq!(Name::parse("  Zoë \u{1f980} ").unwrap().as_str(), "Zoë \u{1f980}");
    }

    #[test]
    fn refuses_hidden_characters_and_names_the_first() {
        let hidden = [
            "\u{202e}",
            "\u{2066}",
            "\u{61c}",
            "\u{200f}",
            "\u{200b}",
            "\u{200d}",
            "\u{2060}",
            "\u{feff}",
            "\u{ad}",
            "\u{3164}",
            "\u{115f}",
            "\u{2028}",
            "\u{e0041}",
            "\u{fe0f}",
            "\u{180e}",
            "\u{fff9}",
            "\u{e0100}",
        ];
        for c in hidden {
            let c = c.chars().next().unwrap();
            let edges = [format!("{c}ab"), format!("ab{c}")];
            // White space at the edges is trimmed.
            for text in edges.into_iter().filter(|_| !c.is_whitespace()).chain([format!("a{c}b")]) {
                assert_eq!(Name::parse(&text), Err(ParseNameError::Hidden(Hidden(c))), "{text:?}");
                assert_eq!(Name::parse_stored(&text).unwrap().as_str(), text.trim(), "{text:?}");
            }
        }
        let message = Name::parse("a\u{202e}b").unwrap_err().to_string();
        assert_eq!(
            message,
            "must not contain U+202E, which changes the direction of text. Type the text again without it."
        );
        let message = Name::parse("a\u{200b}b").unwrap_err().to_string();
        assert_eq!(message, "must not contain U+200B, which is invisible. Type the text again without it.");
    }

    #[test]
    fn accepts_the_scripts_and_symbols_of_real_names() {
        for name in
            ["Zoë", "Zoe\u{308}", "李雷", "علی", "נעמי", "हिन्दी", "ไทย", "O’Brien", "⚙️ CI", "❤️", "👩", "a\u{a0}b"]
        {
            assert!(Name::parse(name).is_ok(), "{name:?}");
        }
    }

    #[test]
    fn folds_case_and_normal_form() {
        for (one, other) in [
            ("ZOË", "Zoe\u{308}"),
            ("STRASSE", "Straße"),
            ("ΟΔΥΣΣΕΥΣ", "Οδυσσευς"),
            ("Ｄｅｐｌｏｙ", "deploy"),
            ("ﬁle", "FILE"),
        ] {
            assert_eq!(folded(one), folded(other), "{one} and {other}");
        }
        assert_ne!(folded("Zoë"), folded("Zoe"));
    }
}
