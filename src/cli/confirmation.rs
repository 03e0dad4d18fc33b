//! Asks for confirmation on the terminal.

use std::io::{self, IsTerminal, Write};

use super::failure::Failure;

/// Fails if there is no terminal, or if the answer is not "y" or "yes".
pub(super) fn confirm(question: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage("there is no terminal to ask for confirmation; pass --yes".into()));
    }
    let mut answer = String::new();
    let asked = write!(io::stderr().lock(), "{question} [y/N] ").and_then(|()| io::stdin().read_line(&mut answer));
    match asked {
        Ok(_) if ["y", "yes"].contains(&&*answer.trim().to_lowercase()) => Ok(()),
        Ok(_) => Err(Failure::Refused(vec!["nothing was changed".into()])),
        Err(error) => Err(Failure::Refused(vec![format!("the answer cannot be read from the terminal: {error}")])),
    }
}
