//! The commands of a document as one script. Each command has the same line number as in the document, so that errors of
//! the shell name the line of the document.

use crate::markdown::{Document, Mark, Part};

/// The expected result that a comment gives for a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// The last request is answered with this status.
    Status(u16),
    Exit(u8),
}

#[derive(Default)]
pub struct Script {
    pub text: String,
    /// The expected statuses of requests, by the line of the comment.
    pub statuses: Vec<(usize, u16)>,
    /// The expected output: the first line of the part that prints it, and the line of the block that shows it.
    pub outputs: Vec<(usize, usize)>,
    /// Whether the document has commands.
    pub has_commands: bool,
}

impl Script {
    pub fn of(document: &Document) -> Self {
        let (mut script, mut lines) = (Self::default(), Vec::new());
        let mut placeholders = Vec::new();
        let mut printed_by = 0;
        for part in &document.parts {
            match part {
                Part::Hidden(line, command) => {
                    printed_by = *line;
                    placeholders.extend(assigned(command));
                    put(&mut lines, *line, format!("begin {line}; {command}"));
                    script.has_commands = true;
                }
                Part::Block(block) if block.mark == Mark::Output => script.outputs.push((printed_by, block.line)),
                Part::Block(block) if block.language == "sh" && block.mark == Mark::None => {
                    printed_by = block.line;
                    put(&mut lines, block.line, format!("begin {}", block.line));
                    for (line, text) in (block.line + 1..).zip(&block.text) {
                        let command = filled_in(text, &placeholders);
                        let (command, expected) = expected(&command);
                        put(
                            &mut lines,
                            line,
                            match expected {
                                Some(Expected::Exit(code)) => {
                                    format!("if {command}; then ended 0 {code}; else ended $? {code}; fi")
                                }
                                _ => command.to_owned(),
                            },
                        );
                        if let Some(Expected::Status(status)) = expected {
                            script.statuses.push((line, status));
                        }
                    }
                    script.has_commands = true;
                }
                Part::Block(_) => {}
            }
        }
        script.text = lines.join("\n") + "\n";
        script
    }
}

fn put(lines: &mut Vec<String>, line: usize, text: String) {
    lines.resize(line - 1, String::new());
    lines.push(text);
}

/// The variable that a hidden command sets, if its name is that of a placeholder: capital letters and underscores.
fn assigned(command: &str) -> Option<String> {
    let name = command.split_once('=')?.0;
    let is_placeholder = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    is_placeholder.then(|| name.to_owned())
}

/// The command with its placeholders replaced by variables. Only whole words are replaced.
fn filled_in(command: &str, placeholders: &[String]) -> String {
    let word = |word: &str| match placeholders.iter().any(|name| name == word) {
        true => format!("\"${word}\""),
        false => word.to_owned(),
    };
    command.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// Splits a command into the command and the expected result in its comment.
fn expected(line: &str) -> (&str, Option<Expected>) {
    let Some((command, comment)) = line.rsplit_once(" # ") else { return (line, None) };
    let (is_exit, number) = match comment.strip_prefix("exit ") {
        Some(rest) => (true, rest),
        None => (false, comment),
    };
    let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    let (number, rest) = number.split_at(end);
    let expected = match number.parse::<u16>() {
        Ok(code) if is_exit => u8::try_from(code).ok().map(Expected::Exit),
        Ok(status @ 100..=599) if !rest.starts_with('.') => Some(Expected::Status(status)),
        _ => None,
    };
    (if expected.is_some() { command.trim_end() } else { line }, expected)
}

#[test]
fn a_command_keeps_its_line_and_its_comment_gives_the_expected_result() {
    let text = "# Title\n<!-- test: ID=$(one) -->\n\n1. Do this:\n\n   ```sh\n   curl a \\\n     -d b  # 401: no token\n   \
                patd show ID   # exit 3\n   patd serve  # 127.0.0.1:8080\n   ```\n\n```json output\n{}\n```\n";
    let script = Script::of(&Document::parse("x.md", text));
    let lines: Vec<&str> = script.text.lines().collect();
    assert_eq!(lines[1], "begin 2; ID=$(one)");
    assert_eq!(lines[5..8], ["begin 6", "curl a \\", "  -d b"]);
    assert_eq!(lines[8], "if patd show \"$ID\"; then ended 0 3; else ended $? 3; fi");
    assert_eq!(lines[9], "patd serve  # 127.0.0.1:8080");
    assert_eq!(script.statuses, [(8, 401)]);
    assert_eq!(script.outputs, [(6, 13)]);
}
