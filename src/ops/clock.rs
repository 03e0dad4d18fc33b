//! The server's time, and whether the system clock can be relied on.
//!
//! A wrong clock does harm in two ways. A time that is too late lets everything expire, and what is issued lasts too long.
//! A time that is too early lets expired tokens pass. So the system clock is compared with the latest time that has
//! certainly passed: the latest that this process has believed, and at the start the latest that the database holds.
//!
//! - Behind it by more than [`TOLERANCE`]: the clock stands still at that time and is unreliable.
//! - Ahead of it by more than [`LONGEST_PAUSE`]: what the system clock says counts for checks, so that nothing that may
//!   have expired passes, but it is not kept, and the clock is unreliable. Once the system clock is set right, it is
//!   followed again, without a restart.
//!
//! While the clock is unreliable, nothing is issued that carries a time (`Context::attribution_to_issue`) and nothing is deleted
//! because of its age.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU8, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use crate::domain::time::Timestamp;

/// How far the system clock may be behind the latest known time. Time services correct a clock by less without stepping it.
const TOLERANCE: i64 = 60;

/// How far the system clock may be ahead of the latest known time, in seconds: a year. A server, or its virtual machine,
/// may be off for months, so a shorter limit would call a correct clock wrong. A wrong clock within the limit is believed.
const LONGEST_PAUSE: i64 = 365 * 24 * 60 * 60;

/// 2024-01-01, before this program existed. A machine without a battery starts with a clock in 1970.
const EARLIEST: i64 = 1_704_067_200;

/// A clock that never steps back: if its source does, it stands still, so that what was refused as expired stays refused.
#[derive(Clone)]
pub struct Clock(Arc<Inner>);

struct Inner {
    source: Box<dyn Fn() -> Timestamp + Send + Sync>,
    uptime: Box<dyn Fn() -> Duration + Send + Sync>,
    /// The latest known time.
    latest: AtomicI64,
    /// The latest time that is believed now. There is no limit until a time is known.
    limit: AtomicI64,
    /// The state that the log was told last: one of the constants of [`ClockFault`].
    logged: AtomicU8,
}

impl Clock {
    /// The clock of the operating system.
    pub fn system() -> Self {
        let started = Instant::now();
        Self::starting_at(EARLIEST, system_time, move || started.elapsed())
    }

    /// A clock with this source, which is also its uptime. Tests move it.
    pub fn new(source: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        let source = Arc::new(source);
        let time = Arc::clone(&source);
        Self::with_uptime(move || source(), move || time().since(Timestamp::from_unix(0)))
    }

    /// A clock with this source and this uptime.
    pub fn with_uptime(
        source: impl Fn() -> Timestamp + Send + Sync + 'static,
        uptime: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> Self {
        Self::starting_at(0, source, uptime)
    }

    fn starting_at(
        earliest: i64,
        source: impl Fn() -> Timestamp + Send + Sync + 'static,
        uptime: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner {
            source: Box::new(source),
            uptime: Box::new(uptime),
            latest: AtomicI64::new(earliest),
            limit: AtomicI64::new(i64::MAX),
            logged: AtomicU8::new(ClockFault::NONE),
        }))
    }

    /// Starts from the latest time that the database holds, instead of what was believed so far. Call it before the clock
    /// is used.
    pub(super) fn start_from(&self, latest: Timestamp) {
        self.0.latest.store(latest.unix(), Ordering::Relaxed);
        self.0.limit.store(latest.unix().saturating_add(LONGEST_PAUSE), Ordering::Relaxed);
    }

    /// How long the process has been running. For waiting times, which pass whatever the time of day does.
    pub fn uptime(&self) -> Duration {
        (self.0.uptime)()
    }

    /// The time by which checks judge. While the clock is unreliable it may be wrong, but what has expired by it
    /// may indeed have expired.
    pub fn now(&self) -> Timestamp {
        let system = (self.0.source)().unix();
        let latest = self.0.latest.load(Ordering::Relaxed);
        Timestamp::from_unix(if system <= latest { latest } else { self.advance(system) })
    }

    /// Keeps a later time, unless it is too late to be believed.
    fn advance(&self, system: i64) -> i64 {
        if system > self.0.limit.load(Ordering::Relaxed) {
            return system;
        }
        self.0.limit.store(system + LONGEST_PAUSE, Ordering::Relaxed);
        self.0.latest.fetch_max(system, Ordering::Relaxed).max(system)
    }

    /// The time to store with what happens now. A time that is not believed is never stored: it would make the next start
    /// distrust a correct clock.
    pub fn recordable(&self) -> Timestamp {
        self.recordable_for(self.now())
    }

    /// The same for a time that [`Clock::now`] has returned.
    pub(super) fn recordable_for(&self, now: Timestamp) -> Timestamp {
        now.min(Timestamp::from_unix(self.0.latest.load(Ordering::Relaxed)))
    }

    /// Whether the system clock can be relied on now.
    pub fn check(&self) -> Result<(), ClockFault> {
        let system = (self.0.source)();
        let latest = Timestamp::from_unix(self.0.latest.load(Ordering::Relaxed));
        if system.unix() < latest.unix() - TOLERANCE {
            return Err(ClockFault { system, latest });
        }
        if system > latest {
            self.advance(system.unix());
            let latest = Timestamp::from_unix(self.0.latest.load(Ordering::Relaxed));
            if system > latest {
                return Err(ClockFault { system, latest });
            }
        }
        Ok(())
    }

    /// Logs whether the clock is reliable, once for each change.
    pub(super) fn log_change(&self) {
        let checked = self.check();
        let state = checked.map_or_else(ClockFault::state, |()| ClockFault::NONE);
        if self.0.logged.swap(state, Ordering::Relaxed) == state {
            return;
        }
        match checked {
            Err(fault @ ClockFault { system, latest }) => log::error!(
                system_clock:% = system, latest_time:% = latest;
                "the clock is unreliable: {fault}. Until the system clock is right, nothing is issued that carries a time, \
                 and /readyz is 503. If the system clock is right already, restart once with patd serve --trust-clock"
            ),
            Ok(()) => log::info!(
                system_clock:% = (self.0.source)(), latest_time:% = self.now();
                "the clock is reliable again"
            ),
        }
    }
}

