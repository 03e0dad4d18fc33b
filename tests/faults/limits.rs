//! A process that reaches a limit: of its memory, or of the size of its files.

use std::{fs, process::Command};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::{
    rig::{Checks, Rig, Subject, sign_in},
    table::Row,
};

/// Sets a limit of the running server. Returns the one that it had.
fn limit(subject: &Subject, resource: Resource, current: u64) -> Rlimit {
    let free = getrlimit(resource);
    set_limit(subject, resource, Rlimit { current: Some(current), maximum: free.maximum });
    free
}

fn set_limit(subject: &Subject, resource: Resource, limit: Rlimit) {
    let process = Pid::from_raw(subject.server.id().try_into().unwrap());
    prlimit(process, resource, limit).unwrap();
}

/// All memory of the process, in bytes.
fn memory(subject: &Subject) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", subject.server.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

pub fn memory_exhausted(row: &Row) {
    let mut subject = Subject::new(&[
        // More than the C library keeps in free memory.
        ("PATD__PASSWORDS__MEMORY_KIB", "131072"),
        ("PATD__PASSWORDS__ITERATIONS", "1"),
    ]);
    // A new server has no buffer for a hash yet.
    subject.restart(|_| ()).expect_success();
    subject.expect_ready();
    let enough = memory(&subject) + (1 << 20);
    let free = limit(&subject, Resource::As, enough);
    for _ in 0..3 {
        let answer = sign_in(&subject.server);
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{answer:?}");
        row.expect_answer(&answer);
        row.expect_readiness(&subject.readiness());
        assert_eq!(subject.create().status, 201);
        row.expect_words("other changes go on");
        subject.expect_checks(row, Checks::GoOn);
    }
    set_limit(&subject, Resource::As, free);
    assert_eq!(sign_in(&subject.server).status, 201);
    subject.expect_healed(row);
    subject.end(row);
}

pub fn file_size(row: &Row) {
    let mut subject = Subject::new(&[]);
    let free = limit(&subject, Resource::Fsize, 1);
    subject.expect_unready(row);
    subject.expect_outage(row, Checks::GoOn);
    set_limit(&subject, Resource::Fsize, free);
    subject.expect_healed(row);
    let ended = subject.restart(|_| ());
    row.expect_logged(&ended.stderr);
    subject.expect_promises();
}

pub fn file_size_at_the_start(row: &Row) {
    let rig = Rig::new(&[]);
    let before = fs::read(rig.path("patd.db")).unwrap();
    for command in ["serve", "user list", "backup copy.db"] {
        let script = format!("ulimit -f 1; exec \"$0\" --database patd.db {command}");
        let mut shell = Command::new("sh");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_patd")]).current_dir(rig.place.directory());
        let ended = shell.output().unwrap();
        let stderr = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(5), "{command}: no signal ends it: {stderr}");
        row.expect_logged(&stderr);
    }
    assert!(fs::read(rig.path("patd.db")).unwrap() == before, "the file was changed");
    row.expect_words("refused");
    assert!(!row.heals());
}
