//! A page of the database with other content than SQLite wrote, as a failing disk leaves it.

use std::{
    fs::{File, FileTimes},
    os::unix::fs::FileExt,
};

use rusqlite::Connection as Database;

use crate::{
    rig::{Checks, Rig, Subject},
    table::Row,
};

const PAGE: u64 = 4096;

/// Damages the first page of each table and index. The size and the times of the file stay, as when a disk returns other bytes
/// than it got.
fn damage(rig: &Rig) {
    let path = rig.path("patd.db");
    let pages: Vec<u64> = Database::open(&path)
        .and_then(|database| {
            let sql = "SELECT rootpage FROM sqlite_schema WHERE rootpage > 1";
            database
                .prepare(sql)?
                .query_map([], |row| row.get::<_, i64>(0))?
                .map(|page| Ok(page?.unsigned_abs()))
                .collect()
        })
        .unwrap();
    assert!(!pages.is_empty());
    let file = File::options().write(true).open(&path).unwrap();
    let metadata = file.metadata().unwrap();
    for page in pages {
        file.write_all_at(&[0xa5; PAGE as usize], (page - 1) * PAGE).unwrap();
    }
    file.set_times(FileTimes::new().set_modified(metadata.modified().unwrap())).unwrap();
}

pub fn at_the_start(row: &Row) {
    let rig = Rig::new(&[]);
    let damaged = std::fs::read(rig.path("patd.db")).unwrap();
    damage(&rig);
    let before = std::fs::read(rig.path("patd.db")).unwrap();
    assert!(damaged != before);
    for command in [&["serve"][..], &["user", "list"]] {
        let refused = rig.place.run(command, "");
        assert_eq!(refused.code, Some(5), "{refused:?}");
        row.expect_logged(&refused.stderr);
    }
    row.expect_words("refused");
    assert!(!row.heals());
    assert!(before == std::fs::read(rig.path("patd.db")).unwrap(), "the file is not changed");
    // What is to be done: a backup is put in its place.
    std::fs::write(rig.path("patd.db"), damaged).unwrap();
    Subject::on(rig).expect_working();
}

pub fn while_running(row: &Row) {
    let mut subject = Subject::new(&[]);
    subject.restart(|_| ()).expect_success();
    // Stopped, so that it does not look at the file before that has its times back.
    subject.server.signal("STOP");
    damage(&subject.rig);
    subject.server.signal("CONT");
    subject.expect_outage(row, Checks::Fail);
    subject.expect_unready(row);
    assert!(!row.heals());
    subject.end(row);
}
