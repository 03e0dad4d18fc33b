//! Keeps the row and the watermark up to date. It uses the writer's connection.
//!
//! # When a log restarts
//!
//! SQLite writes from the start of the log again if the whole log is in the file and no connection reads from the log. It
//! decides that when a write transaction begins. The shared memory (`-shm`) says how many frames the log has and how many
//! of them are in the file. The binder reads these two numbers inside the transaction: then no other process can add a
//! frame, and the second number only grows. If they are equal, this transaction may restart the log, so it draws a new
//! nonce. If they differ, they also differed when the transaction began, and the log goes on. An unneeded new nonce does no
//! harm.
//!
//! The two numbers are at fixed offsets (SQLite's "WAL-mode File Format", section 2). SQLite is built into this program, so
//! the offsets do not change unnoticed. A test compares the numbers with SQLite's own.

use std::{fs::File, io, os::unix::fs::FileExt, sync::Arc};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{
    row::{Binding, Nonce},
    scan::{FRAME_HEADER, FrameHeader, HEADER, Salts},
    watermark::{Mark, Watermark},
};
use crate::store::{
    StoreError,
    sqlite::{
        checkpoint::checkpoint_and_truncate, identity::beside, locks::Database, log_index::LogIndex, log_length,
        watch::Watch,
    },
};

/// Keeps the row and the watermark of one open database up to date.
pub(in crate::store::sqlite) struct LogBinder {
    database: Arc<Database>,
    watermark: Watermark,
    log: File,
    index: LogIndex,
    watch: Arc<Watch>,
    row_page: u32,
    frame_size: u64,
    /// The current log and its row, if known.
    current: Option<Current>,
    /// The row that the running transaction has drawn.
    drawn: Option<Binding>,
    /// Whether rule 2 was applied.
    has_drawn_first_nonce: bool,
    is_server: bool,
}

struct Current {
    salts: Salts,
    base: Nonce,
    nonce: Nonce,
}

impl LogBinder {
    /// `connection` must have read from the database, so that its log is open.
    pub(in crate::store::sqlite) fn new(
        database: Arc<Database>,
        watch: Arc<Watch>,
        connection: &Connection,
        is_server: bool,
    ) -> rusqlite::Result<Self> {
        let number = |sql| connection.query_row(sql, [], |row| row.get::<_, u32>(0));
        let row_page = number("SELECT rootpage FROM sqlite_schema WHERE name = 'log_binding'")?;
        let page_size: u32 = number("PRAGMA page_size")?;
        Binding::read(connection)?;
        let open = |suffix| File::open(beside(database.path(), suffix)).map_err(|error| cannot_open(suffix, &error));
        Ok(Self {
            watermark: Watermark::of(database.path()),
            log: open("-wal")?,
            index: LogIndex::open(&beside(database.path(), "-shm")).map_err(|error| cannot_open("-shm", &error))?,
            watch,
            row_page,
            frame_size: u64::from(page_size) + FRAME_HEADER as u64,
            current: None,
            drawn: None,
            has_drawn_first_nonce: false,
            is_server,
            database,
        })
    }

    /// Runs at the start of the writer's thread. A server draws its first nonce now, so that its first change need not
    /// wait. A tool does not, because a tool that changes nothing must write nothing.
    pub(in crate::store::sqlite) fn start(&mut self, connection: &Connection) {
        if self.is_server
            && let Err(error) = self.draw_first_nonce(connection)
        {
            // The first change tries again. If that fails, the change is refused.
            log::warn!("store: the database cannot be written: {error}");
        }
    }

