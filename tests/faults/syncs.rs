//! Syncs that fail. After one, the pages that it should have written are lost, though the next sync succeeds.

use std::{fs, thread};

use crate::{
    rig::{Checks, Rig, Subject, sign_in},
    table::Row,
};

/// Many more than are needed for a checkpoint.
const MOST_TOKENS: usize = 5000;
/// What a power cut leaves is recorded.
const RECORDED: [(&str, &str); 2] = [("PATD__TOKENS__MAX_PER_USER", "1000000"), ("FAULTS_DISK", "1")];

pub fn of_the_log(row: &Row) {
    for is_killed in [false, true] {
        let mut subject = Subject::new(&RECORDED);
        subject.rig.switch_on("patd.db-wal.fail-sync", "");
        let answer = subject.create();
        assert_eq!(answer.status, 503, "{answer:?}");
        row.expect_answer(&answer);
        row.expect_readiness(&subject.readiness());
        subject.expect_checks(row, Checks::GoOn);
        if is_killed {
            // The new server reads the data from the page cache, though it is not on the disk.
            row.expect_logged(&subject.kill_and_restart(|_| ()).stderr);
            subject.expect_working();
        } else {
            subject.expect_healed(row);
        }
        subject.kill_and_restart(|rig| {
            rig.cut_power();
            rig.expect_sound_file();
        });
        subject.expect_promises();
    }
}

pub fn of_the_database(row: &Row) {
    let mut subject = Subject::new(&RECORDED);
    subject.rig.switch_on("patd.db.fail-sync", "");
    let created = (0..MOST_TOKENS).find(|_| subject.create().status != 201);
    assert!(created.is_some(), "no checkpoint failed");
    for _ in 0..3 {
        // The next sync would succeed.
        subject.expect_outage(row, Checks::GoOn);
        subject.expect_unready(row);
    }
    assert!(!row.heals());
    let ended = subject.restart(|rig| {
        assert!(fs::metadata(rig.path("patd.db-wal")).unwrap().len() > 0, "the log is kept");
        rig.cut_power();
    });
    assert_eq!(ended.stderr.matches("Nothing more is written until a restart").count(), 1, "{}", ended.stderr);
    row.expect_logged(&ended.stderr);
    subject.expect_working();
    subject.restart(|rig| {
        rig.cut_power();
        rig.expect_sound_file();
    });
    subject.expect_promises();
}

/// First the sync of the new file fails, or the one of its directory. The next start finds the file, and syncs the directory
/// again.
pub fn at_the_start(row: &Row) {
    row.expect_words("refused");
    assert!(!row.heals());
    for first in [1, 2] {
        let rig = Rig::without_database(&[]);
        for number in [first, 1] {
            rig.switch_on("countdown", &format!("fail-sync {number}"));
            let refused = rig.place.run(&["serve"], "");
            assert_eq!(refused.code, Some(5), "{refused:?}");
            row.expect_logged(&refused.stderr);
        }
        assert!(rig.create_user().success);
        Subject::on(rig).expect_working();
    }
}

/// Each sync from the first command on an empty directory to the end of the server fails, in a run of its own. After a
/// power cut and a restart, everything that was acknowledged is there.
#[test]
fn whichever_sync_fails_nothing_that_was_acknowledged_is_lost() {
    const THREADS: u32 = 3;
    let failed: usize = thread::scope(|scope| {
        let each_third =
            |first| move || (first..).step_by(THREADS as usize).take_while(|number| survives(*number)).count();
        let threads: Vec<_> = (1..=THREADS).map(|first| scope.spawn(each_third(first))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert!(failed > 20, "only {failed} syncs failed");
}

/// Whether there are so many syncs.
fn survives(number: u32) -> bool {
    let rig = Rig::without_database(&RECORDED);
    rig.switch_on("countdown", &format!("fail-sync {number}"));
    let created = rig.create_user();
    rig.cut_power();
    if !created.success {
        assert_eq!(created.code, Some(5), "{number}: {created:?}");
        let again = rig.create_user();
        // The failed sync may be the last one, after the account was stored.
        assert!(again.success || again.code == Some(4), "{number}: {again:?}");
    }
    let start = |rig: &Rig| {
        rig.place.try_serve().unwrap_or_else(|refused| {
            assert_eq!(refused.code, Some(5), "{number}: {refused:?}");
            rig.cut_power();
            rig.place.serve()
        })
    };
    let mut server = start(&rig);
    let mut answers: Vec<_> = (0..2).map(|_| sign_in(&server)).collect();
    if answers.iter().all(|answer| answer.status == 503) {
        // After a failed sync of the database, nothing is written until a restart.
        assert!(server.terminate().success);
        rig.cut_power();
        server = start(&rig);
        answers.push(sign_in(&server));
    }
    let session = answers.iter().find(|answer| answer.status == 201);
    let session = session.unwrap_or_else(|| panic!("{number}: {answers:?}")).data("token");
    let mut subject = Subject::signed_in(rig, server, session);
    for _ in 0..3 {
        let answer = subject.create();
        assert!([201, 503].contains(&answer.status), "{number}: {answer:?}");
    }
    if subject.has_live() {
        let answer = subject.revoke();
        assert!([200, 503].contains(&answer.status), "{number}: {answer:?}");
    }
    let mut is_reached = true;
    let ended = subject.restart(|rig| {
        is_reached = fs::remove_file(rig.path("countdown")).is_err();
        rig.cut_power();
        rig.expect_sound_file();
    });
    assert!(!ended.stderr.contains("panic"), "{number}: {ended:?}");
    subject.expect_working();
    is_reached
}
