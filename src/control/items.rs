//! A received answer. A short one is kept in memory, a long one in a temporary file.
//!
//! It is received as a whole before any of it is printed. If the output is read slowly, by a pager for example, the command
//! would otherwise keep a read transaction open, and checkpoints could not complete.

use std::io::{self, BufRead, BufReader, Seek, Write};

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tempfile::SpooledTempFile;

use super::{error::Error, frame::Frame};

/// Above this size, items are kept in a file.
const IN_MEMORY: usize = 1 << 20;

/// The longest accepted line. A token with all its limits and metadata takes less than 160 KiB.
const LONGEST_LINE: usize = 256 * 1024;

/// The items of an answer, each a line of JSON.
pub struct Items {
    lines: SpooledTempFile,
}

impl Items {
    /// Calls `each` with every item as JSON without a line break.
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

/// Receives an answer chunk by chunk.
pub(super) struct Receiver {
    lines: SpooledTempFile,
    partial: Vec<u8>,
    outcome: Option<Result<(), Error>>,
}

impl Receiver {
    pub(super) fn new() -> Self {
        Self { lines: SpooledTempFile::new(IN_MEMORY), partial: Vec::new(), outcome: None }
    }

    /// Adds the next chunk. Returns whether the answer is complete.
    pub(super) fn add(&mut self, chunk: &[u8]) -> io::Result<bool> {
        for part in chunk.split_inclusive(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(part);
            if self.partial.ends_with(b"\n") {
                self.add_line()?;
            } else if self.partial.len() > LONGEST_LINE {
                return Err(io::Error::other("a line of the answer is too long"));
            }
        }
        Ok(self.outcome.is_some())
    }

    fn add_line(&mut self) -> io::Result<()> {
        match serde_json::from_slice(&self.partial)? {
            Frame::<&RawValue>::Item(item) => writeln!(self.lines, "{item}")?,
            Frame::Done => self.outcome = Some(Ok(())),
            Frame::Failed(error) => self.outcome = Some(Err(error)),
        }
        self.partial.clear();
        Ok(())
    }

    /// The items of a complete answer. `None` if it is incomplete.
    pub(super) fn finish(self) -> Option<Result<Items, Error>> {
        self.outcome.map(|outcome| outcome.map(|()| Items { lines: self.lines }))
    }
}
