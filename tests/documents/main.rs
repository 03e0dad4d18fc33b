//! Checks the documents: every command in them runs, every example of the configuration is valid, and every path, command
//! and link that they name exists.
//!
//! Fenced blocks in `sh` run in the order of the document, in one shell and one temporary directory. These marks control
//! that. The rendered page does not show them:
//!
//! | in the document | what it does |
//! |---|---|
//! | ```` ```sh no-run: REASON ```` | the block is not run; [`EXCEPTIONS`] counts these |
//! | ```` ```json output ````, ```` ```text output ```` | the block is what the commands before it print ([`output`]) |
//! | ```` ```toml ````, ```` ```toml file=NAME ```` | checked by `patd config check`; with a name, a file for the commands. `seed.toml` is only the file |
//! | ```` ```toml no-check: REASON ```` | not checked; counted with the blocks that are not run |
//! | `<!-- test: COMMAND -->` on a line of its own | a hidden command; [`EXCEPTIONS`] counts these |
//! | `<!-- test: ID=$(…) -->` | the same; in later commands, the word `ID` stands for that value |
//!
//! A comment that begins with a number is checked, too: the answer to `curl … # 403` must have the status 403 (without a
//! comment, a status below 400), and `patd … # exit 6` must exit with 6 (without a comment, with 0).
//!
//! `prelude.sh` replaces `patd serve`, `patd dev`, `cargo`, `tests/run` and others. Ports on 127.0.0.1 are replaced by free
//! ones, so that a document may name any port.
#![expect(clippy::unwrap_used, reason = "a panic fails the test")]
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

/// For each document, the number of blocks that are not run or not checked, and of hidden commands. Other documents have
/// none. Keep the numbers small: a block that is not run may be wrong.
const EXCEPTIONS: &[(&str, usize, usize)] = &[
    ("README.md", 1, 4),
    ("clients/rust/README.md", 1, 0),
    ("docs/clients.md", 0, 1),
    ("docs/cluster.md", 0, 1),
    ("docs/operations.md", 3, 1),
    ("docs/performance.md", 1, 0),
];

#[test]
fn every_command_in_every_document_works() {
    let documents = markdown::all();
    assert!(documents.iter().any(|document| document.path == "README.md"), "no documents were found");
    let mistakes: Vec<String> = thread::scope(|scope| {
        let runs: Vec<_> = documents.iter().map(|document| scope.spawn(|| run::mistakes(document))).collect();
        runs.into_iter().flat_map(|run| run.join().unwrap()).collect()
    });
    assert!(mistakes.is_empty(), "\n{}", mistakes.join("\n\n"));
}

#[test]
fn unchecked_blocks_and_hidden_commands_are_counted() {
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
