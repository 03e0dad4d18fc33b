//! `tests/together`, through which `tests/run` runs the tests: what it hides would be hidden everywhere.
#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

fn start(commands: &str) -> Child {
    let mut together = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/together"));
    together.args(["--at-once", "2"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = together.spawn().unwrap();
    child.stdin.take().unwrap().write_all(commands.as_bytes()).unwrap();
    child
}

#[test]
fn a_failure_fails_the_run_and_the_other_commands_still_run() {
    let output = start("echo first\necho second; exit 3\necho third\necho fourth\n").wait_with_output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{printed}");
    for line in ["first", "second", "third", "fourth", "Failed:", "  echo second; exit 3"] {
        assert!(printed.lines().any(|printed| printed == line), "{line}: {printed}");
    }
    assert!(start("true\n").wait_with_output().unwrap().status.success());
}

#[test]
fn the_output_of_a_command_is_printed_in_one_piece() {
    let commands = "for i in 1 2 3 4 5; do echo a; sleep 0.02; done\nfor i in 1 2 3 4 5; do echo b; sleep 0.02; done\n";
    let output = start(commands).wait_with_output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    for letter in ["a\n", "b\n"] {
        assert!(printed.contains(&letter.repeat(5)), "{printed}");
    }
}

#[test]
fn nothing_stays_when_it_is_interrupted() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("processes");
    // The second is in a process group of its own, and neither ends by itself.
    let commands = format!("set -m; sleep 1000 & echo $$ $! >{0}.new; mv {0}.new {0}; wait\n", file.display());
    let mut together = start(&commands);
    let processes = read(&file);
    assert_eq!(processes.split_whitespace().filter(|process| runs(process)).count(), 2);
    kill_process(Pid::from_child(&together), Signal::TERM).unwrap();
    assert_eq!(together.wait().unwrap().code(), Some(143));
    for process in processes.split_whitespace() {
        assert!(!runs(process), "{process} still runs");
    }
}

/// A process that has ended may still be listed until its parent asks for its status.
fn runs(process: &str) -> bool {
    fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// The text of a file, once it is there.
fn read(file: &Path) -> String {
    loop {
        match fs::read_to_string(file) {
            Ok(text) => return text,
            Err(_) => thread::sleep(Duration::from_millis(10)),
        }
    }
}
