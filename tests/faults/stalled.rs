//! Writes that wait: a disk that does not answer, and a write lock of another program.

use rusqlite::Connection as Database;

use crate::{
    rig::{Checks, Subject, sign_in},
    table::Row,
};

pub fn disk(row: &Row) {
    let mut subject =
        Subject::new(&[("PATD__SERVER__BODY_TIMEOUT", "1s"), ("PATD__SERVER__REQUEST_DEADLINE", "2500ms")]);
    subject.rig.switch_on("patd.db-wal.stall", "");
    subject.expect_outage(row, Checks::GoOn);
    subject.expect_unready(row);
    subject.rig.switch_off("patd.db-wal.stall");
    subject.expect_healed(row);
    row.expect_logged(&subject.restart(|_| ()).stderr);
    subject.expect_promises();
}

pub fn write_lock(row: &Row) {
    let mut subject = Subject::new(&[("PATD__DATABASE__BUSY_TIMEOUT", "200ms")]);
    let other = Database::open(subject.rig.path("patd.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    subject.expect_unready(row);
    subject.expect_outage(row, Checks::GoOn);
    let refused = sign_in(&subject.server);
    assert!(refused.body["message"].as_str().unwrap().contains("Nothing was changed"), "{refused:?}");
    other.execute_batch("ROLLBACK").unwrap();
    subject.expect_healed(row);
    drop(other);
    subject.end(row);
}
