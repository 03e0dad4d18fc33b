//! Tables for people: columns as wide as their widest cell, made to fit a terminal.
//!
//! Width is what a terminal shows: two for a wide character, none for a combining one. On a terminal, the columns that can
//! be cut are cut until a line fits. Anywhere else a line is as long as it is, unless COLUMNS says otherwise: a program
//! that reads it gets whole values.

use std::{
    env,
    io::{self, BufWriter, IsTerminal, Write},
};

use serde::de::DeserializeOwned;
use unicode_width::UnicodeWidthStr;

use super::{Failure, output::escaped};
use crate::control::Items;

/// What stands between two columns.
const GAP: &str = "  ";
/// A column that is cut keeps so much.
const LEAST: usize = 6;
/// The width of a terminal that does not tell.
const USUAL: usize = 80;

/// A column of a table.
#[derive(Clone, Copy)]
pub(super) struct Column {
    heading: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Whole,
    Cut,
    Optional,
}

impl Column {
    /// One that is always shown whole.
    pub(super) const fn whole(heading: &'static str) -> Self {
        Self { heading, kind: Kind::Whole }
    }

    /// One that is cut where a line would not fit.
    pub(super) const fn cut(heading: &'static str) -> Self {
        Self { heading, kind: Kind::Cut }
    }

    /// One that is left out where all its cells are empty, or a line would not fit.
    pub(super) const fn optional(heading: &'static str) -> Self {
        Self { heading, kind: Kind::Optional }
    }
}

/// How wide a line may be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// As wide as the terminal, if there is one.
    Terminal,
    /// As wide as it is.
    Never,
}

/// Prints a table with a row for each item, in the same memory however many they are.
pub(super) fn print_table<T: DeserializeOwned, const N: usize>(
    columns: [Column; N],
    fit: Fit,
    mut items: Items,
    row: impl Fn(T) -> [String; N],
) -> Result<(), Failure> {
    let cells = |item| row(item).map(|cell| escaped(&cell));
    let mut natural = [0; N];
    items.each(|item| {
        for (width, cell) in natural.iter_mut().zip(cells(item)) {
            *width = cell.width().max(*width);
        }
        io::Result::Ok(())
    })?;
    let widths = fitted(columns, natural, if fit == Fit::Terminal { width_of_output() } else { None });
    let mut out = BufWriter::new(io::stdout().lock());
    writeln!(out, "{}", line(&columns.map(|column| column.heading.to_owned()), widths)).map_err(Failure::Output)?;
    items.each(|item| writeln!(out, "{}", line(&cells(item), widths)))?;
    out.flush().map_err(Failure::Output)
}

/// Prints lines of a key and its value.
pub(super) fn print_pairs(pairs: &[(&str, &str)]) -> Result<(), Failure> {
    let width = pairs.iter().map(|(key, _)| key.width()).max().unwrap_or(0);
    let lines =
        pairs.iter().map(|(key, value)| line(&[(*key).to_owned(), escaped(value)], [Some(width), Some(usize::MAX)]));
    super::output::print(&lines.collect::<Vec<_>>().join("\n"))
}

fn width_of_output() -> Option<usize> {
    let said = env::var("COLUMNS").ok().and_then(|text| text.parse().ok()).filter(|columns| *columns > 0);
    let stdout = io::stdout();
    match terminal_size::terminal_size_of(&stdout) {
        Some((terminal_size::Width(columns), _)) if columns > 0 => Some(columns.into()),
        _ if stdout.is_terminal() => said.or(Some(USUAL)),
        _ => said,
    }
}

