//! What the server does at its start, on timers and at shutdown. Commands do without.

use std::{sync::PoisonError, time::Duration};

use super::{context::Context, error::Error, first_use, reuse};
use crate::store::StoreError;

/// How many users are sampled for the parameters of their password hashes. A sample takes about 15 ms of a connection
/// for lists.
const HASH_SAMPLE: u32 = 5000;

/// How often the sample is repeated. Until then, checking the password of an unknown account may take as long as it took
/// for known ones before.
const REFRESH_DUMMIES_EVERY: Duration = Duration::from_secs(600);

impl Context {
    /// Prepares a server before its first request: starts the threads for passwords and loads the attempt counters.
    pub async fn start(&self) -> Result<(), Error> {
        self.passwords.start()?;
        let saved = self.store.saved_attempts().await?;
        self.passwords.use_key(&saved.key);
        self.throttle.restore(saved);
        Ok(self.refresh_dummy_parameters().await?)
    }

    async fn refresh_dummy_parameters(&self) -> Result<(), StoreError> {
        self.passwords.learn(&self.store.hash_parameters(HASH_SAMPLE).await?);
        *self.dummies_refreshed_at.lock().unwrap_or_else(PoisonError::into_inner) = self.clock.uptime();
        Ok(())
    }

    /// Due every minute: removes counters and meters at rest, writes what an earlier failure left unwritten, and prunes
    /// rows that ended long ago. If a step fails, the others still run and the next call tries again. The only loss is
    /// quota that could not be returned.
    pub async fn run_maintenance(&self) -> Result<(), StoreError> {
        self.throttle.forget_rested();
        let attempts = self.store.delete_rested_attempts(self.clock.now()).await.map(drop);
        let refreshed_at = *self.dummies_refreshed_at.lock().unwrap_or_else(PoisonError::into_inner);
        let dummies = match self.clock.uptime().saturating_sub(refreshed_at) >= REFRESH_DUMMIES_EVERY {
            true => self.refresh_dummy_parameters().await,
            false => Ok(()),
        };
        let leases = self.meters.forget_rested(&*self.store).await;
        let first_uses = first_use::write_pending(self).await;
        let pruned = self.pruning.prune(&*self.store, &self.clock, &self.rules, &self.uses).await;
        pruned.and(first_uses).and(leases).and(attempts).and(dummies)
    }

    /// Due every few seconds: saves the attempt counters that have changed. After a failure, the next call tries again.
    pub async fn save_attempts(&self) -> Result<(), StoreError> {
        self.throttle.save_all(&*self.store).await
    }

    /// Due soon after a reuse: records the reuses that checks have seen, and revokes their families if the configuration
    /// says so. After a failure, the next call tries again.
    pub async fn flush_reuse(&self) -> Result<(), StoreError> {
        reuse::flush(self).await
    }

    /// Due at shutdown: writes all uses, and returns the unused part of all leases.
    pub async fn flush_uses(&self) -> Result<(), StoreError> {
        let leases = self.return_leases().await;
        let uses = self.uses.flush(&*self.store).await;
        let first_uses = first_use::write_pending(self).await;
        self.use_locations.flush(&*self.store).await.and(uses).and(first_uses).and(leases)
    }

    /// Returns the unused part of all leases. A command that checked a token does this instead of [`Self::flush_uses`].
    pub async fn return_leases(&self) -> Result<(), StoreError> {
        self.meters.return_all(&*self.store).await
    }

    /// Writes a part of the uses. After [`TURNS`](super::state::uses::TURNS) calls, all uses that existed at the first
    /// call are written.
    pub async fn flush_some_uses(&self) -> Result<(), StoreError> {
        self.uses.flush_some(&*self.store, self.clock.now()).await?;
        self.use_locations.flush_some(&*self.store).await
    }
}
