//! What a page says after a form was sent, and what it says if the form does not say what to do.

use super::{page::PageError, texts::Texts};
use crate::http::error::ApiError;

/// The text for the value of `done` in the address. Empty for an unknown one.
pub(super) fn notice(texts: Texts, done: &str, known: &[(&str, &str)]) -> String {
    known.iter().find(|(name, _)| *name == done).map(|(_, text)| texts.say(text)).unwrap_or_default()
}

/// The error of a form whose field `do` is not known.
pub(super) fn unknown_action() -> PageError {
    ApiError::Malformed("The form does not say what to do.".to_owned()).into()
}
