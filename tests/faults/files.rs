//! Files that are deleted or moved away while the server runs.

use std::{fs, thread, time::Duration};

use crate::{
    rig::{Checks, Subject},
    table::Row,
};

pub fn deleted_database(row: &Row) {
    let mut subject = Subject::new(&[]);
    fs::rename(subject.rig.path("patd.db"), subject.rig.path("elsewhere")).unwrap();
    subject.expect_unready(row);
    subject.expect_outage(row, Checks::Fail);
    fs::rename(subject.rig.path("elsewhere"), subject.rig.path("patd.db")).unwrap();
    subject.expect_healed(row);
    fs::remove_file(subject.rig.path("patd.db")).unwrap();
    subject.expect_unready(row);
    subject.expect_outage(row, Checks::Fail);
    subject.end(row);
}

/// The server still has the deleted log open, and copies it into the database at once: an orderly end is not needed.
pub fn deleted_log(row: &Row) {
    for is_killed in [false, true] {
        let mut subject = Subject::new(&[]);
        fs::remove_file(subject.rig.path("patd.db-wal")).unwrap();
        subject.expect_unready(row);
        subject.expect_outage(row, Checks::Fail);
        thread::sleep(Duration::from_millis(500));
        assert!(!row.heals());
        let ended = if is_killed { subject.kill_and_restart(|_| ()) } else { subject.restart(|_| ()) };
        row.expect_logged(&ended.stderr);
        subject.expect_working();
    }
}
