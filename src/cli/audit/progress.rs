//! A line on stderr that says how far an export is. Only on a terminal.

use std::io::{self, IsTerminal, Write};

/// The width of the bar.
const WIDTH: usize = 30;

/// The progress through a range of event numbers.
pub(super) struct Progress {
    first: i64,
    last: i64,
    is_shown: bool,
}

impl Progress {
    /// A bar for the events from `first` to `last`, if stderr is a terminal.
    pub(super) fn new(first: i64, last: i64) -> Self {
        Self { first, last, is_shown: io::stderr().is_terminal() }
    }

    /// Shows that the events up to this number are written.
    pub(super) fn show(&self, seq: i64, events: u64) {
        if self.is_shown {
            // A failure is ignored: the bar is not the result.
            let _ = write!(io::stderr().lock(), "\r{}", bar(self.first, self.last, seq, events));
        }
    }

    /// Removes the bar.
    pub(super) fn clear(&self) {
        if self.is_shown {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }
}

fn bar(first: i64, last: i64, seq: i64, events: u64) -> String {
    let all = i128::from(last) - i128::from(first) + 1;
    let done = (i128::from(seq) - i128::from(first) + 1).clamp(0, all);
    let percent = usize::try_from(done * 100 / all.max(1)).unwrap_or(0);
    let full = WIDTH * percent / 100;
    format!("[{}{}] {percent:3} % {events} events", "#".repeat(full), " ".repeat(WIDTH - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_grows_from_nothing_to_all() {
        assert_eq!(bar(1, 10, 0, 0), "[                              ]   0 % 0 events");
        assert_eq!(bar(1, 10, 5, 5), "[###############               ]  50 % 5 events");
        assert_eq!(bar(1, 10, 10, 10), "[##############################] 100 % 10 events");
    }
}
