//! A disk that refuses to read or to write while the server runs.

use crate::{
    rig::{Checks, Subject},
    table::Row,
};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;
const EDQUOT: i32 = 122;

pub fn full(row: &Row) {
    refused_writes(row, &[ENOSPC, EDQUOT]);
}

pub fn failing_writes(row: &Row) {
    refused_writes(row, &[EIO]);
}

pub fn read_only(row: &Row) {
    refused_writes(row, &[EROFS]);
}

/// First the log alone cannot be written, then the database, too.
fn refused_writes(row: &Row, errors: &[i32]) {
    let mut subject = Subject::new(&[]);
    for error in errors {
        for files in [&["patd.db-wal"][..], &["patd.db-wal", "patd.db"]] {
            files.iter().for_each(|file| subject.rig.switch_on(&format!("{file}.fail-write"), &error.to_string()));
            // No client has sent a change since then.
            subject.expect_unready(row);
            subject.expect_outage(row, Checks::GoOn);
            files.iter().for_each(|file| subject.rig.switch_off(&format!("{file}.fail-write")));
            subject.expect_healed(row);
        }
    }
    row.expect_logged(&subject.restart(|_| ()).stderr);
    subject.expect_promises();
}

pub fn failing_reads(row: &Row) {
    let mut subject = Subject::new(&[]);
    // A server that has just started has no page in memory.
    subject.restart(|_| ()).expect_success();
    for file in ["patd.db", "patd.db-wal"] {
        subject.rig.switch_on(&format!("{file}.fail-read"), &EIO.to_string());
    }
    subject.expect_outage(row, Checks::Fail);
    subject.expect_unready(row);
    for file in ["patd.db", "patd.db-wal"] {
        subject.rig.switch_off(&format!("{file}.fail-read"));
    }
    subject.expect_healed(row);
    subject.end(row);
}
