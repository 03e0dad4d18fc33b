//! The server on which a node has its lease.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// When the process of the server started, in microseconds. It tells two servers apart.
pub(super) const STARTED: &str = "SELECT (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint";

/// The server on which this node renews its lease. After a failover, the old primary may still answer reads, or come back with
/// its old data, and a lease of the new one says nothing about those.
#[derive(Default)]
pub(crate) struct Primary(Mutex<Option<Renewed>>);

/// A server, and since when the lease is renewed there: the same server at another time is not the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Renewed {
    pub(super) started: i64,
    since: Instant,
}

impl Primary {
    /// The lease is renewed on this server from now on, as [`STARTED`] names it. Call it before the first renewal there. If it
    /// is another one than before, `give_up` must give up the lease of that one first.
    pub(super) fn renews_on(&self, started: i64, give_up: impl FnOnce()) {
        let mut primary = self.lock();
        if primary.is_none_or(|known| known.started != started) {
            give_up();
            *primary = Some(Renewed { started, since: Instant::now() });
        }
    }

    /// Where the lease is renewed. `None` in a process without a lease, and before its first renewal.
    pub(super) fn renewed(&self) -> Option<Renewed> {
        *self.lock()
    }

    /// Whether a connection that was made then may be to another server.
    pub(super) fn may_differ(&self, made: Instant) -> bool {
        self.lock().is_some_and(|renewed| made <= renewed.since)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Renewed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
