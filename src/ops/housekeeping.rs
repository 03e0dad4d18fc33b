//! What the server does at its start, on timers and at shutdown. Of these, commands need only [`Context::start_clock`].

use std::{
    sync::{PoisonError, atomic::Ordering},
    time::Duration,
};

use futures_util::future::join;

use super::{context::Context, error::Error, first_use, reuse, seals};
use crate::store::StoreError;

/// How many users are sampled for the parameters of their password hashes. A sample takes about 15 ms of a connection
/// for lists.
const HASH_SAMPLE: u32 = 5000;

/// How often the sample is repeated. Until then, checking the password of an unknown account may take as long as it took
/// for known ones before.
const REFRESH_DUMMIES_EVERY: Duration = Duration::from_secs(600);

/// How often the store records the time. After a crash, the latest time that the next start knows is at most this old.
const RECORD_TIME_EVERY: Duration = Duration::from_hours(1);

impl Context {
    /// Prepares a server before its first request: compares the clock with the database, starts the threads for passwords
    /// and loads the attempt counters.
    pub async fn start(&self) -> Result<(), Error> {
        self.start_clock().await?;
        self.observe_clock();
        self.passwords.start()?;
        self.passwords.use_key(&self.throttle.load(&*self.store).await?);
        // A deletion before a crash or before the end of the last server.
        self.scrub_due.store(true, Ordering::Relaxed);
        Ok(self.refresh_dummy_parameters().await?)
    }

    /// Starts the clock from the latest time that the database holds. Call it before any operation.
    pub async fn start_clock(&self) -> Result<(), Error> {
        if let Some(latest) = self.store.latest_time().await? {
            self.clock.start_from(latest);
            self.pruning.start_after(self.clock.now().since(latest), &self.clock);
        }
        Ok(())
    }

    /// Makes the next [`Context::start_clock`] believe the system clock, whatever the database says. Fails if the clock is
    /// from before this program existed.
    pub async fn trust_system_clock(&self) -> Result<(), Error> {
        let latest = self.store.latest_time().await?;
        self.expect_reliable_clock()?;
        let system = self.clock.now();
        log::warn!(
            system_clock:% = system, latest_time = latest.map_or_else(|| "-".to_owned(), |latest| latest.to_string());
            "--trust-clock: the system clock is trusted, whatever the latest time in the database is"
        );
        Ok(self.store.record_time(system).await?)
    }

    /// Due often: logs if the clock has become unreliable, or reliable again.
    pub fn observe_clock(&self) {
        self.clock.log_change();
    }

    /// Due at shutdown: records the time for the next start.
    pub async fn record_time(&self) -> Result<(), StoreError> {
        if self.clock.check().is_err() {
            return Ok(());
        }
        self.store.record_time(self.clock.now()).await
    }

    /// Records the time if that was not done in the last hour.
    async fn record_time_hourly(&self) -> Result<(), StoreError> {
        let uptime = self.clock.uptime();
        let lock = || self.time_recorded_at.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = lock().is_some_and(|last| uptime.saturating_sub(last) < RECORD_TIME_EVERY);
        if is_recent || self.clock.check().is_err() {
            return Ok(());
        }
        self.store.record_time(self.clock.now()).await?;
        *lock() = Some(uptime);
        Ok(())
    }

    async fn refresh_dummy_parameters(&self) -> Result<(), StoreError> {
        self.passwords.learn(&self.store.hash_parameters(HASH_SAMPLE).await?);
        *self.dummies_refreshed_at.lock().unwrap_or_else(PoisonError::into_inner) = self.clock.uptime();
        Ok(())
    }

    /// Due every minute: removes counters and meters at rest from memory, writes what an earlier failure left unwritten, and does the
    /// housekeeping of the database, if no other server does. If a step fails, the others still run and the next call tries again.
    /// The only loss is quota that could not be returned.
    pub async fn run_maintenance(&self) -> Result<(), StoreError> {
        self.throttle.forget_rested();
        let refreshed_at = *self.dummies_refreshed_at.lock().unwrap_or_else(PoisonError::into_inner);
        let dummies = match self.clock.uptime().saturating_sub(refreshed_at) >= REFRESH_DUMMIES_EVERY {
            true => self.refresh_dummy_parameters().await,
            false => Ok(()),
        };
        let leases = self.meters.forget_rested(&*self.store).await;
        let first_uses = first_use::write_pending(self).await;
        let shared = match self.store.does_housekeeping().await {
            Ok(true) => self.keep_house().await,
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        // A command that opened the file itself may have deleted a user, and an earlier turn may have been prevented.
        self.scrub_due.store(true, Ordering::Relaxed);
        shared.and(first_uses).and(leases).and(dummies)
    }

    /// What one server does for all that share the database: removes counters at rest, seals the audit trail, prunes rows that
    /// ended long ago, and records the time.
    async fn keep_house(&self) -> Result<(), StoreError> {
        let counters = match self.store.shared_counters() {
            None => self.store.delete_rested_attempts(self.clock.recordable()).await.map(drop),
            Some(counters) => counters.delete_rested_counters().await,
        };
        // Only sealed events are pruned.
        let sealed = seals::seal_due(self).await;
        let pruned = self.pruning.prune(&*self.store, &self.clock, &self.rules, &self.uses, &self.usage).await;
        let time = self.record_time_hourly().await;
        pruned.and(sealed).and(counters).and(time)
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
        let usage = self.usage.flush(&*self.store, self.clock.recordable()).await;
        self.use_locations.flush(&*self.store).await.and(uses).and(usage).and(first_uses).and(leases)
    }

    /// Returns the unused part of all leases. A command that checked a token does this instead of [`Self::flush_uses`].
    pub async fn return_leases(&self) -> Result<(), StoreError> {
        self.meters.return_all(&*self.store).await
    }

    /// Writes a part of the uses. After [`TURNS`](super::state::uses::TURNS) calls, all uses that existed at the first
    /// call are written.
    pub async fn flush_some_uses(&self) -> Result<(), StoreError> {
        let now = self.clock.recordable();
        let uses = async {
            self.uses.flush_some(&*self.store, now).await?;
            self.use_locations.flush_some(&*self.store).await
        };
        // At the same time, so that they share a commit.
        let (uses, usage) = join(uses, self.usage.flush_some(&*self.store, now)).await;
        uses.and(usage)
    }
}
