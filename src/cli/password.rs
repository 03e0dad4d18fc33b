//! Reads a password from a prompt, stdin or a file. Never from an argument, because `ps` and shell histories show it.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, IsTerminal},
    path::PathBuf,
};

use clap::Args;
use zeroize::Zeroizing;

use super::failure::Failure;
use crate::{control::Secret, domain::account::Password, ops::FieldError};

/// How much of a line is read, in bytes. Passwords longer than [`Password::MAX_BYTES`] are refused anyway.
const MAX_LINE: u64 = 16 * 1024;

#[derive(Debug, Args)]
#[group(multiple = false)]
pub(super) struct PasswordSource {
    /// Read the password from the first line of stdin
    #[arg(long)]
    password_stdin: bool,
    /// Read the password from the first line of a file
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl PasswordSource {
    /// Reads the password. Without an option, asks for it in the terminal.
    pub(super) fn read(&self) -> Result<Secret, Failure> {
        let text = match &self.password_file {
            Some(path) => File::open(path)
                .and_then(|file| first_line(BufReader::new(file)))
                .map_err(|error| cannot_read(&path.display().to_string(), &error))?,
            None if self.password_stdin => {
                first_line(io::stdin().lock()).map_err(|error| cannot_read("stdin", &error))?
            }
            None if io::stdin().is_terminal() => prompt()?,
            None => {
                return Err(Failure::Usage(
                    "there is no terminal to ask for the password; pass it with --password-stdin or --password-file FILE"
                        .into(),
                ));
            }
        };
        // Checked before it is sent anywhere.
        Password::parse(&text).map_err(|error| vec![FieldError::new("password", error)])?;
        Ok(Secret::new(text))
    }
}

fn prompt() -> Result<Zeroizing<String>, Failure> {
    let ask = |prompt: &str| {
        rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(|error| cannot_read("the terminal", &error))
    };
    let password = ask("Password: ")?;
    if *password != *ask("Repeat the password: ")? {
        return Err(Failure::Refused(vec!["the two passwords are different".into()]));
    }
    Ok(password)
}

fn first_line(reader: impl BufRead) -> io::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::new());
    reader.take(MAX_LINE).read_line(&mut line)?;
    let end = line.strip_suffix('\n').map_or(line.len(), |line| line.strip_suffix('\r').unwrap_or(line).len());
    line.truncate(end);
    Ok(line)
}

fn cannot_read(source: &str, error: &io::Error) -> Failure {
    Failure::Refused(vec![format!("the password cannot be read from {source}: {error}")])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_line_break_is_trimmed() {
        let line = |text: &str| first_line(text.as_bytes()).unwrap().to_string();
        assert_eq!(line(" a b \n"), " a b ");
        assert_eq!(line("a\r\nb\n"), "a");
        assert_eq!(line("a"), "a");
        assert_eq!(line("a\r"), "a\r");
        assert_eq!(line("\n"), "");
    }
}
