//! Reads the `-shm` file: how long the write-ahead log is, and how much of it is checkpointed. This shows whether a change
//! of the database file came from SQLite.
//!
//! The format is documented at <https://www.sqlite.org/walformat.html>. Numbers have the byte order of the machine. A
//! program that writes through SQLite keeps the file up to date. A program that overwrites the database file does not.

use std::{fs::File, io, mem::ManuallyDrop, os::unix::fs::FileExt, path::Path};

/// The open `-shm` file. It is never closed, because closing it would drop SQLite's locks on it.
#[derive(Debug)]
pub(super) struct LogIndex(ManuallyDrop<File>);

/// The contents of the file at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LogState {
    /// How many committed pages the log holds.
    pub(super) frames: u32,
    page_size: u16,
    /// The random numbers that SQLite draws each time it starts the log again.
    pub(super) salts: [u8; 8],
    /// How many pages of the log are copied into the database file.
    pub(super) checkpointed: u32,
    /// How many pages will be copied when the latest checkpoint completes.
    attempted: u32,
}

impl LogIndex {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        File::open(path).map(|file| Self(ManuallyDrop::new(file)))
    }

    /// While another process writes, the result may mix old and new values. It is reliable only if the next read is equal.
    pub(super) fn read(&self) -> io::Result<LogState> {
        let mut bytes = [0; 132];
        self.0.read_exact_at(&mut bytes, 0)?;
        let word = |at: usize| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        Ok(LogState {
            frames: word(16),
            page_size: u16::from_ne_bytes([bytes[14], bytes[15]]),
            salts: [32, 33, 34, 35, 36, 37, 38, 39].map(|at| bytes[at]),
            checkpointed: word(96),
            attempted: word(128),
        })
    }
}

impl LogState {
    /// Whether a checkpoint is running, or failed before its end.
    pub(super) const fn is_checkpointing(&self) -> bool {
        self.attempted > self.checkpointed
    }

    /// The minimum size of the log file, in bytes.
    pub(super) fn log_size(&self) -> u64 {
        // The 16-bit field cannot hold 64 KiB. The format encodes it as 1.
        let page_size = if self.page_size == 1 { 1 << 16 } else { u64::from(self.page_size) };
        match self.frames {
            0 => 0,
            frames => LOG_HEADER + u64::from(frames) * (FRAME_HEADER + page_size),
        }
    }
}

const LOG_HEADER: u64 = 32;
const FRAME_HEADER: u64 = 24;
