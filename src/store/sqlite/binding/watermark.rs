//! The watermark: how much of the log was acknowledged, in the file `-watermark` beside the database.
//!
//! The log alone does not show how long it was. If its last transaction is damaged, or the log was truncated or removed, it
//! looks as if the transaction had never happened. So after each commit, and before it answers, the writer records the
//! length of the log. The watermark is not synced, since that would double the cost of a commit. It survives the death of
//! the process, because the operating system has it by then. After a power cut it may be older, so it never claims too
//! much.
//!
//! The watermark identifies its log (by the salts and the nonces), and holds a checksum of the page in the last frame. If
//! the log is gone, this page shows whether another program checkpointed the log: then the page is in the file.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, fchown},
    path::{Path, PathBuf},
};

use super::{
    row::Nonce,
    scan::{Checksum, FrameHeader, Salts},
};
use crate::store::sqlite::identity::beside;

const MAGIC: &[u8; 8] = b"patdmark";
const LENGTH: usize = 8 + 16 + 16 + 4 + 4 + FRAME + 8 + 4;
/// The length of a frame's header.
const FRAME: usize = 24;

/// The contents of the watermark: what was acknowledged last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// The nonce in the file that the log continues.
    pub(super) base: Nonce,
    /// The nonce of the log.
    pub(super) nonce: Nonce,
    /// The page of the row that holds them.
    pub(super) row_page: u32,
    /// How many frames the log has.
    pub(super) frames: u32,
    /// The header of the last frame.
    pub(super) last: [u8; FRAME],
    /// The checksum of the frame before, which the last one continues.
    pub(super) before: Checksum,
}

impl Mark {
    pub(super) fn salts(&self) -> Salts {
        FrameHeader::parse(&self.last).salts
    }

    /// Whether that page is the one that the last frame holds.
    pub(super) fn is_last_page(&self, page: &[u8]) -> bool {
        let last = FrameHeader::parse(&self.last);
        last.checksum_of(self.before, cfg!(target_endian = "big"), page) == last.checksum
    }

    pub(super) fn last_page(&self) -> u32 {
        FrameHeader::parse(&self.last).page
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

    /// `None` if the checksum is wrong, as after a power cut during a write.
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

/// The watermark file.
#[derive(Debug)]
pub(super) struct Watermark {
    database: PathBuf,
    path: PathBuf,
    file: Option<File>,
    /// Set after the first failure, so that it is logged only once.
    has_failed: bool,
}

impl Watermark {
    pub(super) fn of(database: &Path) -> Self {
        let path = beside(database, "-watermark");
        Self { database: database.to_owned(), path, file: None, has_failed: false }
    }

    /// The stored watermark, if there is a valid one.
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

    /// Stores `mark`. A failure is only logged: without a watermark, the start after a crash detects less damage, and
    /// nothing else depends on it.
    pub(super) fn write(&mut self, mark: &Mark) {
        let written = self.file().and_then(|file| file.write_all_at(&mark.to_bytes(), 0));
        if let Err(error) = written
            && !self.has_failed
        {
            self.has_failed = true;
            log::warn!("store: {} cannot be written: {error}", self.path.display());
        }
    }

    /// Clears the watermark, and syncs it. Must run before the log is truncated: an old watermark would otherwise claim
    /// frames that are by then in the file.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        if self.read()?.is_none() {
            return Ok(());
        }
        let file = self.file()?;
        file.write_all_at(&[0; LENGTH], 0)?;
        file.sync_data()
    }

    /// Opens the file at the first use. A new file gets the owner of the database, as with SQLite's own files, so that the
    /// server can open it even if a tool that runs as root created it.
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
