//! The description of the API for other programs: linters, generators and schemathesis. The tests are in `tests/description/`; this
//! runs them on the server of this build.
#![expect(unreachable_pub, reason = "a test binary has no outside")]

use std::process::Command;

#[path = "support/programs.rs"]
#[expect(dead_code, reason = "a part of it is used")]
mod programs;

#[test]
fn other_programs_understand_it_and_the_server_keeps_to_it() {
    let npm = programs::installed("npm-description/package-lock.json").with_file_name("node_modules");
    let mut tests = Command::new(programs::python());
    tests.args(["-m", "pytest", "-q", "-p", "no:cacheprovider"]);
    tests.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/description"));
    tests.env("PYTHONDONTWRITEBYTECODE", "1").env("PATD", env!("CARGO_BIN_EXE_patd")).env("NPM", npm);
    tests.envs(programs::FAST_HASHING);
    let output = tests.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
