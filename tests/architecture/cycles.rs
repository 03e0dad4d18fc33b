//! Finds groups of files that import each other, directly or through others.
//!
//! A path such as `crate::a::b::Item`, `super::b` or `child::run` leads to the file of the innermost module that it names.
//! A name that `a/mod.rs` exports again leads to `a/mod.rs`. Declarations (`mod child;`) and unit tests do not count.

use std::collections::{BTreeMap, BTreeSet};

/// A file by its module path, for example `["cli", "token", "list"]`; the crate's root is empty.
type Module = Vec<String>;

/// The groups of files of which each imports every other, directly or through others. `files` are places below `src` with
/// their text.
pub(crate) fn cycles(files: &[(String, String)]) -> Vec<BTreeSet<String>> {
    let files = || files.iter().filter(|(place, _)| !is_test(place));
    let modules: BTreeMap<Module, &str> = files().map(|(place, _)| (module(place), place.as_str())).collect();
    let imports: BTreeMap<&str, BTreeSet<&str>> =
        files().map(|(place, source)| (place.as_str(), imported(place, source, &modules))).collect();
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        imports.keys().map(|place| (*place, reachable(place, &imports))).collect();
    let mut groups = BTreeSet::new();
    for (place, targets) in &reached {
        let group: BTreeSet<String> =
            targets.iter().filter(|target| reached[*target].contains(place)).map(ToString::to_string).collect();
        if !group.is_empty() {
            groups.insert(group);
        }
    }
    groups.into_iter().collect()
}

/// Whether the file has unit tests and nothing else.
fn is_test(place: &str) -> bool {
    place.trim_end_matches(".rs").split('/').any(|part| part == "tests")
}

fn module(place: &str) -> Module {
    let path = place.trim_end_matches(".rs").trim_end_matches("/mod");
    match path {
        "lib" => Vec::new(),
        path => path.split('/').map(str::to_owned).collect(),
    }
}

fn reachable<'f>(from: &str, imports: &BTreeMap<&'f str, BTreeSet<&'f str>>) -> BTreeSet<&'f str> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&str> = imports[from].iter().copied().collect();
    while let Some(place) = open.pop() {
        if reached.insert(place) {
            open.extend(&imports[place]);
        }
    }
    reached
}

/// The other files that a file imports.
fn imported<'f>(place: &str, source: &str, modules: &BTreeMap<Module, &'f str>) -> BTreeSet<&'f str> {
    let here = module(place);
    let mut found = Vec::new();
    let code = without_tests(source);
    let mut rest = code.as_str();
    while let Some(at) = rest.find(|c: char| is_word(c)) {
        // A word after a dot is a field or a method, and one after a quote a lifetime or a character.
        let is_start = !rest[..at].ends_with(['.', '\'']);
        rest = &rest[at..];
        let mut paths = Vec::new();
        let length = read_paths(rest, &[], &mut paths);
        if is_start {
            found.extend(paths);
        }
        rest = &rest[length..];
    }
    let files = found.iter().filter_map(|path| target(path, &here, modules));
    files.filter(|file| *file != place).collect()
}

/// The code without comments, visibilities and the module of unit tests at its end.
fn without_tests(source: &str) -> String {
    let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = code.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.map(|line| line.replace("pub(in crate::", "pub(in ")).collect::<Vec<_>>().join("\n")
}

/// Reads the path that `text` begins with, its groups (`a::{b, c::d}`) taken apart. Answers its length.
fn read_paths(text: &str, before: &[String], paths: &mut Vec<Module>) -> usize {
    let mut path = before.to_vec();
    let mut at = 0;
    loop {
        let end = text[at..].find(|c| !is_word(c)).map_or(text.len(), |end| at + end);
        path.push(text[at..end].to_owned());
        at = end;
        let Some(rest) = text[at..].strip_prefix("::") else { break };
        if let Some(group) = rest.strip_prefix('{') {
            at = text.len() - group.len();
            while let Some(next) = text[at..].find(|c: char| is_word(c) || matches!(c, '}' | '*')) {
                at += next;
                at += match &text[at..=at] {
                    "}" => return at + 1,
                    "*" => {
                        paths.push([&path[..], &["*".to_owned()]].concat());
                        1
                    }
                    _ => read_paths(&text[at..], &path, paths),
                };
            }
            return at;
        }
        match rest.chars().next() {
            Some('*') => path.push("*".to_owned()),
            Some(c) if is_word(c) => {
                at += "::".len();
                continue;
            }
            _ => {}
        }
        break;
    }
    // A single word is no import: it is a visibility, a declaration or a local name.
    if path.len() > 1 {
        paths.push(path);
    }
    at
}

/// The file that a path written in the module `here` leads to. Paths to other crates and to local items lead nowhere.
fn target<'f>(path: &[String], here: &[String], modules: &BTreeMap<Module, &'f str>) -> Option<&'f str> {
    let (first, mut rest) = path.split_first()?;
    let mut module = here.to_vec();
    match first.as_str() {
        "crate" => module.clear(),
        "self" => {}
        "super" => {
            module.pop();
        }
        child => {
            module.push(child.to_owned());
            modules.get(&module)?;
        }
    }
    while let Some((next, after)) = rest.split_first() {
        match next.as_str() {
            "super" => {
                module.pop();
            }
            next => {
                module.push(next.to_owned());
                if !modules.contains_key(&module) {
                    module.pop();
                    break;
                }
            }
        }
        rest = after;
    }
    modules.get(&module).copied()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[test]
fn a_cycle_is_found_however_it_is_written() {
    let cycle = |files: &[(&str, &str)]| {
        let roots = [("lib.rs", ""), ("ops/mod.rs", "")];
        let files = roots.iter().chain(files).map(|(place, source)| ((*place).to_owned(), (*source).to_owned()));
        let files: Vec<_> = files.collect();
        cycles(&files)
    };
    let both = |a, b| vec![BTreeSet::from([String::from(a), String::from(b)])];

    let (a, b) = ("ops/a.rs", "ops/b.rs");
    assert_eq!(cycle(&[(a, "use crate::ops::b::B;"), (b, "use super::{c, a::A};"), ("ops/c.rs", "")]), both(a, b));
    assert_eq!(
        cycle(&[(a, "use crate::{\n    ops::{\n        b::B,\n    },\n};"), (b, "super::a::run();")]),
        both(a, b)
    );
    assert_eq!(cycle(&[(a, "use super::b;"), (b, "// use super::a;\nlet x = y.a; use other::ops::a;")]), []);
    assert_eq!(cycle(&[(a, "use super::b;"), (b, "#[cfg(test)]\nmod tests {\n    use super::super::a;\n}")]), []);

    let (parent, child) = ("cli/mod.rs", "cli/serve.rs");
    assert_eq!(
        cycle(&[(parent, "mod serve;\nfn run() { serve::run() }"), (child, "use super::Failure;")]),
        both(parent, child)
    );
    assert_eq!(
        cycle(&[(parent, "mod serve;\npub use self::serve::Serve;"), (child, "use super::*;")]),
        both(parent, child)
    );
    assert_eq!(cycle(&[(parent, "mod serve;"), (child, "use super::Failure;")]), []);

    let (third, all) = ("http/mod.rs", ["http/mod.rs", "ops/a.rs", "ops/b.rs"].map(str::to_owned));
    let found = cycle(&[(a, "use super::b;"), (b, "use crate::http::App;"), (third, "use crate::ops::a;")]);
    assert_eq!(found, [BTreeSet::from(all)]);
}
