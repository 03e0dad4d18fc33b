//! What many records have in common, kept once: the owner of many tokens, the abilities that many tokens hold.
//!
//! Nothing here is ever out of date. A row is always read in full, and only where it says in every column what is kept is
//! that shared instead of being made anew: which saves its parsing, too.

use std::sync::Arc;

use quick_cache::sync::Cache;
use rusqlite::Row;

use super::row;
use crate::domain::{ability::Abilities, account::User, id::UserId};

/// How many are kept; of the others, each record has its own.
const OWNERS: usize = 10_000;
const SETS_OF_ABILITIES: usize = 1000;

pub(super) struct Shared {
    owners: Cache<UserId, Arc<User>>,
    /// By the text of their column.
    abilities: Cache<Box<str>, Abilities>,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self { owners: Cache::new(OWNERS), abilities: Cache::new(SETS_OF_ABILITIES) }
    }

    /// The user in the columns of [`row::user`].
    pub(super) fn owner(&self, row: &Row<'_>, at: usize) -> rusqlite::Result<Arc<User>> {
        let id = UserId::new(row::identifier(row, at)?);
        if let Some(kept) = self.owners.get(&id)
            && row::is_user(row, at, &kept)?
        {
            return Ok(kept);
        }
        let user = Arc::new(row::user(row, at)?);
        self.owners.insert(id, Arc::clone(&user));
        Ok(user)
    }

    /// The abilities in that column.
    pub(super) fn abilities(&self, row: &Row<'_>, at: usize) -> rusqlite::Result<Abilities> {
        let text = row.get_ref(at)?.as_str()?;
        if let Some(kept) = self.abilities.get(text) {
            return Ok(kept);
        }
        let abilities = row::abilities(row, at)?;
        self.abilities.insert(text.into(), abilities.clone());
        Ok(abilities)
    }
}
