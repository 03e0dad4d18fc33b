//! A system clock that jumps while the server runs.

use std::{thread, time::Duration};

use crate::{
    rig::{Checks, Subject},
    table::Row,
};

/// The housekeeping looks at the clock each second, and logs what has changed.
const HOUSEKEEPING: Duration = Duration::from_millis(1200);
const YEAR: i64 = 365 * 24 * 60 * 60;

pub fn set_back(row: &Row) {
    jumps(row, -3600);
}

pub fn ahead(row: &Row) {
    jumps(row, YEAR + YEAR / 2);
}

/// Nothing is issued; tokens without an end are accepted, and revocations go on.
fn jumps(row: &Row, seconds: i64) {
    // Longer than the jump: what has expired by the clock is refused, since it may indeed have expired.
    let lifetimes = [("PATD__SESSIONS__LIFETIME", "1500d"), ("PATD__SESSIONS__IDLE_LIFETIME", "1500d")];
    let mut subject = Subject::new(&lifetimes);
    for seconds in [seconds, 2 * seconds] {
        subject.rig.set_clock(seconds);
        subject.expect_unready(row);
        let answer = subject.create();
        assert_eq!(answer.status, 503, "{answer:?}");
        row.expect_answer(&answer);
        assert_eq!(subject.revoke().status, 200);
        row.expect_words("revocations go on");
        subject.expect_checks(row, Checks::GoOn);
        thread::sleep(HOUSEKEEPING);
        subject.rig.set_clock(0);
        subject.expect_healed(row);
        thread::sleep(HOUSEKEEPING);
    }
    subject.end(row);
}
