//! Decides at the start whether the log beside the file may be replayed into it. It changes nothing.

use std::{fs, io, os::unix::fs::FileExt};

use super::{
    fault::{Copied, FileState, Kind, LogFault},
    row::Binding,
    scan::{Scan, scan},
    watermark::{Mark, Watermark},
};
use crate::store::sqlite::{
    diagnosis::inaccessible, identity::beside, inspection, locks::Database, open_error::OpenError,
};

/// The state of the log beside the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store::sqlite) enum LogState {
    /// There is nothing to replay.
    Empty,
    /// The log was written for this file.
    Bound,
    /// The log does not say for which file it was written, because an older release or another program wrote it. File and
    /// log together must be checked in full.
    Unbound,
}

/// Decides about the log beside the database. No other patd may have the database open.
pub(in crate::store::sqlite) fn accept(database: &Database) -> Result<LogState, OpenError> {
    let path = database.path();
    let kind = match evaluate(database)? {
        Ok(log) => return Ok(log),
        Err(kind) => kind,
    };
    // Try again, because another program may have written the log while it was read.
    match evaluate(database)? {
        Ok(log) => Ok(log),
        Err(_) => Err(OpenError::Log(Box::new(LogFault { path: path.to_owned(), kind }))),
    }
}

fn evaluate(database: &Database) -> Result<Result<LogState, Kind>, OpenError> {
    let path = database.path();
    let unreadable = |suffix| move |error: io::Error| inaccessible(&beside(path, suffix), &error);
    let found = scan(&beside(path, "-wal")).map_err(unreadable("-wal"))?;
    let mark = Watermark::of(path).read().map_err(unreadable("-watermark"))?;
    let file = File { database, page_size: page_size(database).map_err(unreadable(""))? };
    if file.has_foreign_journal().map_err(unreadable("-journal"))? {
        return Ok(Err(Kind::Journal));
    }
    file.evaluate(found.as_ref(), mark.as_ref()).map_err(unreadable(""))
}

/// The file without its log.
struct File<'d> {
    database: &'d Database,
    /// `None` if it is not a database.
    page_size: Option<u32>,
}

