//! Checks that the names in sentences exist: paths of the repository, commands of patd with their options, and link targets.

use std::{
    collections::HashMap,
    path::{Component, Path, PathBuf},
    process::Command,
    sync::Mutex,
};

use crate::markdown::{Document, Mark, TEXT};

/// Inline code or a word in a text block is a path if it begins with one of these.
const ROOTS: [&str; 9] =
    [".cargo/", ".github/", "benches/", "clients/", "deploy/", "docs/", "examples/", "src/", "tests/"];

/// The cached help of each command of patd. `None` if there is no such command.
#[derive(Default)]
pub struct Commands(Mutex<HashMap<Vec<String>, Option<String>>>);

impl Commands {
    fn help(&self, words: &[&str]) -> Option<String> {
        let key = words.iter().map(|word| (*word).to_owned()).collect();
        let mut known = self.0.lock().unwrap();
        let read = || {
            let help = Command::new(env!("CARGO_BIN_EXE_patd")).args(words).arg("--help").output().unwrap();
            help.status.success().then(|| String::from_utf8(help.stdout).unwrap())
        };
        known.entry(key).or_insert_with(read).clone()
    }

    /// The mistake in a `patd …` command in a sentence. The command may contain placeholders.
    fn mistake(&self, code: &str) -> Option<String> {
        let words: Vec<&str> = code.split_whitespace().skip(1).collect();
        let is_command = |word: &&&str| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        let is_option = |word: &&&str| word.starts_with('-');
        let command: Vec<&str> =
            words.iter().take_while(|word| is_command(word) && !is_option(word)).copied().collect();
        let Some(help) = self.help(&command) else { return Some(format!("`{code}`: there is no such command")) };
        let options = words.iter().filter(|word| word.starts_with("--")).map(|word| word.split('=').next().unwrap());
        let unknown =
            options.into_iter().find(|option| !help.split([' ', ',', '\n', '[', '=']).any(|word| word == *option));
        unknown.map(|option| format!("`{code}`: it has no option {option}"))
    }
}

/// The mistakes in the names of a document, with lines.
pub fn mistakes(document: &Document, documents: &[Document], commands: &Commands) -> Vec<String> {
    let code = document.code().into_iter().filter_map(|(line, code)| {
        let mistake = match &*code {
            code if code == "patd" || code.starts_with("patd ") => commands.mistake(code),
            code if ROOTS.iter().any(|root| code.starts_with(root)) => path_mistake(code),
            _ => None,
        };
        Some((line, mistake?))
    });
    let in_blocks = document.blocks().filter(|block| block.language == TEXT && block.mark == Mark::None);
    let paths = in_blocks.flat_map(|block| {
        let lines = (block.line + 1..).zip(&block.text);
        lines.flat_map(|(line, text)| text.split([' ', '(', ')', ',']).map(move |word| (line, word)))
    });
    let paths = paths.filter(|(_, word)| ROOTS.iter().any(|root| word.starts_with(root)));
    let paths = paths.filter_map(|(line, word)| Some((line, path_mistake(word)?)));
    let links = document.links().filter_map(|(line, target)| Some((line, link_mistake(document, documents, target)?)));
    code.chain(paths).chain(links).map(|(line, mistake)| format!("{}:{line}: {mistake}", document.path)).collect()
}

fn path_mistake(code: &str) -> Option<String> {
    let path = code.split([' ', ':', '*', '…', '{', '<']).next().unwrap();
    (!Path::new(path).exists()).then(|| format!("`{code}`: {path} does not exist"))
}

fn link_mistake(document: &Document, documents: &[Document], target: &str) -> Option<String> {
    if target.starts_with("https://") {
        return None;
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = match path {
        "" => document.path.clone(),
        path => resolve(&document.path, path),
    };
    let is_found = match documents.iter().find(|other| other.path == path) {
        Some(other) => anchor.is_empty() || other.anchors().any(|known| known == anchor),
        None => anchor.is_empty() && Path::new(&path).exists(),
    };
    (!is_found).then(|| format!("the target of the link {target} does not exist"))
}

/// Resolves the path of a link against the repository root.
fn resolve(document: &str, path: &str) -> String {
    let mut resolved = PathBuf::from(document);
    resolved.pop();
    for component in Path::new(path).components() {
        match component {
            Component::ParentDir => drop(resolved.pop()),
            other => resolved.push(other),
        }
    }
    resolved.to_str().unwrap().to_owned()
}

#[test]
fn an_unknown_name_is_reported_with_its_line() {
    let (commands, path) = (Commands::default(), "docs/x.md");
    let mistakes_of = |text: &str| {
        let documents = [Document::parse(path, text), Document::parse("docs/y.md", "# One thing: `this`\n")];
        mistakes(&documents[0], &documents, &commands).join("\n")
    };
    let good = "`patd`, `patd user …`, `patd token create --user ada@example.com\n--json`, `src/lib.rs`, `src/store/*.rs`,\n\
                [here](../README.md), [there](y.md#one-thing-this), [self](#anchor)\n# Anchor\n```sh\n`patd nothing`\n```\n```text\na -> (src/lib.rs)\n```\n```text output\nsrc/nothing.rs\n```\n";
    assert_eq!(mistakes_of(good), "");
    for bad in [
        "one\n`patd nothing`",
        "one\n`patd token create --nothing`",
        "one\n`src/nothing.rs`",
        "```text\na -> (src/nothing.rs)\n```",
        "one\n[a](nothing.md)",
        "one\n[a](y.md#nothing)",
        "one\n[a](#nothing)",
    ] {
        assert!(mistakes_of(bad).starts_with("docs/x.md:2: "), "{bad}: {}", mistakes_of(bad));
    }
}
