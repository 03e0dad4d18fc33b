//! A line on stderr that says how far a long command is. Only on a terminal.

use std::io::{self, IsTerminal, Write};

/// The width of the bar.
const WIDTH: usize = 30;

/// The progress of a command.
pub(super) struct Progress {
    is_shown: bool,
}

impl Progress {
    /// A bar, if stderr is a terminal.
    pub(super) fn new() -> Self {
        Self { is_shown: io::stderr().is_terminal() }
    }

    /// Shows that `done` of `all` is done, and a text.
    pub(super) fn show(&self, done: u64, all: u64, text: &str) {
        if self.is_shown {
            // A failure is ignored: the bar is not the result.
            let _ = write!(io::stderr().lock(), "\r{}\x1b[K", bar(done, all, text));
        }
    }
}

/// Removes the bar.
impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }
}

fn bar(done: u64, all: u64, text: &str) -> String {
    let percent = u128::from(done.min(all)) * 100 / u128::from(all.max(1));
    let percent = usize::try_from(percent).unwrap_or(0);
    let full = WIDTH * percent / 100;
    format!("[{}{}] {percent:3} % {text}", "#".repeat(full), " ".repeat(WIDTH - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_grows_from_nothing_to_all() {
        assert_eq!(bar(0, 10, "0 events"), "[                              ]   0 % 0 events");
        assert_eq!(bar(5, 10, "5 events"), "[###############               ]  50 % 5 events");
        assert_eq!(bar(10, 10, "10 events"), "[##############################] 100 % 10 events");
        assert_eq!(bar(12, 10, ""), "[##############################] 100 % ");
        assert_eq!(bar(0, 0, ""), "[                              ]   0 % ");
    }
}
