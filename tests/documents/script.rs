//! The commands of a document as one script. Each stands in the line in which the document has it, so that whatever the
//! shell says of a line is said of the document.

use crate::markdown::{Document, Mark, Part};

/// What a comment in a command says of how the command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Promise {
    /// The last request is answered with this status.
    Status(u16),
    Exit(u8),
}

#[derive(Default)]
pub struct Script {
    pub text: String,
    /// The statuses that requests are answered with, by the line of the comment.
    pub statuses: Vec<(usize, u16)>,
    /// What is to be printed: the part that prints it, by its first line, and the block that shows it.
    pub outputs: Vec<(usize, usize)>,
    /// Whether there is anything to run.
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
                        let (command, promise) = promise(&command);
                        put(
                            &mut lines,
                            line,
                            match promise {
                                Some(Promise::Exit(code)) => {
                                    format!("if {command}; then ended 0 {code}; else ended $? {code}; fi")
                                }
                                _ => command.to_owned(),
                            },
                        );
                        if let Some(Promise::Status(status)) = promise {
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

/// The name that a hidden command gives a value, if it is one that may stand in for it in later commands.
fn assigned(command: &str) -> Option<String> {
    let name = command.split_once('=')?.0;
    let is_placeholder = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    is_placeholder.then(|| name.to_owned())
}

/// The command with variables for placeholders that stand alone.
fn filled_in(command: &str, placeholders: &[String]) -> String {
    let word = |word: &str| match placeholders.iter().any(|name| name == word) {
        true => format!("\"${word}\""),
        false => word.to_owned(),
    };
    command.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// The command without a comment that promises something, and what that is.
fn promise(line: &str) -> (&str, Option<Promise>) {
    let Some((command, comment)) = line.rsplit_once(" # ") else { return (line, None) };
    let (is_exit, number) = match comment.strip_prefix("exit ") {
        Some(rest) => (true, rest),
        None => (false, comment),
    };
    let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    let (number, rest) = number.split_at(end);
    let promise = match number.parse::<u16>() {
        Ok(code) if is_exit => u8::try_from(code).ok().map(Promise::Exit),
        Ok(status @ 100..=599) if !rest.starts_with('.') => Some(Promise::Status(status)),
        _ => None,
    };
    (if promise.is_some() { command.trim_end() } else { line }, promise)
}

#[test]
fn a_command_keeps_its_line_and_promises_what_its_comment_says() {
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
