//! Overwrites what deleted rows left in the database file.
//!
//! The writer deletes with `PRAGMA secure_delete`, so a deleted row is overwritten with zeros where it was. Copies of it can
//! still be elsewhere:
//!
//! - When SQLite splits or merges a page, the rows that moved stay readable in the gap of the page.
//! - Earlier releases deleted without that pragma. They left rows in free blocks and in free pages.
//! - The log holds earlier versions of pages until it is truncated.
//!
//! So a deletion that must leave nothing behind records that a scrub is owed, in its own transaction ([`owe`]). The scrub
//! then reads every page on a connection for lists ([`find`]), and the writer overwrites the unused bytes of those that need
//! it, a few in each transaction ([`clean`]). It goes through SQLite's table of pages, so such a change is as atomic and
//! durable as any other. At the end, the writer truncates the log, and the debt is settled ([`settle`]). After a crash, the
//! next start goes on where the record says.
//!
//! Every page is read twice, because SQLite can move a whole page, with its free blocks, to a page that was read already.
//! What a page gets into its gap during the scrub comes from rows that are not deleted.

mod page;

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, config::DbConfig, named_params};

use self::page::{MAX_PAGES, Trunk, first_trunk, is_clean, unused_in_tree_page};
use crate::store::StoreError;

/// How many pages one turn reads at most: 16 MiB.
const MAX_READ: u32 = 4096;
/// How many pages one transaction overwrites at most: 1 MiB in the log.
const MAX_CLEANED: usize = 256;
/// How often each page is read.
const ROUNDS: u32 = 2;

const PAGE: &str = "SELECT data FROM sqlite_dbpage('main') WHERE pgno = :page";

/// How far a scrub is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    next_page: u32,
    pages_left: u32,
}

/// Pages to overwrite, and where the scrub then is.
pub(super) struct Found {
    pages: Vec<u32>,
    from: Progress,
    then: Progress,
}

impl Found {
    /// Whether all pages have been read.
    pub(super) const fn is_last(&self) -> bool {
        self.then.pages_left == 0
    }
}

/// Records that everything must be scrubbed that is in the file now. It joins a scrub that is under way.
pub(super) fn owe(connection: &Connection) -> Result<(), StoreError> {
    let pages = page_count(connection)?.saturating_mul(ROUNDS);
    connection
        .prepare_cached(
            "INSERT INTO owed_scrub (only_row, next_page, pages_left) VALUES (1, 1, :pages)
             ON CONFLICT (only_row) DO UPDATE SET pages_left = excluded.pages_left",
        )?
        .execute(named_params! {":pages": pages})?;
    Ok(())
}

/// How far the scrub is that is owed, if one is.
pub(super) fn owed(connection: &Connection) -> Result<Option<Progress>, StoreError> {
    let progress = connection
        .prepare_cached("SELECT next_page, pages_left FROM owed_scrub")?
        .query_row([], |row| Ok(Progress { next_page: row.get(0)?, pages_left: row.get(1)? }))
        .optional()?;
    Ok(progress)
}

/// Looks for the next pages to overwrite. `None` if no scrub is owed.
pub(super) fn find(connection: &Connection) -> Result<Option<Found>, StoreError> {
    // All reads in one snapshot, so that the list of free pages fits the pages.
    let snapshot = connection.unchecked_transaction()?;
    let Some(from) = owed(&snapshot)? else { return Ok(None) };
    let count = page_count(&snapshot)?;
    if count > MAX_PAGES {
        return Err(StoreError::Internal(format!(
            "what deleted rows left cannot be overwritten in a database of more than {MAX_PAGES} pages"
        )));
    }
    let free = free_pages(&snapshot)?;
    let (mut pages, mut at) = (Vec::new(), from);
    for _ in 0..MAX_READ {
        if at.pages_left == 0 || pages.len() == MAX_CLEANED {
            break;
        }
        let number = if at.next_page > count { 1 } else { at.next_page };
        let needs_cleaning =
            with_page(&snapshot, number, |page| !is_clean(page, &unused(number, page, &free)))?.unwrap_or(false);
        if needs_cleaning {
            pages.push(number);
        }
        at = Progress { next_page: number + 1, pages_left: at.pages_left - 1 };
    }
    Ok(Some(Found { pages, from, then: at }))
}

/// Overwrites the unused bytes of the pages that were found, and records how far the scrub is. Pages have changed since, so
/// each is read again.
pub(super) fn clean(connection: &Connection, found: &Found) -> Result<(), StoreError> {
    if !found.pages.is_empty() {
        // The defensive mode, which this connection otherwise has, forbids changes of pages.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false)?;
        let cleaned = overwrite(connection, &found.pages);
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        cleaned?;
    }
    // Not if another deletion has begun the count again.
    connection
        .prepare_cached(
            "UPDATE owed_scrub SET next_page = :next_page,
                    pages_left = iif(pages_left = :expected, :pages_left, pages_left)",
        )?
        .execute(named_params! {
            ":next_page": found.then.next_page,
            ":expected": found.from.pages_left,
            ":pages_left": found.then.pages_left,
        })?;
    Ok(())
}

/// Records that the scrub is done. Call it after the log was truncated. It does nothing if another deletion came meanwhile.
pub(super) fn settle(connection: &Connection) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM owed_scrub WHERE pages_left = 0")?.execute([])?;
    Ok(())
}

fn overwrite(connection: &Connection, pages: &[u32]) -> Result<(), StoreError> {
    let free = free_pages(connection)?;
    for number in pages {
        let cleaned = with_page(connection, *number, |page| {
            let mut cleaned = page.to_vec();
            for range in unused(*number, page, &free) {
                cleaned[range].fill(0);
            }
            (cleaned != page).then_some(cleaned)
        })?;
        if let Some(Some(cleaned)) = cleaned {
            connection
                .prepare_cached("UPDATE sqlite_dbpage SET data = :data WHERE pgno = :page AND schema = 'main'")?
                .execute(named_params! {":page": number, ":data": cleaned})?;
        }
    }
    Ok(())
}

fn unused(number: u32, page: &[u8], free: &FreePages) -> Vec<std::ops::Range<usize>> {
    if free.leaves.contains(&number) {
        std::iter::once(0..page.len()).collect()
    } else if free.trunks.contains(&number) {
        Trunk::parse(page).map(|trunk| trunk.unused).into_iter().collect()
    } else {
        unused_in_tree_page(number, page)
    }
}

#[derive(Default)]
struct FreePages {
    trunks: HashSet<u32>,
    leaves: HashSet<u32>,
}

fn free_pages(connection: &Connection) -> Result<FreePages, StoreError> {
    let mut free = FreePages::default();
    let mut next = with_page(connection, 1, first_trunk)?.unwrap_or(0);
    while next != 0 {
        let Some(Some(trunk)) = with_page(connection, next, Trunk::parse)? else { break };
        if !free.trunks.insert(next) {
            break;
        }
        free.leaves.extend(trunk.leaves);
        next = trunk.next;
    }
    Ok(free)
}

/// Passes the content of a page to `work`. `None` if there is no such page.
fn with_page<T>(connection: &Connection, number: u32, work: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, StoreError> {
    let result = connection
        .prepare_cached(PAGE)?
        .query_row(named_params! {":page": number}, |row| Ok(work(row.get_ref(0)?.as_blob()?)))
        .optional()?;
    Ok(result)
}

fn page_count(connection: &Connection) -> Result<u32, StoreError> {
    Ok(connection.prepare_cached("PRAGMA page_count")?.query_row([], |row| row.get(0))?)
}
