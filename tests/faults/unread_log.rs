//! A log whose reader stalls.

use crate::{
    rig::{Checks, Subject, TOKENS},
    table::Row,
};

/// More bytes of lines than a pipe takes.
const REQUESTS: usize = 1500;

pub fn while_running(row: &Row) {
    // Each line is in the log, so that the pipe fills up.
    let mut subject = Subject::new(&[("PATD__LOG__CHECKS", "all")]);
    let stalled = subject.server.stall_reader();
    let mut connection = subject.server.connect();
    for _ in 0..REQUESTS {
        let answer = connection.ask("GET", "/api/user", Some(&subject.session), None).unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    row.expect_readiness(&subject.readiness());
    subject.expect_checks(row, Checks::GoOn);
    let created = subject.ask("POST", TOKENS, Some(&serde_json::json!({ "name": "t" })));
    assert_eq!(created.status, 201, "{created:?}");
    row.expect_words("changes go on");
    drop(stalled);
    subject.expect_healed(row);
    subject.end(row);
}
