//! The option `--metadata KEY=VALUE`.

use std::collections::BTreeMap;

use crate::cli::failure::Failure;

/// Parses `KEY=VALUE`. The key ends at the first equals sign.
pub(super) fn parse_pair(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE, such as team=payments"),
    }
}

/// The pairs of all options. A key that is given twice is probably a mistake.
pub(super) fn pairs(given: Vec<(String, String)>) -> Result<BTreeMap<String, String>, Failure> {
    let mut pairs = BTreeMap::new();
    for (key, value) in given {
        if pairs.contains_key(&key) {
            return Err(Failure::Usage(format!("--metadata names the key {key:?} twice")));
        }
        pairs.insert(key, value);
    }
    Ok(pairs)
}
