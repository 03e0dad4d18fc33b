//! The documents are true: every command in them runs, every example of the configuration is sound, every path, command
//! and link that they name exists.
//!
//! How to write one. A fenced block in `sh` is run, in the order of the document, in one shell and one temporary
//! directory. These marks steer that; a reader of the rendered page sees none of them:
//!
//! | in the document | what it does |
//! |---|---|
//! | ```` ```sh no-run: REASON ```` | the block is not run; [`EXCEPTIONS`] counts these |
//! | ```` ```json output ````, ```` ```text output ```` | the block is what the commands before it print ([`output`]) |
//! | ```` ```toml ````, ```` ```toml file=NAME ```` | checked by `patd config check`; with a name, a file for the commands |
//! | ```` ```toml no-check: REASON ```` | not checked; counted with the blocks that are not run |
//! | `<!-- test: COMMAND -->` on a line of its own | a command that the reader does not see; [`EXCEPTIONS`] counts these |
//! | `<!-- test: ID=$(…) -->` | the same; from here on, the word `ID` in a command stands for that value |
//!
//! In a command, a comment that begins with a number is checked, too: `curl … # 403` must be answered with 403 (without
//! a comment, with less than 400), and `patd … # exit 6` must end with 6 (without one, with 0).
//!
//! `prelude.sh` says what `patd serve`, `patd dev`, `cargo`, `tests/run` and others do here. Ports on 127.0.0.1 become free
//! ones, so that a document may name any.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(unreachable_pub, reason = "a test binary has no outside")]

mod markdown;
mod names;
mod output;
mod ports;
mod routes;
mod run;
mod script;
mod terms;

use std::{collections::BTreeSet, thread};

use markdown::Document;

/// How many blocks of a document are not run or not checked, and how many of its lines are hidden commands. A document
/// that is not listed has none. Keep the numbers small: what is not run is not known to be true.
const EXCEPTIONS: &[(&str, usize, usize)] = &[("README.md", 1, 4), ("docs/operations.md", 1, 1)];

#[test]
fn every_command_in_every_document_works() {
    let documents = markdown::all();
    assert!(documents.iter().any(|document| document.path == "README.md"), "the documents were found");
    let mistakes: Vec<String> = thread::scope(|scope| {
        let runs: Vec<_> = documents.iter().map(|document| scope.spawn(|| run::mistakes(document))).collect();
        runs.into_iter().flat_map(|run| run.join().unwrap()).collect()
    });
    assert!(mistakes.is_empty(), "\n{}", mistakes.join("\n\n"));
}

#[test]
fn what_is_not_run_and_what_is_hidden_is_counted() {
    let found: BTreeSet<_> = markdown::all()
        .iter()
        .map(|document| (document.path.clone(), document.exceptions(), document.hidden().count()))
        .filter(|(_, exceptions, hidden)| exceptions + hidden > 0)
        .collect();
    let expected = EXCEPTIONS.iter().map(|&(path, exceptions, hidden)| (path.to_owned(), exceptions, hidden)).collect();
    assert_eq!(found, expected, "(document, blocks not run or not checked, hidden commands)");
}

#[test]
fn every_mark_in_a_document_is_known() {
    let mistakes: Vec<String> = markdown::all().iter().flat_map(Document::mistakes).collect();
    assert!(mistakes.is_empty(), "{mistakes:#?}");
}

#[test]
fn every_path_link_and_command_that_a_sentence_names_exists() {
    let (documents, commands) = (markdown::all(), names::Commands::default());
    let mistakes: Vec<String> =
        documents.iter().flat_map(|document| names::mistakes(document, &documents, &commands)).collect();
    assert!(mistakes.is_empty(), "{mistakes:#?}");
}
