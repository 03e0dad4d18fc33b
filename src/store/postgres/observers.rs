//! Those who hear of changes, as the cache does.

use std::sync::{PoisonError, RwLock};

use crate::store::{Change, Observer, jobs::Notify};

/// Those who hear of changes.
#[derive(Default)]
pub(super) struct Observers(RwLock<Vec<Observer>>);

impl Observers {
    pub(super) fn add(&self, observer: Observer) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(observer);
    }
}

impl Notify for Observers {
    fn notify(&self, change: Change) {
        for observer in &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            observer(change);
        }
    }
}
