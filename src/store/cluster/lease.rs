//! The time of one machine, and how long a lease lasts.

use std::time::Duration;

/// A moment on the clock of one machine that goes on while the machine is suspended (`CLOCK_BOOTTIME`). Moments of two
/// machines, or of two boots, must never be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BootTime(Duration);

impl BootTime {
    /// The moment that is this long after the machine started.
    pub(crate) const fn since_boot(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// How long ago `earlier` was. Zero if it is later.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// The moment that is this much later.
    pub(crate) fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }

    /// How long after the start of the machine it is.
    pub(crate) const fn elapsed_since_boot(self) -> Duration {
        self.0
    }
}

/// Whether a lease that ends at `end` holds, for its holder. Look at memory and at the database only afterwards.
pub(crate) fn holds(end: Option<BootTime>, now: BootTime) -> bool {
    end.is_some_and(|end| now < end)
}

/// How long leases last. All nodes of a database must use the same length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LeaseTerms {
    length: Duration,
    margin: Duration,
}

impl LeaseTerms {
    /// The lease of nodes: renewed four times as often, and a tenth of it is left for clocks that run at different rates.
    pub(crate) const NODES: Self = Self::new(Duration::from_secs(1), Duration::from_millis(100));

    pub(crate) const fn new(length: Duration, margin: Duration) -> Self {
        Self { length, margin }
    }

    /// The first moment at which a lease that began at `started` does not hold any more, for its holder.
    pub(crate) fn end(self, started: BootTime) -> BootTime {
        started.plus(self.length.saturating_sub(self.margin))
    }

    /// When a lease with this end began.
    pub(crate) fn started(self, end: BootTime) -> BootTime {
        BootTime(end.0.saturating_sub(self.length.saturating_sub(self.margin)))
    }

    /// Whether every lease that began before `since` is over, for anybody else.
    pub(crate) fn is_over(self, since: BootTime, now: BootTime) -> bool {
        now.since(since) >= self.length
    }

    /// When that will be.
    pub(crate) fn over_at(self, since: BootTime) -> BootTime {
        since.plus(self.length)
    }
}
