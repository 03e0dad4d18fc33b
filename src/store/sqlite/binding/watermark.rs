//! How much of the log was acknowledged: a note in the file `-watermark` beside the database.
//!
//! The log alone cannot say how long it was. If its last transaction is damaged, or it was cut off or removed, it looks as if
//! the transaction had never been. So the writer notes after each commit, and before it answers, how long the log is. The
//! note is not synced, since that would double the cost of a commit. It survives the death of the process, since it is
//! then with the operating system; after a power cut it may be an older note. So it never claims more than there was.
//!
//! The note says of which log it speaks (by its salts and the nonces around it), and what the last frame's page looks like.
//! By that page, a log that is gone can be told from one that another program checkpointed: then the page is in the file.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, fchown},
    path::{Path, PathBuf},
};

use super::{
    row::Nonce,
    scan::{Checksum, FrameHead, Salts},
};
use crate::store::sqlite::identity::beside;

const MAGIC: &[u8; 8] = b"patdmark";
const LENGTH: usize = 8 + 16 + 16 + 4 + 4 + FRAME + 8 + 4;
/// A frame's head, as it is in the log.
const FRAME: usize = 24;

/// What was acknowledged last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// The nonce in the file that the log continues.
    pub(super) base: Nonce,
    /// The log's own.
    pub(super) nonce: Nonce,
    /// The page of the row that holds them.
    pub(super) row_page: u32,
    /// How many frames the log has.
    pub(super) frames: u32,
    /// The head of the last of them.
    pub(super) last: [u8; FRAME],
    /// The checksum of the frame before, which the last one continues.
    pub(super) before: Checksum,
}

impl Mark {
    pub(super) fn salts(&self) -> Salts {
        FrameHead::parse(&self.last).salts
    }

    /// Whether that page is the one that the last frame holds.
    pub(super) fn is_last_page(&self, page: &[u8]) -> bool {
        let last = FrameHead::parse(&self.last);
        last.checksum_of(self.before, cfg!(target_endian = "big"), page) == last.checksum
    }

    pub(super) fn last_page(&self) -> u32 {
        FrameHead::parse(&self.last).page
    }

    fn to_bytes(&self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        let mut at = 0;
        let mut put = |part: &[u8]| {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        };
        put(MAGIC);
        put(&self.base);
        put(&self.nonce);
        put(&self.row_page.to_be_bytes());
        put(&self.frames.to_be_bytes());
        put(&self.last);
        put(&self.before[0].to_be_bytes());
        put(&self.before[1].to_be_bytes());
        let content = LENGTH - 4;
        let checksum = crc32fast::hash(&bytes[..content]);
        bytes[content..].copy_from_slice(&checksum.to_be_bytes());
        bytes
    }

    /// What is not whole, a power cut may have torn: it says nothing.
    fn parse(bytes: &[u8; LENGTH]) -> Option<Self> {
        let (content, checksum) = bytes.split_last_chunk::<4>()?;
        if crc32fast::hash(content) != u32::from_be_bytes(*checksum) {
            return None;
        }
        let mut rest = content.strip_prefix(MAGIC)?;
        Some(Self {
            base: take(&mut rest)?,
            nonce: take(&mut rest)?,
            row_page: u32::from_be_bytes(take(&mut rest)?),
            frames: u32::from_be_bytes(take(&mut rest)?),
            last: take(&mut rest)?,
            before: [u32::from_be_bytes(take(&mut rest)?), u32::from_be_bytes(take(&mut rest)?)],
        })
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}

/// The file that holds the note.
#[derive(Debug)]
pub(super) struct Watermark {
    database: PathBuf,
    path: PathBuf,
    file: Option<File>,
    /// That it failed is said once.
    has_failed: bool,
}

impl Watermark {
    pub(super) fn of(database: &Path) -> Self {
        let path = beside(database, "-watermark");
        Self { database: database.to_owned(), path, file: None, has_failed: false }
    }

    /// The latest note, if there is one that is whole.
    pub(super) fn read(&self) -> io::Result<Option<Mark>> {
        let file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut bytes = [0; LENGTH];
        match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => Ok(Mark::parse(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Notes it. Without the note, the start after a crash finds less; nothing else depends on it.
    pub(super) fn write(&mut self, mark: &Mark) {
        let noted = self.file().and_then(|file| file.write_all_at(&mark.to_bytes(), 0));
        if let Err(error) = noted
            && !self.has_failed
        {
            self.has_failed = true;
            log::warn!("store: {} cannot be written: {error}", self.path.display());
        }
    }

    /// Withdraws the note, on the disk as well: before the log is truncated, since an old note must not claim what has gone
    /// into the file meanwhile.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        if self.read()?.is_none() {
            return Ok(());
        }
        let file = self.file()?;
        file.write_all_at(&[0; LENGTH], 0)?;
        file.sync_data()
    }

    /// Opens it at the first use. It gets the owner of the database, as SQLite has it with its own files: a tool that runs as
    /// root leaves nothing that the server cannot open.
    fn file(&mut self) -> io::Result<&File> {
        if self.file.is_none() {
            let mut options = OpenOptions::new();
            options.read(true).write(true);
            let file = match options.open(&self.path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let file = options.create(true).mode(0o600).open(&self.path)?;
                    let owner = fs::metadata(&self.database)?;
                    if owner.uid() != file.metadata()?.uid() {
                        fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
                    }
                    file
                }
                file => file?,
            };
            self.file = Some(file);
        }
        self.file.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}
