//! Prints tables. In a terminal, some columns are shortened until a line fits.
//!
//! Widths are in terminal columns: a wide character has two, a combining one none. If stdout is not a terminal, a program
//! reads the table, so nothing is shortened unless COLUMNS is set.

use std::{
    env,
    io::{self, BufWriter, IsTerminal, Write},
};

use serde::de::DeserializeOwned;
use unicode_width::UnicodeWidthStr;

use super::{failure::Failure, output, terminal::escaped};
use crate::control::Items;

/// The space between two columns.
const GAP: &str = "  ";
/// The least width of a shortened column.
const MIN_WIDTH: usize = 6;
/// The width of a terminal whose width is unknown.
const DEFAULT_TERMINAL_WIDTH: usize = 80;

/// A column of a table.
#[derive(Clone, Copy)]
pub(super) struct Column {
    heading: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Full,
    Shortened,
    Optional,
}

impl Column {
    /// A column that is always shown in full.
    pub(super) const fn full(heading: &'static str) -> Self {
        Self { heading, kind: Kind::Full }
    }

    /// A column that is shortened if a line does not fit.
    pub(super) const fn shortened(heading: &'static str) -> Self {
        Self { heading, kind: Kind::Shortened }
    }

    /// A column that is left out if all its cells are empty or a line does not fit.
    pub(super) const fn optional(heading: &'static str) -> Self {
        Self { heading, kind: Kind::Optional }
    }
}

/// The width of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// At most that of the terminal, if there is one.
    Terminal,
    /// Unlimited.
    Unlimited,
}

/// Prints a row for each item. Reads the items twice instead of keeping them all in memory.
pub(super) fn print_table<T: DeserializeOwned, const N: usize>(
    columns: [Column; N],
    fit: Fit,
    mut items: Items,
    row: impl Fn(T) -> [String; N],
) -> Result<(), Failure> {
    let cells = |item| row(item).map(|cell| escaped(&cell));
    let mut widths = [0; N];
    items.each(|item| {
        for (width, cell) in widths.iter_mut().zip(cells(item)) {
            *width = cell.width().max(*width);
        }
        io::Result::Ok(())
    })?;
    let widths = fitted(columns, widths, if fit == Fit::Terminal { output_width() } else { None });
    let mut out = BufWriter::new(io::stdout().lock());
    writeln!(out, "{}", line(&columns.map(|column| column.heading.to_owned()), widths)).map_err(Failure::Output)?;
    items.each(|item| writeln!(out, "{}", line(&cells(item), widths)))?;
    out.flush().map_err(Failure::Output)
}

/// The lines of a table whose rows are in memory.
pub(super) fn lines<const N: usize>(columns: [Column; N], rows: &[[String; N]]) -> Vec<String> {
    let rows: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(|cell| escaped(cell))).collect();
    let mut widths = [0; N];
    for (width, cell) in rows.iter().flat_map(|row| (0..N).zip(row)).map(|(at, cell)| (at, cell.width())) {
        widths[width] = cell.max(widths[width]);
    }
    let widths = fitted(columns, widths, output_width());
    let heading = line(&columns.map(|column| column.heading.to_owned()), widths);
    std::iter::once(heading).chain(rows.iter().map(|row| line(row, widths))).collect()
}

/// Prints a line for each key and value.
pub(super) fn print_pairs(pairs: &[(&str, &str)]) -> Result<(), Failure> {
    let width = pairs.iter().map(|(key, _)| key.width()).max().unwrap_or(0);
    let lines =
        pairs.iter().map(|(key, value)| line(&[(*key).to_owned(), escaped(value)], [Some(width), Some(usize::MAX)]));
    output::print(&lines.collect::<Vec<_>>().join("\n"))
}

fn output_width() -> Option<usize> {
    let from_environment = env::var("COLUMNS").ok().and_then(|text| text.parse().ok()).filter(|columns| *columns > 0);
    let stdout = io::stdout();
    match terminal_size::terminal_size_of(&stdout) {
        Some((terminal_size::Width(columns), _)) if columns > 0 => Some(columns.into()),
        _ if stdout.is_terminal() => from_environment.or(Some(DEFAULT_TERMINAL_WIDTH)),
        _ => from_environment,
    }
}

