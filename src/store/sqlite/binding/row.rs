//! The row that the file and its log both carry, as a row of a table and as bytes in a page.

use rusqlite::{Connection, Row};

pub(super) type Nonce = [u8; 16];

/// The text in the row that identifies its page.
const MARKER: &[u8; 16] = b"patd log binding";

/// The row of `log_binding`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store::sqlite) struct Binding {
    /// Drawn when the database is created.
    pub(super) database: Nonce,
    /// The number of the nonce. Each draw adds one.
    pub(super) generation: i64,
    pub(super) nonce: Nonce,
    /// `None` in the first generation.
    pub(super) previous: Option<Nonce>,
}

impl Binding {
    pub(in crate::store::sqlite) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let sql = "SELECT database_id, generation, nonce, previous_nonce FROM log_binding";
        connection.prepare_cached(sql)?.query_row([], Self::of_row)
    }

    /// Draws a new nonce.
    pub(super) fn renew(connection: &Connection) -> rusqlite::Result<Self> {
        let sql = "UPDATE log_binding SET generation = generation + 1, nonce = randomblob(16), previous_nonce = nonce
                   RETURNING database_id, generation, nonce, previous_nonce";
        connection.prepare_cached(sql)?.query_row([], Self::of_row)
    }

    fn of_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { database: row.get(0)?, generation: row.get(1)?, nonce: row.get(2)?, previous: row.get(3)? })
    }

    /// Finds the row in a page of the file or of the log. `None` if the page is not the one of `log_binding`, which is a
    /// table leaf with one cell whose record has the types of the row and its marker.
    pub(super) fn in_page(page: &[u8]) -> Option<Self> {
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
        let header_length = usize::try_from(varint(&mut record)?).ok()?;
        let mut types = all.get(all.len() - record.len()..header_length)?;
        let mut values = all.get(header_length..)?;
        let mut value = || {
            let kind = varint(&mut types)?;
            let (value, remaining) = values.split_at_checked(size_of(kind)?)?;
            values = remaining;
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

/// Types of values, as in the header of a record.
const NULL: u64 = 0;
const BLOB_OF_16: u64 = 12 + 2 * 16;
const TEXT_OF_16: u64 = 13 + 2 * 16;

/// The length of a value of that type, in bytes.
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

/// A non-negative integer.
fn integer((kind, value): (u64, &[u8])) -> Option<i64> {
    match kind {
        1..=6 => value.iter().try_fold(0_i64, |number, byte| number.checked_mul(256)?.checked_add((*byte).into())),
        8 => Some(0),
        9 => Some(1),
        _ => None,
    }
}

/// Removes an integer in SQLite's variable-length format from the front.
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
