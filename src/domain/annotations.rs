//! Annotations of tokens: a description for people, and metadata for programs. No decision depends on them.

use std::{collections::BTreeMap, fmt};

use super::text::{Hidden, hidden_character};

/// The annotations of a token. A token holds them in a box, because most tokens have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    /// What the token is for.
    pub description: Option<Description>,
    /// Keys and values. Empty for none.
    pub metadata: Metadata,
}

impl Annotations {
    /// The form in which a token holds them. `None` if there are none.
    pub fn boxed(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }

    /// An upper limit of their size in a list, in bytes of JSON.
    pub fn listed_size(&self) -> usize {
        // A character needs at most one escape character.
        let description = self.description.as_ref().map_or(0, |description| 2 * description.as_str().len());
        let pairs = self.metadata.iter().map(|(key, value)| 2 * (key.len() + value.len()) + "\"\":\"\",".len());
        "\"description\":\"\",\"metadata\":{},".len() + description + pairs.sum::<usize>()
    }
}

/// A description: 1 to 1000 characters after trimming. Line feeds and tabs are allowed, and other control characters and
/// hidden characters are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description(Box<str>);

/// Why a text is not a [`Description`]. The message reads on from "The description field …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseDescriptionError {
    /// Empty after trimming.
    #[error("is required.")]
    Empty,
    /// More than [`Description::MAX_CHARS`] characters.
    #[error("must not be greater than 1000 characters.")]
    TooLong,
    /// It contains a control character other than line feed and tab.
    #[error("must not contain control characters except line feeds and tabs.")]
    Control,
    /// It contains a hidden character.
    #[error("must not contain {0}. Type the text again without it.")]
    Hidden(Hidden),
}

impl Description {
    /// The longest description, in characters.
    pub const MAX_CHARS: usize = 1000;

    /// Trims `text` and checks it.
    pub fn parse(text: &str) -> Result<Self, ParseDescriptionError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(ParseDescriptionError::Empty);
        }
        if text.chars().count() > Self::MAX_CHARS {
            return Err(ParseDescriptionError::TooLong);
        }
        if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
            return Err(ParseDescriptionError::Control);
        }
        match hidden_character(text) {
            Some(hidden) => Err(ParseDescriptionError::Hidden(hidden)),
            None => Ok(Self(text.into())),
        }
    }

    /// The same, but a text that is empty after trimming is no description.
    pub fn parse_optional(text: &str) -> Result<Option<Self>, ParseDescriptionError> {
        if text.trim().is_empty() { Ok(None) } else { Self::parse(text).map(Some) }
    }

    /// The description as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Up to 50 keys, each with a value, in the order of the keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata(BTreeMap<Box<str>, Box<str>>);

/// Why a key or a value is refused. The message reads on from "The metadata.KEY field …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseMetadataError {
    /// The key is empty.
    #[error("must have a key that is not empty.")]
    EmptyKey,
    /// The key has more than [`Metadata::MAX_KEY_CHARS`] characters.
    #[error("must have a key of at most 64 characters.")]
    LongKey,
    /// The key contains a control character.
    #[error("must have a key without control characters.")]
    ControlInKey,
    /// The key contains a hidden character, so that two keys could look the same.
    #[error("must have a key without {0}.")]
    HiddenInKey(Hidden),
    /// The value has more than [`Metadata::MAX_VALUE_CHARS`] characters.
    #[error("must not be greater than 500 characters.")]
    LongValue,
    /// The value contains a control character other than line feed, carriage return and tab.
    #[error("must not contain control characters except line breaks and tabs.")]
    ControlInValue,
}

/// There are more than [`Metadata::MAX`] keys. The message reads on from "The metadata field …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must not have more than 50 keys.")]
pub struct TooManyKeys;

impl Metadata {
    /// The most keys.
    pub const MAX: usize = 50;
    /// The longest key, in characters.
    pub const MAX_KEY_CHARS: usize = 64;
    /// The longest value, in characters.
    pub const MAX_VALUE_CHARS: usize = 500;

