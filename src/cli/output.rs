//! What the commands print: data to stdout, notes to stderr, and nothing that could drive a terminal.

use std::io::{self, Write};

use serde::Serialize;

use super::Failure;

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

/// Rows below their headings, each column as wide as its widest cell.
pub(super) fn print_table<const N: usize>(
    headings: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> Result<(), Failure> {
    let mut lines = vec![headings.map(str::to_owned)];
    lines.extend(rows.into_iter().map(|row| row.map(|cell| escaped(&cell))));
    print(&aligned(&lines))
}

fn aligned<const N: usize>(lines: &[[String; N]]) -> String {
    let width = |column: usize| {
        let cells = lines.iter().map(|line| line[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |cells: &[String; N]| {
        let padded = cells.iter().zip(widths);
        let padded: Vec<_> = padded.map(|(cell, width)| format!("{cell:width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The text with everything written out that could drive a terminal or show in another order than it is in.
pub(super) fn escaped(text: &str) -> String {
    text.chars()
        .flat_map(|c| match is_tricky(c) {
            true => c.escape_default().collect(),
            false => vec![c],
        })
        .collect()
}

/// Control characters, line separators, and what turns the direction of text (Unicode's Bidi_Control).
fn is_tricky(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_drive_the_terminal() {
        assert_eq!(escaped("Ádá \u{202e}x\u{2066}\u{1b}[2J\n\u{9b}"), "Ádá \\u{202e}x\\u{2066}\\u{1b}[2J\\n\\u{9b}");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let lines = [["A", "B"], ["é", "x"], ["long", ""]];
        let lines = lines.map(|line| line.map(str::to_owned));
        assert_eq!(aligned(&lines), "A     B\né     x\nlong");
    }
}
