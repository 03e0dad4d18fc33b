//! Files that another program changes while the server runs. SQLite itself does not notice this.

use std::{fs, process::Command};

use rusqlite::Connection as Database;

use crate::{
    rig::{Checks, Rig, Subject},
    table::Row,
};

fn shell(subject: &Subject, command: &str) {
    let directory = subject.rig.place.directory();
    assert!(Command::new("sh").args(["-c", command]).current_dir(directory).status().unwrap().success());
}

pub fn while_running(row: &Row) {
    let overwritings = [
        "> patd.db",
        "cp backup patd.db",
        "cp other patd.db",
        "dd if=/dev/zero of=patd.db bs=4096 seek=1 count=1 conv=notrunc 2> /dev/null",
        "> patd.db-wal",
    ];
    for overwriting in overwritings {
        let rig = Rig::new(&[]);
        fs::copy(rig.path("patd.db"), rig.path("backup")).unwrap();
        fs::copy(Rig::new(&[]).path("patd.db"), rig.path("other")).unwrap();
        let mut subject = Subject::on(rig);
        shell(&subject, overwriting);
        for _ in 0..2 {
            subject.expect_unready(row);
            subject.expect_outage(row, Checks::Fail);
        }
        assert!(!row.heals());
        let before = fs::read(subject.rig.path("patd.db")).unwrap();
        subject.server.signal("TERM");
        let ended = subject.server.wait();
        assert!(ended.success, "{}", ended.stderr);
        assert_eq!(ended.stderr.matches("under the running server").count(), 1, "{}", ended.stderr);
        row.expect_logged(&ended.stderr);
        assert!(before == fs::read(subject.rig.path("patd.db")).unwrap(), "nothing is folded into it at the end");
        assert!(subject.rig.path("patd.db-wal").exists(), "what is in the log may be of use");
    }
}

#[test]
fn a_command_that_cannot_look_up_its_subject_says_that_nothing_was_changed() {
    let mut subject = Subject::new(&[]);
    shell(&subject, "> patd.db-wal");
    assert_eq!(subject.create().status, 503);
    for change in ["disable", "enable"] {
        let ended = subject.rig.place.run(&["user", change, "a@example.com"], "");
        assert!(!ended.success && ended.stderr.contains("nothing was changed"), "{ended:?}");
    }
    assert!(subject.server.terminate().success);
}

#[test]
fn changes_through_sqlite_do_not_count_as_overwriting() {
    let mut subject = Subject::new(&[]);
    let database = Database::open(subject.rig.path("patd.db")).unwrap();
    for mode in ["PASSIVE", "FULL", "RESTART", "TRUNCATE"] {
        for _ in 0..3 {
            assert_eq!(subject.create().status, 201);
            database.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(())).unwrap();
            assert_eq!(subject.readiness().status, 200, "{mode}");
        }
    }
    database.execute_batch("UPDATE users SET name = 'B'; VACUUM; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    // The mode and the links of the file may change: they are not its content.
    shell(&subject, "chmod 640 patd.db; ln patd.db link");
    for _ in 0..3 {
        assert_eq!(subject.create().status, 201);
        assert_eq!(subject.readiness().status, 200);
    }
    drop(database);
    assert!(subject.server.terminate().success);
}
