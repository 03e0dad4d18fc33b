//! Checks that the names in the glossary are in the code.

use std::{collections::HashSet, fs, path::Path};

use crate::markdown::Document;

/// Adds every word of the source files below `directory`.
fn read_words(directory: &Path, words: &mut HashSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_words(&path, words);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).unwrap();
            let is_separator = |c: char| !c.is_ascii_alphanumeric() && c != '_';
            words.extend(source.split(is_separator).map(str::to_owned));
        }
    }
}

/// The names in code spans in parentheses: `(`Name`)`. Of a path, the last part.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let groups = text.split('(').skip(1).filter_map(|rest| rest.split(')').next());
    let spans = groups.flat_map(|group| group.split('`').skip(1).step_by(2));
    let is_name = |name: &&str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':'));
    spans.filter(is_name).map(|name| name.rsplit(':').next().unwrap())
}

#[test]
fn every_name_in_the_glossary_is_in_the_code() {
    let mut words = HashSet::new();
    read_words(Path::new("src"), &mut words);
    let glossary = Document::parse("docs/glossary.md", &fs::read_to_string("docs/glossary.md").unwrap());
    let named: Vec<&str> = glossary.prose.iter().flat_map(|(_, text)| names(text)).collect();
    assert!(named.len() > 20, "too few names were found in the glossary");
    let unknown: Vec<_> = named.into_iter().filter(|name| !words.contains(*name)).collect();
    assert!(unknown.is_empty(), "these names are not in src: {unknown:?}");
}

#[test]
fn names_are_read_from_parentheses() {
    let found: Vec<_> = names("| x | Like `a`, but (`Token::has_expired`, `Wal`; `pat_…`) `b`. |").collect();
    assert_eq!(found, ["has_expired", "Wal"]);
}
