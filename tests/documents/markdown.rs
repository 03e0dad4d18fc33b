//! Parses Markdown as far as the checks need it: fenced blocks, hidden commands, inline code, links and headings.

use std::{fs, path::Path};

/// The allowed languages of fenced blocks. Only `sh` is allowed for commands, so that all of them run.
const LANGUAGES: [&str; 16] = [
    "apache",
    "caddyfile",
    "http",
    "ini",
    "json",
    "lua",
    "mermaid",
    "nginx",
    "php",
    "python",
    "rust",
    "sh",
    "sql",
    "toml",
    "typescript",
    "yaml",
];
/// The language of program output.
pub const TEXT: &str = "text";

pub struct Document {
    /// The path from the root of the repository.
    pub path: String,
    pub parts: Vec<Part>,
    /// The lines outside of blocks and comments, each with its number.
    pub prose: Vec<(usize, String)>,
}

pub enum Part {
    Block(Block),
    /// A hidden command, with its line.
    Hidden(usize, String),
}

pub struct Block {
    /// The line of the opening fence, from 1.
    pub line: usize,
    pub language: String,
    pub mark: Mark,
    /// The lines of the block, without the indentation of the fence.
    pub text: Vec<String>,
    is_closed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    None,
    /// The block is not run or not checked, for this reason.
    Exempt(String),
    Output,
    File(String),
    Unknown(String),
}

/// Every document of the repository, by path.
pub fn all() -> Vec<Document> {
    let mut paths = Vec::new();
    collect("", &mut paths);
    paths.sort();
    paths.into_iter().map(|path| Document::parse(&path, &fs::read_to_string(&path).unwrap())).collect()
}

/// Collects the paths of the documents: those in the root, and those below some of its directories.
fn collect(directory: &str, paths: &mut Vec<String>) {
    for entry in fs::read_dir(Path::new(".").join(directory)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = if directory.is_empty() { name } else { format!("{directory}/{name}") };
        let is_directory = entry.file_type().unwrap().is_dir();
        if is_directory && ["clients", "docs", "deploy", "benches", "tests"].iter().any(|root| path.starts_with(root)) {
            collect(&path, paths);
        } else if !is_directory && path.ends_with(".md") {
            paths.push(path);
        }
    }
}

impl Document {
    pub fn parse(path: &str, text: &str) -> Self {
        let mut document = Self { path: path.to_owned(), parts: Vec::new(), prose: Vec::new() };
        // The open block, its fence and its indentation.
        let mut open: Option<(Block, String, usize)> = None;
        for (line, text) in (1..).zip(text.lines()) {
            let trimmed = text.trim_start();
            match open.take() {
                Some((mut block, fence, _)) if trimmed.trim_end() == fence => {
                    block.is_closed = true;
                    document.parts.push(Part::Block(block));
                }
                Some((mut block, fence, indentation)) => {
                    let spaces = text.bytes().take(indentation).take_while(|byte| *byte == b' ').count();
                    block.text.push(text[spaces..].to_owned());
                    open = Some((block, fence, indentation));
                }
                None if trimmed.starts_with("```") => {
                    let fence: String = trimmed.chars().take_while(|c| *c == '`').collect();
                    open = Some((Block::new(line, &trimmed[fence.len()..]), fence, text.len() - trimmed.len()));
                }
                None => match trimmed.strip_prefix("<!-- test: ").and_then(|rest| rest.trim_end().strip_suffix(" -->"))
                {
                    Some(command) => document.parts.push(Part::Hidden(line, command.to_owned())),
                    None => document.prose.push((line, text.to_owned())),
                },
            }
        }
        document.parts.extend(open.map(|(block, ..)| Part::Block(block)));
        document
    }

