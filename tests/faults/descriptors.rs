//! A process without free file descriptors.

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    process::Command,
    time::Duration,
};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::json;

use crate::{
    rig::{Rig, Subject, TOKENS},
    support::process::DEADLINE,
    table::Row,
};

/// Limits the process to the descriptors that it has. Returns the limit that it had.
fn take_descriptors(subject: &Subject) -> Rlimit {
    let limit = getrlimit(Resource::Nofile);
    let is_open = |number: &u64| fs::symlink_metadata(format!("/proc/{}/fd/{number}", subject.server.id())).is_ok();
    let open = (0..).take_while(is_open).count();
    set_limit(subject, Rlimit { current: Some(open as u64), maximum: limit.maximum });
    limit
}

fn set_limit(subject: &Subject, limit: Rlimit) {
    let process = Pid::from_raw(subject.server.id().try_into().unwrap());
    prlimit(process, Resource::Nofile, limit).unwrap();
}

pub fn while_running(row: &Row) {
    let mut subject = Subject::new(&[]);
    let mut open = subject.server.connect();
    assert_eq!(open.ask("GET", "/livez", None, None).unwrap().status, 200);
    let free = take_descriptors(&subject);
    let mut waiting = subject.server.socket();
    waiting.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    waiting.write_all(b"GET /livez HTTP/1.1\r\nHost: patd\r\n\r\n").unwrap();
    let answer = waiting.read(&mut [0; 12]).map_err(|error| error.kind());
    assert_eq!(answer, Err(ErrorKind::WouldBlock), "it is not accepted");
    row.expect_words("New connections wait");
    for target in ["/readyz", "/api/user", TOKENS] {
        let answer = open.ask("GET", target, Some(&subject.session), None).unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let answer = open.ask("POST", TOKENS, Some(&subject.session), Some(&json!({ "name": "t" }))).unwrap();
    assert_eq!(answer.status, 201, "{answer:?}");
    row.expect_words("Connections that are open go on");
    set_limit(&subject, free);
    waiting.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut status = [0; 12];
    waiting.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    subject.expect_healed(row);
    subject.end(row);
}

pub fn at_the_start(row: &Row) {
    let rig = Rig::new(&[]);
    let mut refusals = 0;
    for limit in 8..40 {
        let script = format!("ulimit -n {limit}; exec \"$0\" --database patd.db user list");
        let mut shell = Command::new("sh");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_patd")]).current_dir(rig.place.directory());
        let ended = shell.output().unwrap();
        let stderr = String::from_utf8(ended.stderr).unwrap();
        // With fewer, the runtime cannot start.
        if !ended.status.success() && stderr.contains("cannot be opened") {
            refusals += 1;
            row.expect_logged(&stderr);
        }
    }
    assert!(refusals > 0);
    row.expect_words("refused");
    assert!(!row.heals());
}