impl File<'_> {
    fn evaluate(&self, found: Option<&Scan>, mark: Option<&Mark>) -> io::Result<Result<LogState, Kind>> {
        let whole = found.map_or(0, |found| found.committed);
        if let Some(frame) = found.and_then(|found| found.damaged) {
            let copied = self.copied(found, mark)?;
            return Ok(Err(Kind::Damaged { frame, copied }));
        }
        if let (Some(mark), Some(salts)) = (mark, found.and_then(|found| found.salts))
            && mark.salts() == salts
            && whole < mark.frames
        {
            let copied = self.copied(found, Some(mark))?;
            return Ok(Err(Kind::Short { found: whole, acknowledged: mark.frames, copied }));
        }
        match found {
            Some(found) if whole > 0 => self.expect_bound(found),
            _ => self.expect_checkpointed(found, mark),
        }
    }

    /// Whether a foreign rollback journal is beside a database in WAL mode. SQLite uses a journal there only while it turns
    /// WAL mode on. That journal holds just the first page and the current size of the file. With any other journal, SQLite
    /// would undo changes in the file.
    fn has_foreign_journal(&self) -> io::Result<bool> {
        const MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
        const WAL_MODE: [u8; 2] = [2, 2];
        let journal = match fs::File::open(beside(self.database.path(), "-journal")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            journal => journal?,
        };
        let (mut header, mut versions) = ([0; 24], [0; 2]);
        let is_read = |read: io::Result<()>| match read {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            read => read.map(|()| true),
        };
        let Some(page_size) = self.page_size else { return Ok(false) };
        if !is_read(journal.read_exact_at(&mut header, 0))? || !is_read(self.database.read_at(&mut versions, 18))? {
            return Ok(false);
        }
        let number =
            |at: usize| u64::from(u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]));
        let (size_then, sector) = (number(16), number(20));
        let pages = self.database.size()? / u64::from(page_size);
        let one_page = sector + u64::from(page_size) + 8;
        let turns_wal_on = pages <= 1 || size_then == pages && journal.metadata()?.len() <= one_page;
        Ok(header.starts_with(&MAGIC) && versions == WAL_MODE && !turns_wal_on)
    }

    fn expect_bound(&self, log: &Scan) -> io::Result<Result<LogState, Kind>> {
        let Some(first) = log.bindings.first() else { return Ok(Ok(LogState::Unbound)) };
        let file = match self.binding(first.page)? {
            // Another program may have moved the row to another page.
            None => inspection::binding_without_log(self.database.path()),
            found => found,
        };
        let belongs = match &file {
            Some(file) => {
                let is_in_log = log.bindings.iter().any(|bound| bound.binding.nonce == file.nonce);
                is_in_log || first.binding.previous == Some(file.nonce)
            }
            // The log created the row, in a new database or in one of an older release.
            None => first.binding.previous.is_none(),
        };
        Ok(match file {
            _ if !belongs => {
                let file = match file {
                    Some(binding) => FileState::Binding(binding),
                    None if self.page_size.is_none() => FileState::NoDatabase,
                    None => FileState::NoBinding,
                };
                Err(Kind::Foreign { log: first.binding.clone(), file })
            }
            Some(_) if first.in_first_transaction => Ok(LogState::Bound),
            _ => Ok(LogState::Unbound),
        })
    }

    /// Without a log, all acknowledged changes must be in the file.
    fn expect_checkpointed(&self, log: Option<&Scan>, mark: Option<&Mark>) -> io::Result<Result<LogState, Kind>> {
        let Some(mark) = mark else { return Ok(Ok(LogState::Empty)) };
        let Some(file) = self.binding(mark.row_page)? else { return Ok(Ok(LogState::Empty)) };
        let is_checkpointed = if file.nonce == mark.nonce {
            let page = self.page(mark.last_page())?;
            page.is_some_and(|page| mark.is_last_page(&page)) || log.is_some_and(|log| is_next(log, mark))
        } else {
            // If equal, not even the first transaction of the log is in the file. Otherwise this is another file.
            file.nonce != mark.base
        };
        Ok(match is_checkpointed {
            true => Ok(LogState::Empty),
            false => Err(Kind::Missing { acknowledged: mark.frames, copied: self.copied(log, Some(mark))? }),
        })
    }

    /// How much of the log is in the file, judged by whether the page of the row is still as it was before the log.
    fn copied(&self, log: Option<&Scan>, mark: Option<&Mark>) -> io::Result<Copied> {
        let first = log.and_then(|log| log.bindings.first());
        let before = first.map(|first| (first.page, first.binding.previous)).or_else(|| {
            let mark = mark?;
            Some((mark.row_page, Some(mark.base)))
        });
        let Some((page, Some(nonce))) = before else { return Ok(Copied::Part) };
        let is_before = self.binding(page)?.is_some_and(|binding| binding.nonce == nonce);
        Ok(if is_before { Copied::Nothing } else { Copied::Part })
    }

    fn binding(&self, page: u32) -> io::Result<Option<Binding>> {
        Ok(self.page(page)?.and_then(|page| Binding::in_page(&page)))
    }

    fn page(&self, number: u32) -> io::Result<Option<Vec<u8>>> {
        let (Some(size), Some(before)) = (self.page_size, number.checked_sub(1)) else { return Ok(None) };
        let mut page = vec![0; size as usize];
        match self.database.read_at(&mut page, u64::from(before) * u64::from(size)) {
            Ok(()) => Ok(Some(page)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Whether SQLite restarted the log after the watermark was written: it then adds one to the first salt. It restarts a log
/// only when all of it is in the file.
fn is_next(log: &Scan, mark: &Mark) -> bool {
    let first = |salts: [u8; 8]| u32::from_be_bytes([salts[0], salts[1], salts[2], salts[3]]);
    log.salts.is_some_and(|salts| first(salts) == first(mark.salts()).wrapping_add(1))
}

/// The size of the database's pages, from the first bytes of the file.
fn page_size(database: &Database) -> io::Result<Option<u32>> {
    let mut header = [0; 18];
    match database.read_at(&mut header, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let size = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65536,
        size => u32::from(size),
    };
    Ok((header.starts_with(b"SQLite format 3\0") && size >= 512).then_some(size))
}
