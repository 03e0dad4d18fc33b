//! The table of failures in `docs/operations.md`. Each test of a failure compares what it sees with its row.

use std::collections::BTreeSet;

use crate::support::connection::Answer;

const DOCUMENT: &str = include_str!("../../docs/operations.md");
const HEAD: &str = "| failure | a client sees | `/readyz` | the log says | what to do |";

/// A row of the table: what an operator reads about a failure.
#[derive(Debug)]
pub struct Row {
    pub name: String,
    client: String,
    ready: String,
    log: String,
    remedy: String,
}

impl Row {
    fn all() -> Vec<Self> {
        let rows = DOCUMENT.lines().skip_while(|line| *line != HEAD).skip(2);
        rows.take_while(|line| line.starts_with('|')).map(Self::parse).collect()
    }

    fn parse(line: &str) -> Self {
        let mut cells = line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned());
        let row = [(); 5].map(|()| cells.next().unwrap_or_else(|| panic!("too few cells: {line}")));
        assert_eq!(cells.next(), None, "too many cells: {line}");
        let [name, client, ready, log, remedy] = row;
        Self { name, client, ready, log, remedy }
    }

    /// The row of a failure.
    pub fn of(name: &str) -> Self {
        let row = Self::all().into_iter().find(|row| row.name == name);
        row.unwrap_or_else(|| panic!("the table of failures in docs/operations.md lacks {name:?}"))
    }

    /// The row says that a client gets this answer.
    #[track_caller]
    pub fn expect_answer(&self, answer: &Answer) {
        let shown = shown(answer);
        assert!(self.client.contains(&shown), "{shown} is not in {self:?}: {answer:?}");
    }

    /// The row says that `/readyz` answers this.
    #[track_caller]
    pub fn expect_readiness(&self, answer: &Answer) {
        let shown = shown(answer);
        assert!(self.ready.contains(&shown), "{shown} is not in {self:?}: {answer:?}");
    }

    /// The row says this about what a client sees.
    #[track_caller]
    pub fn expect_words(&self, words: &str) {
        assert!(self.client.contains(words), "{words:?} is not in {self:?}");
    }

    /// Each text that the row quotes from the log is on a line of the log. An ellipsis stands for any text.
    #[track_caller]
    pub fn expect_logged(&self, log: &str) {
        let quoted: Vec<_> = self.log.split('`').skip(1).step_by(2).collect();
        assert!(!quoted.is_empty(), "the log is quoted in {self:?}");
        for text in quoted {
            assert!(log.lines().any(|line| holds(line, text)), "{text:?} is not in the log: {log}");
        }
    }

    /// Whether the row says that no restart is needed.
    pub fn heals(&self) -> bool {
        self.remedy.ends_with("No restart.")
    }
}

/// The status, and the code if it is an error: ``503 `busy` ``.
fn shown(answer: &Answer) -> String {
    match answer.body["code"].as_str() {
        Some(code) => format!("{} `{code}`", answer.status),
        None => answer.status.to_string(),
    }
}

/// Whether the parts of `text` between its ellipses are in the line, one after the other.
fn holds(line: &str, text: &str) -> bool {
    let rest = text.split('…').try_fold(line, |rest, part| rest.find(part).map(|at| &rest[at + part.len()..]));
    rest.is_some()
}

/// Every row has a test, and every test a row. No two rows have one name.
pub fn expect_rows(tests: &[&str]) {
    let rows = Row::all();
    let names: BTreeSet<_> = rows.iter().map(|row| &*row.name).collect();
    assert_eq!(names.len(), rows.len(), "two rows have the same name");
    assert_eq!(names, tests.iter().copied().collect(), "the table of failures (left) and the tests (right) differ");
}

#[test]
fn an_ellipsis_stands_for_any_text_between_two_parts() {
    assert!(holds("store: /tmp/patd.db was deleted: put it back", "store: … was deleted"));
    assert!(holds("one two", "one two"));
    assert!(!holds("was deleted store: ", "store: … was deleted"));
    assert!(!holds("store: was moved", "store: … was deleted"));
}
