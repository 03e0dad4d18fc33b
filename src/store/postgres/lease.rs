//! What the thread of the lease and the threads that answer checks have in common.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use nix::time::{ClockId, clock_gettime};
use tokio::sync::{Notify, watch};

use super::{observers::Observers, primary::Primary};
use crate::store::{
    Change, StoreError,
    cluster::{BootTime, LeaseTerms, NodeId, holds},
    jobs::Notify as _,
};

/// The time on the clock that goes on while the machine is suspended. Without one, no lease would hold.
pub(super) fn boot_time() -> BootTime {
    BootTime::since_boot(clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::MAX, Duration::from))
}

/// The state of a node.
pub(super) struct Shared {
    /// When the lease ends, in nanoseconds of [`boot_time`]. 0 without a lease.
    pub(super) lease_end: AtomicU64,
    /// The end of the latest lease, also if it was given up. For metrics alone.
    pub(super) latest_lease_end: AtomicU64,
    /// The present registration.
    pub(super) id: Mutex<Option<NodeId>>,
    pub(super) observers: Arc<Observers>,
    /// On which server the lease is renewed.
    pub(super) primary: Arc<Primary>,
    /// Asks for a renewal now.
    pub(super) wake: Notify,
    /// How many renewals have ended, and why the last one failed.
    pub(super) renewals: watch::Sender<(u64, Option<StoreError>)>,
    pub(super) stop: watch::Sender<bool>,
    pub(super) left: watch::Sender<bool>,
}

impl Shared {
    pub(super) fn may_answer(&self) -> bool {
        let end = BootTime::since_boot(Duration::from_nanos(self.lease_end.load(Ordering::SeqCst)));
        holds(Some(end), boot_time())
    }

    pub(super) fn set_lease(&self, end: Option<BootTime>) {
        let end = end.map_or(Duration::ZERO, BootTime::elapsed_since_boot);
        let end = u64::try_from(end.as_nanos()).unwrap_or(0);
        self.lease_end.store(end, Ordering::SeqCst);
        self.latest_lease_end.fetch_max(end, Ordering::SeqCst);
    }

    /// How long ago the latest lease began. `None` before the first.
    pub(super) fn lag(&self) -> Option<Duration> {
        let end = self.latest_lease_end.load(Ordering::SeqCst);
        let began = LeaseTerms::NODES.started(BootTime::since_boot(Duration::from_nanos(end)));
        (end > 0).then(|| boot_time().since(began))
    }

    pub(super) fn notify(&self, change: Change) {
        self.observers.notify(change);
    }
}