    /// Checks a key and its value.
    pub fn check(key: &str, value: &str) -> Result<(), ParseMetadataError> {
        if key.is_empty() {
            return Err(ParseMetadataError::EmptyKey);
        }
        if key.chars().count() > Self::MAX_KEY_CHARS {
            return Err(ParseMetadataError::LongKey);
        }
        if key.chars().any(char::is_control) {
            return Err(ParseMetadataError::ControlInKey);
        }
        if let Some(hidden) = hidden_character(key) {
            return Err(ParseMetadataError::HiddenInKey(hidden));
        }
        if value.chars().count() > Self::MAX_VALUE_CHARS {
            return Err(ParseMetadataError::LongValue);
        }
        if value.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            return Err(ParseMetadataError::ControlInValue);
        }
        Ok(())
    }

    /// Adds a key and its value. The value of a key that is there already is replaced. The caller must have checked both.
    pub fn insert(&mut self, key: &str, value: &str) -> Result<(), TooManyKeys> {
        if self.0.len() == Self::MAX && !self.0.contains_key(key) {
            return Err(TooManyKeys);
        }
        self.0.insert(key.into(), value.into());
        Ok(())
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|value| &**value)
    }

    /// The keys with their values, in the order of the keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every key of `wanted` is here with the same value.
    pub fn includes(&self, wanted: &Self) -> bool {
        wanted.iter().all(|(key, value)| self.get(key) == Some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_trimmed_and_counted_in_characters() {
        assert_eq!(Description::parse(" the\tnightly\nbuild \n").unwrap().as_str(), "the\tnightly\nbuild");
        assert!(Description::parse(&"🦀".repeat(1000)).is_ok());
        assert_eq!(Description::parse(&"🦀".repeat(1001)), Err(ParseDescriptionError::TooLong));
        assert_eq!(Description::parse(" \n"), Err(ParseDescriptionError::Empty));
        assert_eq!(Description::parse("a\u{1b}[2J"), Err(ParseDescriptionError::Control));
        assert_eq!(Description::parse("a\rb"), Err(ParseDescriptionError::Control));
        assert!(matches!(Description::parse("a\u{202e}b"), Err(ParseDescriptionError::Hidden(_))));
        assert_eq!(Description::parse_optional(" "), Ok(None));
        assert_eq!(Description::parse_optional("\u{7}"), Err(ParseDescriptionError::Control));
    }

    #[test]
    fn keys_and_values_have_bounds() {
        assert_eq!(Metadata::check(&"🦀".repeat(64), &"🦀".repeat(500)), Ok(()));
        assert_eq!(Metadata::check("k", ""), Ok(()));
        assert_eq!(Metadata::check("a]=b", "line\r\n\ttwo"), Ok(()));
        assert_eq!(Metadata::check("", "v"), Err(ParseMetadataError::EmptyKey));
        assert_eq!(Metadata::check(&"k".repeat(65), "v"), Err(ParseMetadataError::LongKey));
        assert_eq!(Metadata::check("a\nb", "v"), Err(ParseMetadataError::ControlInKey));
        assert!(matches!(Metadata::check("a\u{200b}b", "v"), Err(ParseMetadataError::HiddenInKey(_))));
        assert_eq!(Metadata::check("k", &"v".repeat(501)), Err(ParseMetadataError::LongValue));
        assert_eq!(Metadata::check("k", "\0"), Err(ParseMetadataError::ControlInValue));
    }

    #[test]
    fn at_most_fifty_keys_each_once_and_sorted() {
        let mut metadata = Metadata::default();
        for n in (0..50).rev() {
            metadata.insert(&format!("k{n:02}"), "v").unwrap();
        }
        assert_eq!(metadata.insert("one more", "v"), Err(TooManyKeys));
        assert_eq!(metadata.insert("k07", "w"), Ok(()));
        assert_eq!((metadata.get("k07"), metadata.iter().len()), (Some("w"), 50));
        assert!(metadata.iter().map(|(key, _)| key.to_owned()).is_sorted());
    }

    #[test]
    fn metadata_includes_what_it_has_with_the_same_values() {
        let of = |pairs: &[(&str, &str)]| {
            let mut metadata = Metadata::default();
            pairs.iter().for_each(|(key, value)| metadata.insert(key, value).unwrap());
            metadata
        };
        let metadata = of(&[("team", "payments"), ("stage", "live")]);
        assert!(metadata.includes(&of(&[])) && metadata.includes(&of(&[("team", "payments")])));
        assert!(metadata.includes(&of(&[("stage", "live"), ("team", "payments")])));
        assert!(!metadata.includes(&of(&[("team", "payment")])) && !metadata.includes(&of(&[("Team", "payments")])));
        assert!(!metadata.includes(&of(&[("team", "payments"), ("owner", "")])));
    }

    #[test]
    fn annotations_that_say_nothing_are_not_stored() {
        assert_eq!(Annotations::default().boxed(), None);
        let description = Some(Description::parse("d").unwrap());
        assert!(Annotations { description, ..Annotations::default() }.boxed().is_some());
    }
}