    /// Draws a nonce and checkpoints the log, once, before the first change. A tool beside a server leaves that to the
    /// server.
    pub(in crate::store::sqlite) fn draw_first_nonce(&mut self, connection: &Connection) -> Result<(), StoreError> {
        if self.has_drawn_first_nonce {
            return Ok(());
        }
        self.watch.check_for_writing()?;
        if !self.database.is_served_by_another().unwrap_or(false) {
            let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
            Binding::renew(&transaction)?;
            transaction.commit()?;
            if !self.checkpoint_and_truncate(connection)? && !self.database.is_open_elsewhere() {
                log::warn!("store: another program reads the database, so the log could not be emptied at the start");
            }
        }
        self.has_drawn_first_nonce = true;
        Ok(())
    }

    /// Runs in a write transaction, before its changes.
    pub(in crate::store::sqlite) fn prepare_transaction(&mut self, connection: &Connection) -> Result<(), StoreError> {
        self.drawn = None;
        let index = self.index.read().map_err(|error| StoreError::Unavailable(format!("-shm: {error}")))?;
        if index.checkpointed == index.frames {
            self.drawn = Some(Binding::renew(connection)?);
        } else if self.current.as_ref().is_none_or(|current| current.salts != index.salts) {
            // Another process has restarted the log.
            let binding = Binding::read(connection)?;
            self.current = Some(Current::new(index.salts, &binding));
        }
        Ok(())
    }

    /// Runs after the commit of the transaction, before any answer.
    pub(in crate::store::sqlite) fn record_commit(&mut self) {
        let frames = log_length::get();
        let drawn = self.drawn.take();
        let Ok(Some((last, before))) = self.last_frame(frames) else { return };
        let header = FrameHeader::parse(&last);
        if let Some(binding) = drawn {
            self.current = Some(Current::new(header.salts, &binding));
        }
        match &self.current {
            // Not if another process has restarted the log since, because that process writes its own watermark.
            Some(Current { salts, base, nonce }) if *salts == header.salts && header.size != 0 => {
                let (base, nonce, row_page) = (*base, *nonce, self.row_page);
                self.watermark.write(&Mark { base, nonce, row_page, frames, last, before });
            }
            _ => {}
        }
    }

    /// Checkpoints the whole log and truncates it. Returns `false` if other connections prevented that.
    pub(in crate::store::sqlite) fn checkpoint_and_truncate(
        &mut self,
        connection: &Connection,
    ) -> Result<bool, StoreError> {
        let previous = self.watermark.read().ok().flatten();
        self.watermark.clear().map_err(|error| StoreError::Unavailable(format!("-watermark: {error}")))?;
        let truncated = checkpoint_and_truncate(connection, &self.watch);
        match (&truncated, previous) {
            (Ok(true), _) => self.current = None,
            (_, Some(mark)) => self.watermark.write(&mark),
            (_, None) => {}
        }
        truncated.map_err(StoreError::Unavailable)
    }

    /// The header of that frame, and the checksum of the frame before.
    fn last_frame(&self, number: u32) -> io::Result<Option<([u8; FRAME_HEADER], [u32; 2])>> {
        let Some(earlier) = number.checked_sub(1) else { return Ok(None) };
        let start = |frame: u32| HEADER as u64 + u64::from(frame) * self.frame_size;
        let (mut last, mut checksum) = ([0; FRAME_HEADER], [0; 8]);
        self.log.read_exact_at(&mut last, start(earlier))?;
        // The checksum is at the end of the log's header and of each frame's header. The first frame continues the former.
        let at = if earlier == 0 { HEADER as u64 - 8 } else { start(earlier - 1) + FRAME_HEADER as u64 - 8 };
        self.log.read_exact_at(&mut checksum, at)?;
        let [a, b, c, d, e, f, g, h] = checksum;
        Ok(Some((last, [u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])])))
    }
}

impl Current {
    fn new(salts: Salts, binding: &Binding) -> Self {
        Self { salts, base: binding.previous.unwrap_or_default(), nonce: binding.nonce }
    }
}

fn cannot_open(what: &str, error: &io::Error) -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN);
    rusqlite::Error::SqliteFailure(code, Some(format!("{what}: {error}")))
}
