//! Reads a write-ahead log as SQLite's recovery does (the format is in section 4 of SQLite's "Database File Format").
//!
//! The log is a head and frames. A frame holds a page and a checksum, which continues that of the frame before. SQLite
//! believes the frames up to the first whose checksum is wrong, and of these the ones up to the last that ends a
//! transaction. It cannot tell a transaction that a crash cut off from damage in the midst of the log.
//!
//! This can, since each commit is synced before the next transaction writes its first frame (`synchronous = FULL`). A frame
//! that continues a frame that ends a transaction was therefore written when that transaction, and everything before it,
//! was on the disk. If such a pair of frames stands behind one that is wrong, the log is damaged. The checksum that a
//! frame stores is enough to see whether the next one continues it, so the pair is found behind any damage. What an
//! earlier log left further on has other salts and is passed over.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
};

use super::row::Binding;

pub(super) type Salts = [u8; 8];
pub(super) type Checksum = [u32; 2];

pub(super) const HEAD: usize = 32;
pub(super) const FRAME_HEAD: usize = 24;

/// What is in a log.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// By which the frames of this log are known; none where the head is not whole.
    pub(super) salts: Option<Salts>,
    /// How many frames SQLite would replay.
    pub(super) committed: u32,
    /// The rows that bind it, in the order in which they were written.
    pub(super) bindings: Vec<Bound>,
    /// The first frame that is wrong, if others that were committed stand behind it; zero is the head.
    pub(super) damaged: Option<u32>,
}

/// A row that binds the log.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) page: u32,
    pub(super) binding: Binding,
    pub(super) in_first_transaction: bool,
}

/// The head of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameHead {
    pub(super) page: u32,
    /// The size of the database in pages where the frame ends a transaction; else zero.
    pub(super) size: u32,
    pub(super) salts: Salts,
    pub(super) checksum: Checksum,
}

impl FrameHead {
    pub(super) fn parse(bytes: &[u8; FRAME_HEAD]) -> Self {
        let mut salts = [0; 8];
        salts.copy_from_slice(&bytes[8..16]);
        Self { page: number(bytes, 0), size: number(bytes, 4), salts, checksum: [number(bytes, 16), number(bytes, 20)] }
    }

    /// The checksum of the frame with that page, continued from the frame before.
    pub(super) fn checksum_of(&self, before: Checksum, is_big_endian: bool, page: &[u8]) -> Checksum {
        let mut head = [0; 8];
        head[..4].copy_from_slice(&self.page.to_be_bytes());
        head[4..].copy_from_slice(&self.size.to_be_bytes());
        checksum(checksum(before, is_big_endian, &head), is_big_endian, page)
    }
}

/// The page size that is assumed where the head does not say.
const USUAL_PAGE: u32 = 4096;

/// Reads the log; `None` where there is none or it is empty. Nobody may write it meanwhile.
pub(super) fn scan(path: &Path) -> io::Result<Option<Scan>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    if file.metadata()?.len() == 0 {
        return Ok(None);
    }
    let mut log = BufReader::with_capacity(1 << 18, file);
    let mut head = [0; HEAD];
    if !fill(&mut log, &mut head)? {
        return Ok(Some(Scan::default()));
    }
    let is_big_endian = if is_magic(&head) { head[3] & 1 == 1 } else { cfg!(target_endian = "big") };
    let stored = [number(&head, 24), number(&head, 28)];
    let is_whole = is_magic(&head)
        && is_page_size(number(&head, 8))
        && checksum([0, 0], is_big_endian, &head[..HEAD - 8]) == stored;
    let page_size = if is_page_size(number(&head, 8)) { number(&head, 8) } else { USUAL_PAGE };
    let mut reading = Reading { is_big_endian, before: stored, ..Reading::default() };
    if is_whole {
        let mut salts = [0; 8];
        salts.copy_from_slice(&head[16..24]);
        reading.found.salts = Some(salts);
    } else {
        reading.wrong = Some(0);
    }
    let mut frame_head = [0; FRAME_HEAD];
    let mut page = vec![0; page_size as usize];
    while fill(&mut log, &mut frame_head)? && fill(&mut log, &mut page)? {
        reading.take(FrameHead::parse(&frame_head), &page);
    }
    Ok(Some(reading.found))
}

/// The nonce of a log's first row, and whether that is in its first transaction.
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
    /// The first frame that is wrong.
    wrong: Option<u32>,
    /// The salts of the first frame, which stand for those of a head that is not whole.
    first: Option<Salts>,
    /// Rows of a transaction whose end was not read yet.
    open: Vec<Bound>,
    found: Scan,
}

impl Reading {
    fn take(&mut self, head: FrameHead, page: &[u8]) {
        self.frames += 1;
        let salts = self.found.salts.unwrap_or(*self.first.get_or_insert(head.salts));
        let continues = head.page != 0
            && head.salts == salts
            && head.checksum_of(self.before, self.is_big_endian, page) == head.checksum;
        match (self.wrong, continues) {
            (None, true) => self.believe(head, page),
            (None, false) => self.wrong = Some(self.frames),
            // The head is synced before the first frame is written, so any frame proves that it was whole.
            (Some(wrong), true) if self.ends_transaction || wrong == 0 => {
                self.found.damaged.get_or_insert(wrong);
            }
            (Some(_), _) => {}
        }
        self.before = head.checksum;
        self.ends_transaction = head.salts == salts && head.size != 0;
    }

    fn believe(&mut self, head: FrameHead, page: &[u8]) {
        if let Some(binding) = Binding::in_page(page) {
            let in_first_transaction = self.found.committed == 0;
            self.open.push(Bound { page: head.page, binding, in_first_transaction });
        }
        if head.size != 0 {
            self.found.committed = self.frames;
            self.found.bindings.append(&mut self.open);
        }
    }
}

fn is_magic(head: &[u8; HEAD]) -> bool {
    const MAGIC: u32 = 0x377f_0682;
    number(head, 0) & !1 == MAGIC
}

fn is_page_size(size: u32) -> bool {
    (512..=65536).contains(&size) && size.is_power_of_two()
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// SQLite's checksum of so many bytes, a multiple of eight, continued.
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

/// Fills the buffer; `false` where the file ends before.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
