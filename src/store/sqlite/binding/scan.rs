//! Reads a write-ahead log as SQLite's recovery does (the format is in section 4 of SQLite's "Database File Format").
//!
//! The log is a header followed by frames. A frame holds a page and a checksum, which continues the checksum of the frame
//! before. SQLite accepts the frames before the first wrong checksum, up to the last one that ends a transaction. It cannot
//! distinguish a transaction that a crash interrupted from damage in the middle of the log.
//!
//! This module can, because each commit is synced before the next transaction writes its first frame (`synchronous =
//! FULL`). If a frame continues one that ends a transaction, that transaction and everything before it was on the disk when
//! the frame was written. If such a pair of frames follows a wrong frame, the log is damaged. To see whether a frame
//! continues the one before, only the stored checksum of that one is needed, so the pair is found behind any damage. Frames
//! that an earlier, longer log left at the end have other salts and are ignored.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
};

use super::row::Binding;

pub(super) type Salts = [u8; 8];
pub(super) type Checksum = [u32; 2];

pub(super) const HEADER: usize = 32;
pub(super) const FRAME_HEADER: usize = 24;

/// What is in a log.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// The salts of this log's frames; `None` if the header is not valid.
    pub(super) salts: Option<Salts>,
    /// How many frames SQLite would replay.
    pub(super) committed: u32,
    /// The binding rows, in the order in which they were written.
    pub(super) bindings: Vec<Bound>,
    /// The first wrong frame, if committed frames follow it. Zero stands for the header.
    pub(super) damaged: Option<u32>,
}

/// A binding row in the log.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) page: u32,
    pub(super) binding: Binding,
    pub(super) in_first_transaction: bool,
}

/// The header of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameHeader {
    pub(super) page: u32,
    /// The size of the database in pages if the frame ends a transaction, else zero.
    pub(super) size: u32,
    pub(super) salts: Salts,
    pub(super) checksum: Checksum,
}

impl FrameHeader {
    pub(super) fn parse(bytes: &[u8; FRAME_HEADER]) -> Self {
        let mut salts = [0; 8];
        salts.copy_from_slice(&bytes[8..16]);
        Self { page: number(bytes, 0), size: number(bytes, 4), salts, checksum: [number(bytes, 16), number(bytes, 20)] }
    }

    /// The checksum that the frame must have with that page, given the checksum of the frame before.
    pub(super) fn checksum_of(&self, before: Checksum, is_big_endian: bool, page: &[u8]) -> Checksum {
        let mut header = [0; 8];
        header[..4].copy_from_slice(&self.page.to_be_bytes());
        header[4..].copy_from_slice(&self.size.to_be_bytes());
        checksum(checksum(before, is_big_endian, &header), is_big_endian, page)
    }
}

/// The page size that is assumed if the header is not valid.
const DEFAULT_PAGE_SIZE: u32 = 4096;

/// Reads the log. `None` if there is none or it is empty. No other process may write it meanwhile.
pub(super) fn scan(path: &Path) -> io::Result<Option<Scan>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    if file.metadata()?.len() == 0 {
        return Ok(None);
    }
    let mut log = BufReader::with_capacity(1 << 18, file);
    let mut header = [0; HEADER];
    if !fill(&mut log, &mut header)? {
        return Ok(Some(Scan::default()));
    }
    let is_big_endian = if is_magic(&header) { header[3] & 1 == 1 } else { cfg!(target_endian = "big") };
    let stored = [number(&header, 24), number(&header, 28)];
    let is_whole = is_magic(&header)
        && is_page_size(number(&header, 8))
        && checksum([0, 0], is_big_endian, &header[..HEADER - 8]) == stored;
    let page_size = if is_page_size(number(&header, 8)) { number(&header, 8) } else { DEFAULT_PAGE_SIZE };
    let mut reading = Reading { is_big_endian, before: stored, ..Reading::default() };
    if is_whole {
        let mut salts = [0; 8];
        salts.copy_from_slice(&header[16..24]);
        reading.found.salts = Some(salts);
    } else {
        reading.wrong = Some(0);
    }
    let mut frame_header = [0; FRAME_HEADER];
    let mut page = vec![0; page_size as usize];
    while fill(&mut log, &mut frame_header)? && fill(&mut log, &mut page)? {
        reading.take(FrameHeader::parse(&frame_header), &page);
    }
    Ok(Some(reading.found))
}

/// The nonce of a log's first row, and whether the row is in the first transaction.
#[cfg(test)]
pub(in crate::store::sqlite) fn first_binding(log: &std::path::Path) -> Option<(bool, super::row::Nonce)> {
    let found = scan(log).ok().flatten()?;
    found.bindings.first().map(|bound| (bound.in_first_transaction, bound.binding.nonce))
}

#[derive(Default)]
struct Reading {
    is_big_endian: bool,
    /// How many frames were read.
    frames: u32,
    /// The checksum that the frame before stores, and whether that frame ends a transaction.
    before: Checksum,
    ends_transaction: bool,
    /// The first wrong frame.
    wrong: Option<u32>,
    /// The salts of the first frame, used if the header is not valid.
    first: Option<Salts>,
    /// Rows of a transaction whose end has not been read yet.
    open: Vec<Bound>,
    found: Scan,
}

impl Reading {
    fn take(&mut self, header: FrameHeader, page: &[u8]) {
        self.frames += 1;
        let salts = self.found.salts.unwrap_or(*self.first.get_or_insert(header.salts));
        let continues = header.page != 0
            && header.salts == salts
            && header.checksum_of(self.before, self.is_big_endian, page) == header.checksum;
        match (self.wrong, continues) {
            (None, true) => self.accept(header, page),
            (None, false) => self.wrong = Some(self.frames),
            // The header is synced before the first frame is written, so any frame proves that the header was valid once.
            (Some(wrong), true) if self.ends_transaction || wrong == 0 => {
                self.found.damaged.get_or_insert(wrong);
            }
            (Some(_), _) => {}
        }
        self.before = header.checksum;
        self.ends_transaction = header.salts == salts && header.size != 0;
    }

    fn accept(&mut self, header: FrameHeader, page: &[u8]) {
        if let Some(binding) = Binding::in_page(page) {
            let in_first_transaction = self.found.committed == 0;
            self.open.push(Bound { page: header.page, binding, in_first_transaction });
        }
        if header.size != 0 {
            self.found.committed = self.frames;
            self.found.bindings.append(&mut self.open);
        }
    }
}

fn is_magic(header: &[u8; HEADER]) -> bool {
    const MAGIC: u32 = 0x377f_0682;
    number(header, 0) & !1 == MAGIC
}

fn is_page_size(size: u32) -> bool {
    (512..=65536).contains(&size) && size.is_power_of_two()
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Continues SQLite's checksum with `bytes`, whose length is a multiple of eight.
fn checksum(before: Checksum, is_big_endian: bool, bytes: &[u8]) -> Checksum {
    let [mut first, mut second] = before;
    for words in bytes.chunks_exact(8) {
        let word = |at: usize| {
            let word = [words[at], words[at + 1], words[at + 2], words[at + 3]];
            if is_big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
        };
        first = first.wrapping_add(word(0)).wrapping_add(second);
        second = second.wrapping_add(word(4)).wrapping_add(first);
    }
    [first, second]
}

/// Fills the buffer. Returns `false` if the file ends before.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