    pub fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.parts.iter().filter_map(|part| match part {
            Part::Block(block) => Some(block),
            Part::Hidden(..) => None,
        })
    }

    pub fn hidden(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Block(_) => None,
            Part::Hidden(_, command) => Some(&**command),
        })
    }

    /// How many blocks are not run or not checked.
    pub fn exceptions(&self) -> usize {
        self.blocks().filter(|block| matches!(block.mark, Mark::Exempt(_))).count()
    }

    /// The mistakes in its marks.
    pub fn mistakes(&self) -> Vec<String> {
        let mut mistakes: Vec<String> = self
            .blocks()
            .filter_map(|block| Some(format!("{}:{}: {}", self.path, block.line, block.mistake()?)))
            .collect();
        for (line, text) in &self.prose {
            if text.contains("<!-- test") {
                mistakes.push(format!("{}:{line}: not <!-- test: COMMAND --> on a line of its own", self.path));
            } else if text.contains("```") || text.trim_start().starts_with("~~~") {
                mistakes.push(format!("{}:{line}: a block begins with ``` on a line of its own", self.path));
            }
        }
        mistakes
    }

    /// The anchors of its headings.
    pub fn anchors(&self) -> impl Iterator<Item = String> {
        self.prose.iter().filter(|(_, text)| text.starts_with('#')).map(|(_, text)| {
            let heading = text.trim_start_matches('#').trim().to_lowercase();
            let kept = heading.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
    }

    /// The inline code spans, each with its line. A span may continue in the next line.
    pub fn code(&self) -> Vec<(usize, String)> {
        let (mut spans, mut open): (Vec<_>, Option<(usize, String)>) = (Vec::new(), None);
        for (line, text) in &self.prose {
            if text.trim().is_empty() {
                open = None;
            }
            for (at, piece) in text.split('`').enumerate() {
                if at > 0 {
                    match open.take() {
                        Some(span) => spans.push(span),
                        None => open = Some((*line, String::new())),
                    }
                }
                if let Some((_, span)) = &mut open {
                    if at == 0 {
                        span.push(' ');
                    }
                    span.push_str(piece.trim_end_matches(['\n']));
                }
            }
        }
        spans
    }

    /// The targets of the links, each with its line.
    pub fn links(&self) -> impl Iterator<Item = (usize, &str)> {
        self.prose.iter().flat_map(|(line, text)| {
            text.match_indices("](").map(|(at, _)| (*line, text[at + 2..].split(')').next().unwrap_or_default()))
        })
    }
}

impl Block {
    fn new(line: usize, info: &str) -> Self {
        let (language, rest) = info.trim().split_once(' ').unwrap_or((info.trim(), ""));
        let mark = match rest.trim() {
            "" => Mark::None,
            "output" => Mark::Output,
            rest => {
                let exempt = rest.strip_prefix("no-run: ").or(rest.strip_prefix("no-check: "));
                match (exempt, rest.strip_prefix("file=")) {
                    (Some(reason), _) => Mark::Exempt(reason.trim().to_owned()),
                    (None, Some(name)) => Mark::File(name.to_owned()),
                    (None, None) => Mark::Unknown(rest.to_owned()),
                }
            }
        };
        Self { line, language: language.to_owned(), mark, text: Vec::new(), is_closed: false }
    }

    fn mistake(&self) -> Option<&'static str> {
        let language = &*self.language;
        if !self.is_closed {
            return Some("the block is not closed");
        }
        if language != TEXT && !LANGUAGES.contains(&language) {
            return Some("not one of the languages that are known here; commands are in sh");
        }
        match &self.mark {
            Mark::None => None,
            Mark::Output if language == TEXT || language == "json" => None,
            Mark::Exempt(reason) if (language == "sh" || language == "toml") && !reason.is_empty() => None,
            Mark::File(name) if language != "sh" && !name.is_empty() && !name.contains(['/', ' ']) => None,
            _ => Some("this mark is not known here, or not for this language"),
        }
    }
}

#[test]
fn an_unknown_mark_is_reported_with_its_line() {
    let mistakes_of = |text: &str| Document::parse("x.md", text).mistakes().join("\n");
    let good =
        "```sh\n```\n```sh no-run: why\n```\n````text output\n```\n````\n```toml file=a.toml\n```\n<!-- test: a -->\n";
    assert_eq!(mistakes_of(good), "");
    for bad in [
        "\n```\n```",
        "\n```bash\n```",
        "\n```console\n```",
        "\n```sh no-run\n```",
        "\n```sh no-run: \n```",
        "\n```sh output\n```",
        "\n```toml file=../a\n```",
        "\n```sh\n",
        "\n<!-- test: one\n-->",
        "\n1. ```sh\n",
        "\n~~~sh\n~~~",
    ] {
        assert!(mistakes_of(bad).starts_with("x.md:2: "), "{bad:?}: {}", mistakes_of(bad));
    }
}

#[test]
fn unchecked_blocks_and_hidden_commands_are_found() {
    let text = "<!-- test: a -->\n  ```sh no-run: why\n  a\n  ```\n`one\ntwo` three `four`\n";
    let document = Document::parse("x.md", text);
    assert_eq!((document.exceptions(), document.hidden().collect::<Vec<_>>()), (1, vec!["a"]));
    let code: Vec<_> = document.code().into_iter().map(|(_, code)| code).collect();
    assert!(code.ends_with(&["one two".to_owned(), "four".to_owned()]), "{code:?}");
}
