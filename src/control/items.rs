//! An answer that has arrived: kept in memory while it is short, in a temporary file when it is long.
//!
//! It is taken in whole before any of it is printed. So a command whose output is read slowly, by a pager for example,
//! does not hold on to a state of the database meanwhile, which would keep the log from being folded.

use std::io::{self, BufRead, BufReader, Seek, Write};

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tempfile::SpooledTempFile;

use super::{error::Error, frame::Frame};

/// From here on the items are kept in a file.
const IN_MEMORY: usize = 1 << 20;

/// The longest line that is taken: a token with all its limits has less than 32 KiB.
const LONGEST_LINE: usize = 256 * 1024;

/// The items of an answer, each a line of JSON.
pub struct Items {
    lines: SpooledTempFile,
}

impl Items {
    /// Calls `each` with every item as it arrived: JSON without a line break.
    pub fn each_line<E: From<io::Error>>(mut self, mut each: impl FnMut(&str) -> Result<(), E>) -> Result<(), E> {
        self.lines.rewind()?;
        for line in BufReader::new(self.lines).lines() {
            each(&line?)?;
        }
        Ok(())
    }

    /// Calls `each` with every item. It can be called more than once.
    pub fn each<T: DeserializeOwned, E: From<io::Error>>(
        &mut self,
        mut each: impl FnMut(T) -> Result<(), E>,
    ) -> Result<(), E> {
        self.lines.rewind()?;
        for line in BufReader::new(&mut self.lines).lines() {
            each(serde_json::from_str(&line?).map_err(io::Error::from)?)?;
        }
        Ok(())
    }

    /// The only item.
    pub fn single<T: DeserializeOwned>(mut self) -> io::Result<T> {
        let mut found = None;
        self.each(|item| {
            found = Some(item);
            io::Result::Ok(())
        })?;
        found.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

/// Takes in an answer, piece by piece.
pub(super) struct Intake {
    lines: SpooledTempFile,
    partial: Vec<u8>,
    outcome: Option<Result<(), Error>>,
}

impl Intake {
    pub(super) fn new() -> Self {
        Self { lines: SpooledTempFile::new(IN_MEMORY), partial: Vec::new(), outcome: None }
    }

    /// Takes the next piece; answers whether it was the last.
    pub(super) fn take(&mut self, piece: &[u8]) -> io::Result<bool> {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(part);
            if self.partial.ends_with(b"\n") {
                self.take_line()?;
            } else if self.partial.len() > LONGEST_LINE {
                return Err(io::Error::other("a line of the answer is too long"));
            }
        }
        Ok(self.outcome.is_some())
    }

    fn take_line(&mut self) -> io::Result<()> {
        match serde_json::from_slice(&self.partial)? {
            Frame::<&RawValue>::Item(item) => writeln!(self.lines, "{item}")?,
            Frame::Done => self.outcome = Some(Ok(())),
            Frame::Failed(error) => self.outcome = Some(Err(error)),
        }
        self.partial.clear();
        Ok(())
    }

    /// The items, if the answer was complete; `None` where it broke off.
    pub(super) fn finish(self) -> Option<Result<Items, Error>> {
        self.outcome.map(|outcome| outcome.map(|()| Items { lines: self.lines }))
    }
}
