//! A server that is killed at any moment.

use std::{
    fs,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use crate::{
    rig::{Subject, TOKENS},
    support::connection::Connection,
    table::Row,
};

pub fn at_any_moment(row: &Row) {
    let mut subject = Subject::new(&[]);
    for round in 0..20 {
        assert_eq!(subject.create().status, 201);
        assert_eq!(subject.revoke().status, 200);
        // It is killed while it makes changes, each time after another number of them.
        let (address, session, answered) = (subject.server.address(), &subject.session, AtomicUsize::new(0));
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut connection = Connection::open(address).unwrap();
                let body = serde_json::json!({ "name": "under way" });
                while connection.ask("POST", TOKENS, Some(session), Some(&body)).is_ok() {
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            });
            while answered.load(Ordering::SeqCst) < round {
                thread::yield_now();
            }
            subject.server.handle().kill();
        });
        row.expect_words("Connections end");
        let ended = subject.start_after_kill();
        assert!(!ended.success, "{ended:?}");
        subject.expect_ready();
        subject.expect_promises();
    }
    assert!(!row.heals(), "it must be started again");
    subject.rig.expect_sound_file();
    subject.expect_working();
    subject.end(row);
}

/// A log beside a file that it does not belong to, as when a backup is copied over the file of a server that was killed.
pub fn foreign_log(row: &Row) {
    let mut subject = Subject::new(&[]);
    let path = |subject: &Subject, name: &str| subject.rig.path(name);
    let (file, log) = (path(&subject, "patd.db"), path(&subject, "patd.db-wal"));
    let backup = subject.restart(|rig| {
        fs::copy(rig.path("patd.db"), rig.path("backup.db")).unwrap();
    });
    backup.expect_success();
    assert_eq!(subject.create().status, 201);
    subject.server.handle().kill();
    subject.server.wait();
    fs::rename(&file, subject.rig.path("newer.db")).unwrap();
    fs::copy(subject.rig.path("backup.db"), &file).unwrap();
    let files = || (fs::read(&file).unwrap(), fs::read(&log).unwrap());
    let before = files();
    for arguments in [&["serve"][..], &["user", "list"]] {
        let ended = subject.rig.place.run(arguments, "");
        assert_eq!(ended.code, Some(5), "{ended:?}");
        row.expect_logged(&ended.stderr);
    }
    assert!(files() == before, "nothing was changed");
    row.expect_words("refused");
    assert!(!row.heals());
    // With the file that it belongs to, nothing is lost.
    fs::rename(subject.rig.path("newer.db"), &file).unwrap();
    subject.server = subject.rig.place.serve();
    subject.expect_working();
    assert!(subject.server.terminate().success);
}
