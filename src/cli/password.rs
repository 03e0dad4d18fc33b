//! Where a command takes a password from: a prompt, stdin or a file, never an argument, which `ps` and histories show.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, IsTerminal},
    path::PathBuf,
};

use clap::Args;
use zeroize::Zeroizing;

use super::Failure;
use crate::{control::Secret, domain::account::Password, ops::FieldError};

/// A longer line is refused in any case ([`Password::MAX_BYTES`]); this bounds what is read of it.
const MAX_LINE: u64 = 16 * 1024;

#[derive(Debug, Args)]
#[group(multiple = false)]
pub(super) struct PasswordSource {
    /// Read the password from stdin: its first line
    #[arg(long)]
    password_stdin: bool,
    /// Read the password from a file: its first line
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl PasswordSource {
    /// Reads the password, from a prompt where no option says otherwise.
    pub(super) fn read(&self) -> Result<Secret, Failure> {
        let text = match &self.password_file {
            Some(path) => File::open(path)
                .and_then(|file| first_line(BufReader::new(file)))
                .map_err(|error| unreadable(&path.display().to_string(), &error))?,
            None if self.password_stdin => {
                first_line(io::stdin().lock()).map_err(|error| unreadable("stdin", &error))?
            }
            None if io::stdin().is_terminal() => prompt()?,
            None => {
                return Err(Failure::Usage(
                    "there is no terminal to ask for the password on; give it by --password-stdin or --password-file FILE"
                        .into(),
                ));
            }
        };
        // Judged before it goes anywhere.
        Password::parse(&text).map_err(|error| vec![FieldError::new("password", error)])?;
        Ok(Secret::new(text))
    }
}

fn prompt() -> Result<Zeroizing<String>, Failure> {
    let ask = |prompt: &str| {
        rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(|error| unreadable("the terminal", &error))
    };
    let password = ask("Password: ")?;
    if *password != *ask("Again: ")? {
        return Err(Failure::Refused(vec!["the two passwords differ".into()]));
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

fn unreadable(from: &str, error: &io::Error) -> Failure {
    Failure::Refused(vec![format!("the password cannot be read from {from}: {error}")])
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
