//! Keeps the row and the watermark up to date. It lives with the connection that writes.
//!
//! # When a log begins anew
//!
//! SQLite writes from the start of the log again if the whole log is in the file, and nobody reads from the log any more.
//! Both are known to it when a write transaction begins. The shared memory (`-shm`) says how many frames the log has and how
//! many of them are in the file. The binder reads these two numbers inside of the transaction: then nobody else can add a
//! frame, and the second number only grows. If they are equal, this transaction may begin the log anew, so it draws a
//! new nonce. If they are not, it cannot have been so when the transaction began, and the log goes on. A row that was
//! drawn for a log that goes on all the same does no harm.
//!
//! The two numbers stand at fixed places (SQLite's "WAL-mode File Format", section 2). SQLite is built into this program, so
//! that they do not change unnoticed; a test compares them with what SQLite says.

use std::{fs::File, io, os::unix::fs::FileExt, sync::Arc};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{
    row::{Binding, Nonce},
    scan::{FRAME_HEAD, FrameHead, HEAD, Salts},
    watermark::{Mark, Watermark},
};
use crate::store::{
    StoreError,
    sqlite::{
        checkpoint::checkpoint_and_truncate, identity::beside, locks::Database, log_index::LogIndex, log_length,
        watch::Watch,
    },
};

/// See the module.
pub(in crate::store::sqlite) struct LogBinder {
    database: Arc<Database>,
    watermark: Watermark,
    log: File,
    index: LogIndex,
    watch: Arc<Watch>,
    row_page: u32,
    frame_size: u64,
    /// The log whose row is known.
    current: Option<Current>,
    /// Drawn by the transaction under way.
    drawn: Option<Binding>,
    /// Whether rule 2 was done.
    has_drawn_first_nonce: bool,
    is_server: bool,
}

struct Current {
    salts: Salts,
    base: Nonce,
    nonce: Nonce,
}

impl LogBinder {
    /// For a connection that has read from the database, so that its log is open.
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
            frame_size: u64::from(page_size) + FRAME_HEAD as u64,
            current: None,
            drawn: None,
            has_drawn_first_nonce: false,
            is_server,
            database,
        })
    }

    /// At the start of the writer's thread. A server begins at once, so that its first change need not wait for that; a tool
    /// that changes nothing writes nothing.
    pub(in crate::store::sqlite) fn start(&mut self, connection: &Connection) {
        if self.is_server
            && let Err(error) = self.draw_first_nonce(connection)
        {
            // The first change tries again, and is refused if that fails.
            log::warn!("store: the database cannot be written: {error}");
        }
    }

    /// Draws a nonce and checkpoints it, once, before the first change. A server's tools leave that to the server.
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

    /// Within a write transaction, before its changes.
    pub(in crate::store::sqlite) fn prepare_transaction(&mut self, connection: &Connection) -> Result<(), StoreError> {
        self.drawn = None;
        let index = self.index.read().map_err(|error| StoreError::Unavailable(format!("-shm: {error}")))?;
        if index.checkpointed == index.frames {
            self.drawn = Some(Binding::renew(connection)?);
        } else if self.current.as_ref().is_none_or(|current| current.salts != index.salts) {
            // Another process began this log.
            let binding = Binding::read(connection)?;
            self.current = Some(Current::new(index.salts, &binding));
        }
        Ok(())
    }

    /// After the commit of that transaction, before anything is answered.
    pub(in crate::store::sqlite) fn record_commit(&mut self) {
        let frames = log_length::get();
        let drawn = self.drawn.take();
        let Ok(Some((last, before))) = self.last_frame(frames) else { return };
        let head = FrameHead::parse(&last);
        if let Some(binding) = drawn {
            self.current = Some(Current::new(head.salts, &binding));
        }
        match &self.current {
            // Unless another process began a log since: that one notes itself.
            Some(Current { salts, base, nonce }) if *salts == head.salts && head.size != 0 => {
                let (base, nonce, row_page) = (*base, *nonce, self.row_page);
                self.watermark.write(&Mark { base, nonce, row_page, frames, last, before });
            }
            _ => {}
        }
    }

    /// Checkpoints the whole log and truncates it; answers whether it did.
    pub(in crate::store::sqlite) fn checkpoint_and_truncate(
        &mut self,
        connection: &Connection,
    ) -> Result<bool, StoreError> {
        let noted = self.watermark.read().ok().flatten();
        self.watermark.clear().map_err(|error| StoreError::Unavailable(format!("-watermark: {error}")))?;
        let emptied = checkpoint_and_truncate(connection, &self.watch);
        match (&emptied, noted) {
            (Ok(true), _) => self.current = None,
            (_, Some(mark)) => self.watermark.write(&mark),
            (_, None) => {}
        }
        emptied.map_err(StoreError::Unavailable)
    }

    /// The head of that frame, and the checksum of the one before.
    fn last_frame(&self, number: u32) -> io::Result<Option<([u8; FRAME_HEAD], [u32; 2])>> {
        let Some(earlier) = number.checked_sub(1) else { return Ok(None) };
        let start = |frame: u32| HEAD as u64 + u64::from(frame) * self.frame_size;
        let (mut last, mut checksum) = ([0; FRAME_HEAD], [0; 8]);
        self.log.read_exact_at(&mut last, start(earlier))?;
        // The first frame continues the head, which ends with its checksum; so does the head of a frame.
        let at = if earlier == 0 { HEAD as u64 - 8 } else { start(earlier - 1) + FRAME_HEAD as u64 - 8 };
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
