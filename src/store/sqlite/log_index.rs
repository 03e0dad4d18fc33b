//! The `-shm` file as far as it tells who changes the database file: how long the log is, and how much of it is checkpointed.
//!
//! Its form is documented at <https://www.sqlite.org/walformat.html>, in the byte order of the machine. Every program
//! that writes the database through SQLite keeps it up to date; one that overwrites the file does not.

use std::{fs::File, io, mem::ManuallyDrop, os::unix::fs::FileExt, path::Path};

/// The open `-shm` file, for as long as the process lives: to close it would drop SQLite's locks on it.
#[derive(Debug)]
pub(super) struct LogIndex(ManuallyDrop<File>);

/// What it says at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LogState {
    /// The pages in the log that are committed.
    pub(super) frames: u32,
    page_size: u16,
    /// The random numbers of this beginning of the log.
    pub(super) salts: [u8; 8],
    /// The pages of the log that are in the file.
    pub(super) checkpointed: u32,
    /// The same, as of the end of the checkpoint that was begun last.
    attempted: u32,
}

impl LogIndex {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        File::open(path).map(|file| Self(ManuallyDrop::new(file)))
    }

    /// A reading beside somebody who writes may be half old, half new: it proves something only if the next is the same.
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
    /// Whether somebody writes log pages into the file, or began to and failed.
    pub(super) const fn is_checkpointing(&self) -> bool {
        self.attempted > self.checkpointed
    }

    /// The bytes that the log file has at least.
    pub(super) fn log_size(&self) -> u64 {
        // 1 stands for 64 KiB, which the field cannot hold.
        let page_size = if self.page_size == 1 { 1 << 16 } else { u64::from(self.page_size) };
        match self.frames {
            0 => 0,
            frames => LOG_HEADER + u64::from(frames) * (FRAME_HEADER + page_size),
        }
    }
}

const LOG_HEADER: u64 = 32;
const FRAME_HEADER: u64 = 24;
