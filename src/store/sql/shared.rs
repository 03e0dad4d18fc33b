//! Values that many records have in common, kept in memory once: the owners of tokens and the abilities of tokens.
//!
//! A shared value is never out of date. Each read compares the columns of its row with the shared value, and uses the value
//! only if all of them are equal. This also saves parsing the columns.

use std::sync::Arc;

use quick_cache::sync::Cache;

use super::{connection::Row, row};
use crate::{
    domain::{ability::Abilities, id::UserId, owner::Owner},
    store::StoreError,
};

/// How many values are kept. Beyond that, records have their own copies.
const OWNERS: usize = 10_000;
const ABILITY_SETS: usize = 1000;

pub(crate) struct Shared {
    owners: Cache<UserId, Arc<Owner>>,
    /// By the text of the column `abilities`.
    abilities: Cache<Box<str>, Abilities>,
}

impl Shared {
    pub(crate) fn new() -> Self {
        Self { owners: Cache::new(OWNERS), abilities: Cache::new(ABILITY_SETS) }
    }

    /// The owner in the columns from `at` on, as [`row::owner`] reads them.
    pub(crate) fn owner(&self, row: &dyn Row, at: usize) -> Result<Arc<Owner>, StoreError> {
        let id = UserId::new(row::identifier(row, at)?);
        if let Some(kept) = self.owners.get(&id)
            && row::is_owner(row, at, &kept)?
        {
            return Ok(kept);
        }
        let owner = Arc::new(row::owner(row, at)?);
        self.owners.insert(id, Arc::clone(&owner));
        Ok(owner)
    }

    /// The abilities in the column `at`.
    pub(crate) fn abilities(&self, row: &dyn Row, at: usize) -> Result<Abilities, StoreError> {
        let text = row.text(at)?;
        if let Some(kept) = self.abilities.get(text) {
            return Ok(kept);
        }
        let abilities = row::abilities(row, at)?;
        self.abilities.insert(text.into(), abilities.clone());
        Ok(abilities)
    }
}
