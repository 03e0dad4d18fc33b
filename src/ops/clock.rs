//! The clock by which everything is judged.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use crate::domain::time::Timestamp;

/// A clock that never steps back: where its source does, it stands still, so that what was refused as expired stays
/// refused.
#[derive(Clone)]
pub struct Clock(Arc<Inner>);

struct Inner {
    source: Box<dyn Fn() -> Timestamp + Send + Sync>,
    uptime: Box<dyn Fn() -> Duration + Send + Sync>,
    latest: AtomicI64,
}

impl Clock {
    /// The clock of the operating system.
    pub fn system() -> Self {
        let started = Instant::now();
        Self::with_uptime(time_of_day, move || started.elapsed())
    }

    /// A clock that asks `source`; tests move theirs.
    pub fn new(source: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        let source = Arc::new(source);
        let told = Arc::clone(&source);
        Self::with_uptime(move || source(), move || told().since(Timestamp::from_unix(0)))
    }

    /// The same, and `uptime` for how long the process runs.
    pub fn with_uptime(
        source: impl Fn() -> Timestamp + Send + Sync + 'static,
        uptime: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner { source: Box::new(source), uptime: Box::new(uptime), latest: AtomicI64::new(i64::MIN) }))
    }

    /// How long the process runs, from an arbitrary beginning: for waiting times, which must pass whatever becomes of
    /// the time of day.
    pub fn uptime(&self) -> Duration {
        (self.0.uptime)()
    }

    /// The time now: the latest that the source has told so far.
    pub fn now(&self) -> Timestamp {
        let told = (self.0.source)().unix();
        let latest = self.0.latest.load(Ordering::Relaxed);
        if told <= latest {
            return Timestamp::from_unix(latest);
        }
        Timestamp::from_unix(self.0.latest.fetch_max(told, Ordering::Relaxed).max(told))
    }
}

/// The second that has begun; what the system tells from before 1970 counts as its beginning.
fn time_of_day() -> Timestamp {
    Timestamp::from_unix(0).plus(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stands_still_where_its_source_steps_back() {
        let source = Arc::new(AtomicI64::new(100));
        let told = Arc::clone(&source);
        let clock = Clock::new(move || Timestamp::from_unix(told.load(Ordering::Relaxed)));
        assert_eq!(clock.now().unix(), 100);
        source.store(40, Ordering::Relaxed);
        assert_eq!(clock.now().unix(), 100);
        source.store(101, Ordering::Relaxed);
        assert_eq!(clock.now().unix(), 101);
    }
}
