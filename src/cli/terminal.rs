//! Messages on stderr, and text that is safe to show in a terminal.

use std::io::{self, Write};

use crate::domain::text::is_hidden;

/// Prints a message on stderr. A failure is ignored, because nothing else could report it.
pub(super) fn print_message(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// The text with control characters, invisible characters and those that change the direction of text escaped. Variation
/// selectors of emoji are harmless and stay.
pub(super) fn escaped(text: &str) -> String {
    let must_be_escaped = |c: char| c.is_control() || is_hidden(c) && !matches!(c, '\u{fe0e}' | '\u{fe0f}');
    text.chars()
        .flat_map(|c| match must_be_escaped(c) {
            true => c.escape_default().collect(),
            false => vec![c],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_control_the_terminal() {
        assert_eq!(escaped("Ádá \u{202e}x\u{2066}\u{1b}[2J\n\u{9b}"), "Ádá \\u{202e}x\\u{2066}\\u{1b}[2J\\n\\u{9b}");
        assert_eq!(escaped("a\u{200b}b ❤️"), "a\\u{200b}b ❤️");
    }
}
