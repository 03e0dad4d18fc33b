//! What the commands print: data to stdout, notes to stderr, and nothing that could drive a terminal.

use std::io::{self, BufWriter, Write};

use serde::Serialize;

use super::Failure;
use crate::{control::Items, domain::text::is_hidden};

/// A note on stderr. That nobody can read it is no reason to stop.
pub(super) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Text on stdout, with a line break behind it.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(Failure::Output)
}

/// Data on stdout as one line of JSON.
pub(super) fn print_json(data: &impl Serialize) -> Result<(), Failure> {
    let json = serde_json::to_string(data).map_err(|error| Failure::Defect(error.to_string()))?;
    print(&json)
}

/// A list on stdout as JSON, one item a line.
pub(super) fn print_json_lines(items: Items) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    items.each_line(|line| writeln!(out, "{line}"))?;
    out.flush().map_err(Failure::Output)
}

/// The text with everything written out that could drive a terminal, does not show, or shows in another order than it is
/// in. (A selector of an emoji's form does neither.)
pub(super) fn escaped(text: &str) -> String {
    let is_tricky = |c: char| c.is_control() || is_hidden(c) && !matches!(c, '\u{fe0e}' | '\u{fe0f}');
    text.chars()
        .flat_map(|c| match is_tricky(c) {
            true => c.escape_default().collect(),
            false => vec![c],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_drive_the_terminal() {
        assert_eq!(escaped("Ádá \u{202e}x\u{2066}\u{1b}[2J\n\u{9b}"), "Ádá \\u{202e}x\\u{2066}\\u{1b}[2J\\n\\u{9b}");
        assert_eq!(escaped("a\u{200b}b ❤️"), "a\\u{200b}b ❤️");
    }
}