/// The widths of the columns for cells of the widths `cells`, or `None` for a column that is left out. If a line is wider
/// than `available`, leaves out the optional columns, then shortens the widest column again and again until it fits.
fn fitted<const N: usize>(columns: [Column; N], cells: [usize; N], available: Option<usize>) -> [Option<usize>; N] {
    let mut widths: [Option<usize>; N] = std::array::from_fn(|at| match columns[at].kind {
        Kind::Optional if cells[at] == 0 => None,
        _ => Some(cells[at].max(columns[at].heading.width())),
    });
    let Some(available) = available else { return widths };
    let fits = |widths: &[Option<usize>; N]| {
        let shown = widths.iter().flatten();
        shown.clone().sum::<usize>() + GAP.len() * shown.count().saturating_sub(1) <= available
    };
    if !fits(&widths) {
        for (width, column) in widths.iter_mut().zip(columns) {
            *width = width.filter(|_| column.kind != Kind::Optional);
        }
    }
    while !fits(&widths) {
        let can_shrink = |at: &usize| columns[*at].kind == Kind::Shortened && widths[*at] > Some(MIN_WIDTH);
        let Some(widest) = (0..N).filter(can_shrink).max_by_key(|at| widths[*at]) else { break };
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
        let text = shortened(cell, width);
        line += &text;
        padding = width.saturating_sub(text.width()).saturating_add(GAP.len());
    }
    line.truncate(line.trim_end().len());
    line
}

/// The text, or its beginning and an ellipsis if it is too wide.
fn shortened(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
    // The longest beginning that fits, so that combining characters stay with their base character.
    let end = ends.take_while(|end| text[..*end].width() < width).last().unwrap_or(0);
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table_lines(rows: &[[&str; 4]], available: usize) -> Vec<String> {
        let columns =
            [Column::full("ID"), Column::shortened("USER"), Column::shortened("NAME"), Column::optional("EXTRA")];
        let rows: Vec<[String; 4]> = rows.iter().map(|row| row.map(str::to_owned)).collect();
        let mut widths = [0; 4];
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.width().max(*width);
            }
        }
        let widths = fitted(columns, widths, Some(available));
        rows.iter().map(|row| line(row, widths)).collect()
    }

    /// The terminal column in which the second cell begins.
    fn second_begins(line: &str, cell: &str) -> usize {
        line[..line.find(cell).unwrap()].width()
    }

    #[test]
    fn wide_and_combining_characters_are_aligned() {
        let lines = table_lines(&[["李雷", "a", "x", ""], ["Zoe\u{308}", "b", "y", ""], ["⚙️ 1", "c", "z", ""]], 80);
        assert_eq!(lines, ["李雷  a     x", "Zoe\u{308}   b     y", "⚙️ 1  c     z"]);
        assert_eq!(
            [second_begins(&lines[0], "a"), second_begins(&lines[1], "b"), second_begins(&lines[2], "c")],
            [6; 3]
        );
    }

    #[test]
    fn cells_are_shortened_to_fit_but_never_the_id() {
        let id = "01a20d4c-282d-734b-831f-147980497265";
        let lines =
            table_lines(&[[id, "somebody.with.a.long.address@example.com", "李雷李雷李雷李雷李雷李雷李雷", ""]], 60);
        assert_eq!(lines, [format!("{id}  somebody.…  李雷李雷…")]);
        assert!(lines[0].width() <= 60);
        assert_eq!(
            table_lines(&[[id, "ada@example.com", "CI", ""]], 20)[0],
            format!("{id}  ada@e…  CI"),
            "no column can be shortened further"
        );
    }

    #[test]
    fn an_optional_column_is_shown_if_it_is_not_empty_and_fits() {
        let rows = [["1", "ada", "CI", "x"], ["2", "ada", "CI", ""]];
        assert_eq!(table_lines(&rows, 80), ["1   ada   CI    x", "2   ada   CI"]);
        assert_eq!(table_lines(&rows, 20), ["1   ada   CI", "2   ada   CI"]);
    }

    #[test]
    fn combining_characters_stay_with_their_base_character() {
        assert_eq!(shortened("e\u{301}e\u{301}e\u{301}e\u{301}", 3), "e\u{301}e\u{301}…");
        assert_eq!(shortened("李雷", 3), "李…");
        assert_eq!(shortened("李雷", 2), "…");
        assert_eq!(shortened("abc", 3), "abc");
    }
}