/// The widths of the columns that are shown, in at most `room`, where the cells are as wide as `natural`. It leaves out what
/// is optional, and then takes from the widest of those that can be cut, until a line fits or nothing is left to take.
fn fitted<const N: usize>(columns: [Column; N], natural: [usize; N], room: Option<usize>) -> [Option<usize>; N] {
    let mut widths: [Option<usize>; N] = std::array::from_fn(|at| match columns[at].kind {
        Kind::Optional if natural[at] == 0 => None,
        _ => Some(natural[at].max(columns[at].heading.width())),
    });
    let Some(room) = room else { return widths };
    let fits = |widths: &[Option<usize>; N]| {
        let shown = widths.iter().flatten();
        shown.clone().sum::<usize>() + GAP.len() * shown.count().saturating_sub(1) <= room
    };
    if !fits(&widths) {
        for (width, column) in widths.iter_mut().zip(columns) {
            *width = width.filter(|_| column.kind != Kind::Optional);
        }
    }
    while !fits(&widths) {
        let can_give = |at: &usize| columns[*at].kind == Kind::Cut && widths[*at] > Some(LEAST);
        let Some(widest) = (0..N).filter(can_give).max_by_key(|at| widths[*at]) else { break };
        widths[widest] = widths[widest].map(|width| width - 1);
    }
    widths
}

fn line<const N: usize>(cells: &[String; N], widths: [Option<usize>; N]) -> String {
    let mut line = String::new();
    let mut padding = 0;
    for (cell, width) in cells.iter().zip(widths) {
        let Some(width) = width else { continue };
        line.extend(std::iter::repeat_n(' ', padding));
        let shown = cut(cell, width);
        line += &shown;
        padding = width.saturating_sub(shown.width()).saturating_add(GAP.len());
    }
    line.truncate(line.trim_end().len());
    line
}

/// The text, or as much of it as fits before an ellipsis.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
    // The longest, so that combining characters stay with the one that they belong to.
    let end = ends.take_while(|end| text[..*end].width() < width).last().unwrap_or(0);
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(rows: &[[&str; 4]], room: usize) -> Vec<String> {
        let columns = [Column::whole("ID"), Column::cut("USER"), Column::cut("NAME"), Column::optional("EXTRA")];
        let rows: Vec<[String; 4]> = rows.iter().map(|row| row.map(str::to_owned)).collect();
        let mut natural = [0; 4];
        for row in &rows {
            for (width, cell) in natural.iter_mut().zip(row) {
                *width = cell.width().max(*width);
            }
        }
        let widths = fitted(columns, natural, Some(room));
        rows.iter().map(|row| line(row, widths)).collect()
    }

    /// Where the second column begins, in columns of a terminal.
    fn second_begins(line: &str, cell: &str) -> usize {
        line[..line.find(cell).unwrap()].width()
    }

    #[test]
    fn wide_and_combining_characters_are_aligned() {
        let lines = shown(&[["李雷", "a", "x", ""], ["Zoe\u{308}", "b", "y", ""], ["⚙️ 1", "c", "z", ""]], 80);
        assert_eq!(lines, ["李雷  a     x", "Zoe\u{308}   b     y", "⚙️ 1  c     z"]);
        assert_eq!(
            [second_begins(&lines[0], "a"), second_begins(&lines[1], "b"), second_begins(&lines[2], "c")],
            [6; 3]
        );
    }

    #[test]
    fn what_does_not_fit_is_cut_and_never_the_id() {
        let id = "01a20d4c-282d-734b-831f-147980497265";
        let lines = shown(&[[id, "somebody.with.a.long.address@example.com", "李雷李雷李雷李雷李雷李雷李雷", ""]], 60);
        assert_eq!(lines, [format!("{id}  somebody.…  李雷李雷…")]);
        assert!(lines[0].width() <= 60);
        assert_eq!(
            shown(&[[id, "ada@example.com", "CI", ""]], 20)[0],
            format!("{id}  ada@e…  CI"),
            "no more can be cut"
        );
    }

    #[test]
    fn what_is_optional_is_shown_where_it_says_something_and_fits() {
        let rows = [["1", "ada", "CI", "x"], ["2", "ada", "CI", ""]];
        assert_eq!(shown(&rows, 80), ["1   ada   CI    x", "2   ada   CI"]);
        assert_eq!(shown(&rows, 20), ["1   ada   CI", "2   ada   CI"]);
    }

    #[test]
    fn a_cut_keeps_combining_characters_with_theirs() {
        assert_eq!(cut("e\u{301}e\u{301}e\u{301}e\u{301}", 3), "e\u{301}e\u{301}…");
        assert_eq!(cut("李雷", 3), "李…");
        assert_eq!(cut("李雷", 2), "…");
        assert_eq!(cut("abc", 3), "abc");
    }
}
