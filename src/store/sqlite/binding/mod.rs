//! What binds the write-ahead log to the file, so that a log is replayed only into the file that it was written for.
//!
//! SQLite finds the log by the file's name. It replays whatever lies there and checks only that each frame is whole. If an
//! older copy of the file, or another database, is put beside the log of a killed process, SQLite mixes the two without a
//! word. If a frame is damaged, SQLite takes it for the end of the log and forgets everything behind it: a revoked token
//! is valid again. The parts of this folder refuse such a start:
//!
//! - [`Binding`]: a row that file and log both carry;
//! - [`scan`]: reads a log as SQLite would, and finds damage that SQLite does not tell of;
//! - [`watermark`]: how much of the log was acknowledged, noted in a file of its own;
//! - [`binder`]: keeps row and watermark up to date, on the writer's thread;
//! - [`acceptance`]: decides at the start.
//!
//! # The row
//!
//! `log_binding` has one row with a random nonce and the nonce before it. Three rules hold:
//!
//! 1. **The first transaction of each log draws a new nonce.** A log begins anew only when all of it is in the file
//!    ([`binder`] says how that is known). So the nonce before is the one in the complete file that the log continues.
//! 2. **Before a process answers its first change, it draws a nonce and checkpoints the whole log.** So a copy that was made
//!    while nobody had the file open holds a nonce that no later log names as the one before.
//! 3. **A log is accepted if the file holds the nonce before the log's first, or one that the log itself holds.** The first
//!    is a file into which the page of the row was not yet copied, the second one into which it was. In both, every page
//!    is either as the log found it or as the log has it, so that replaying the log makes the file whole.
//!
//! A nonce is 128 random bits, so two states of a database, or two databases, never share one by chance. They share it
//! where a file was copied; rule 2 draws another one before the copies can differ.
//!
//! # What is not covered
//!
//! - A log without the row in its first transaction, which an older release or another program wrote: file and log are
//!   checked in full (`integrity_check`), which a log of the same shape could pass.
//! - Rule 2 while another program reads the database without a pause. The start goes on, with a warning.
//! - A copy of the file that was made while a process had it open, by SQLite's own backup: put back beside the log that
//!   was current then, it becomes the latest state, not the state at the time of the copy. Nothing is lost or mixed.
//! - Another program that opens the file before patd does: SQLite has then replayed the log already.
//! - After a power cut: the last transactions, if the log lost them in spite of having been told to keep them. The
//!   watermark is not synced, so it may be older than they are.

pub(super) mod acceptance;
pub(super) mod binder;
pub(super) mod fault;
mod scan;
mod watermark;

use rusqlite::{Connection, Row};

type Nonce = [u8; 16];

/// The text in the row by which its page is recognised.
const MARKER: &[u8; 16] = b"patd log binding";

/// The row of `log_binding`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binding {
    /// Drawn when the database is made.
    database: Nonce,
    /// How many nonces there were.
    generation: i64,
    nonce: Nonce,
    /// None in the first generation.
    previous: Option<Nonce>,
}

impl Binding {
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let sql = "SELECT database_id, generation, nonce, previous_nonce FROM log_binding";
        connection.prepare_cached(sql)?.query_row([], Self::of_row)
    }

    /// Draws a new nonce.
    fn renew(connection: &Connection) -> rusqlite::Result<Self> {
        let sql = "UPDATE log_binding SET generation = generation + 1, nonce = randomblob(16), previous_nonce = nonce
                   RETURNING database_id, generation, nonce, previous_nonce";
        connection.prepare_cached(sql)?.query_row([], Self::of_row)
    }

    fn of_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { database: row.get(0)?, generation: row.get(1)?, nonce: row.get(2)?, previous: row.get(3)? })
    }

    /// The row in a page of the file or of the log, if it is the page of `log_binding`: a leaf of a table with one cell,
    /// whose record has the row's types and its marker.
    fn in_page(page: &[u8]) -> Option<Self> {
        const LEAF_OF_A_TABLE: u8 = 13;
        if *page.first()? != LEAF_OF_A_TABLE || page.get(3..5)? != [0, 1] {
            return None;
        }
        let cell = usize::from(u16::from_be_bytes(page.get(8..10)?.try_into().ok()?));
        let mut rest = page.get(cell..)?;
        let length = usize::try_from(varint(&mut rest)?).ok()?;
        varint(&mut rest)?; // the row number
        let mut record = rest.get(..length)?;
        let all = record;
        let head_length = usize::try_from(varint(&mut record)?).ok()?;
        let mut types = all.get(all.len() - record.len()..head_length)?;
        let mut values = all.get(head_length..)?;
        let mut value = || {
            let kind = varint(&mut types)?;
            let (value, behind) = values.split_at_checked(size_of(kind)?)?;
            values = behind;
            Some((kind, value))
        };
        let [number, marker, database, generation, nonce, previous] =
            [value()?, value()?, value()?, value()?, value()?, value()?];
        if number.0 != NULL || marker != (TEXT_OF_16, MARKER) || !types.is_empty() {
            return None;
        }
        let bytes = |(kind, value): (u64, &[u8])| if kind == BLOB_OF_16 { value.try_into().ok() } else { None };
        Some(Self {
            database: bytes(database)?,
            generation: integer(generation)?,
            nonce: bytes(nonce)?,
            previous: if previous.0 == NULL { None } else { Some(bytes(previous)?) },
        })
    }
}

/// The nonce of a log's first row, and whether that is in its first transaction.
#[cfg(test)]
pub(super) fn first_binding(log: &std::path::Path) -> Option<(bool, Nonce)> {
    let found = scan::scan(log).ok().flatten()?;
    found.bindings.first().map(|bound| (bound.in_first_transaction, bound.binding.nonce))
}

/// Types of values, as the head of a record names them.
const NULL: u64 = 0;
const BLOB_OF_16: u64 = 12 + 2 * 16;
const TEXT_OF_16: u64 = 13 + 2 * 16;

/// How many bytes a value of that type takes.
fn size_of(kind: u64) -> Option<usize> {
    match kind {
        0 | 8 | 9 => Some(0),
        1..=4 => usize::try_from(kind).ok(),
        5 => Some(6),
        6 | 7 => Some(8),
        10 | 11 => None,
        _ => usize::try_from((kind - 12) / 2).ok(),
    }
}

/// A whole number that is not negative.
fn integer((kind, value): (u64, &[u8])) -> Option<i64> {
    match kind {
        1..=6 => value.iter().try_fold(0_i64, |number, byte| number.checked_mul(256)?.checked_add((*byte).into())),
        8 => Some(0),
        9 => Some(1),
        _ => None,
    }
}

/// Takes a number of SQLite's variable length from the front.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for at in 0..9 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        if at == 8 {
            return Some(number << 8 | u64::from(*byte));
        }
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            break;
        }
    }
    Some(number)
}