/// Why the clock cannot be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockFault {
    /// What the system clock says.
    pub system: Timestamp,
    /// The latest time that has certainly passed.
    pub latest: Timestamp,
}

impl ClockFault {
    const NONE: u8 = 0;
    const BEHIND: u8 = 1;
    const AHEAD: u8 = 2;

    fn state(self) -> u8 {
        if self.system < self.latest { Self::BEHIND } else { Self::AHEAD }
    }
}

impl fmt::Display for ClockFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { system, latest } = self;
        let relation = if self.state() == Self::BEHIND { "before" } else { "more than a year after" };
        write!(f, "the system clock says {system}, which is {relation} {latest}, the latest time that the server knows")
    }
}

/// The second that has begun, before 1970 too.
fn system_time() -> Timestamp {
    let epoch = Timestamp::from_unix(0);
    match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => epoch.plus(after),
        // Rounded down, as a time after 1970 is.
        Err(before) => epoch.minus(before.duration() + Duration::from_nanos(999_999_999)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_800_000_000;
    const YEAR: i64 = LONGEST_PAUSE;

    /// A clock whose source says what the first value holds.
    fn clock() -> (Arc<AtomicI64>, Clock) {
        let time = Arc::new(AtomicI64::new(START));
        let source = Arc::clone(&time);
        (time, Clock::new(move || Timestamp::from_unix(source.load(Ordering::Relaxed))))
    }

    /// What is judged by, what is stored, and whether the clock is reliable, where the system clock says `system`.
    fn at(time: &AtomicI64, clock: &Clock, system: i64) -> (i64, i64, bool) {
        time.store(system, Ordering::Relaxed);
        (clock.now().unix(), clock.recordable().unix(), clock.check().is_ok())
    }

    #[test]
    fn stands_still_while_its_source_is_behind_and_is_unreliable_beyond_a_minute() {
        let (time, clock) = clock();
        assert_eq!(at(&time, &clock, START), (START, START, true));
        assert_eq!(at(&time, &clock, START - 60), (START, START, true));
        assert_eq!(at(&time, &clock, START - 61), (START, START, false));
        assert_eq!(at(&time, &clock, -YEAR), (START, START, false), "before 1970");
        assert_eq!(at(&time, &clock, START - 60), (START, START, true), "it recovers");
        assert_eq!(at(&time, &clock, START + 1), (START + 1, START + 1, true));
    }

    #[test]
    fn a_time_more_than_a_year_ahead_counts_for_checks_and_is_not_kept() {
        let (time, clock) = clock();
        clock.start_from(Timestamp::from_unix(START));
        let wrong = START + 14 * YEAR;
        for latest in [START, START + 5] {
            assert_eq!(at(&time, &clock, wrong), (wrong, latest, false));
            assert_eq!(at(&time, &clock, START + 5), (START + 5, START + 5, true), "it recovers by itself");
        }
        assert_eq!(at(&time, &clock, START + 5 + YEAR + 1), (START + 5 + YEAR + 1, START + 5, false));
        assert_eq!(at(&time, &clock, START + 5 + YEAR), (START + 5 + YEAR, START + 5 + YEAR, true));
    }

    #[test]
    fn a_start_is_judged_by_the_latest_time_that_is_stored() {
        let (time, clock) = clock();
        clock.start_from(Timestamp::from_unix(START));
        assert_eq!(at(&time, &clock, START - 61), (START, START, false));
        assert_eq!(at(&time, &clock, 0), (START, START, false));
        assert_eq!(at(&time, &clock, START - 60), (START, START, true));
        let (time, clock) = self::clock();
        assert_eq!(at(&time, &clock, 100 * YEAR), (100 * YEAR, 100 * YEAR, true), "nothing is stored");
    }

    #[test]
    fn what_was_believed_before_the_start_is_forgotten() {
        let (time, clock) = clock();
        assert_eq!(at(&time, &clock, START + 2 * YEAR).0, START + 2 * YEAR);
        clock.start_from(Timestamp::from_unix(START));
        assert_eq!(at(&time, &clock, START + 2 * YEAR), (START + 2 * YEAR, START, false));
        assert_eq!(at(&time, &clock, START), (START, START, true));
    }

    #[test]
    fn a_system_clock_before_this_program_existed_is_wrong() {
        for system in [-1, 0, EARLIEST - 61] {
            let clock = Clock::starting_at(EARLIEST, move || Timestamp::from_unix(system), Duration::default);
            assert_eq!((clock.now().unix(), clock.recordable().unix()), (EARLIEST, EARLIEST));
            assert!(clock.check().is_err(), "{system}");
        }
    }

    #[test]
    fn a_fault_names_both_times() {
        let (before, after) = (Timestamp::from_unix(-1), Timestamp::from_unix(START));
        let said = ClockFault { system: before, latest: after }.to_string();
        assert!(said.contains("says 1969-12-31T23:59:59Z, which is before 2027-01-15T08:00:00Z"), "{said}");
        let said = ClockFault { system: after, latest: before }.to_string();
        assert!(said.contains("which is more than a year after 1969-12-31T23:59:59Z"), "{said}");
    }
}
