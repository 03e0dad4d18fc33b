//! The console in a browser. The tests are in `tests/console/`; this runs them on the server of this build.
#![expect(unreachable_pub, reason = "a test binary has no outside")]

use std::{fs, path::Path, process::Command};

#[path = "support/programs.rs"]
#[expect(dead_code, reason = "a part of it is used")]
mod programs;

#[test]
fn people_can_use_it_in_a_browser() {
    let built = Path::new(env!("CARGO_BIN_EXE_patd"));
    // What the pages look like, for people.
    let screenshots = built.parent().unwrap().join("screenshots");
    fs::create_dir_all(&screenshots).unwrap();
    let axe = programs::installed("npm/node_modules/axe-core/axe.min.js");
    let mut tests = Command::new(programs::program("pytest"));
    tests.args(["-q", "-p", "no:cacheprovider", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/console")]);
    tests.env("PYTHONDONTWRITEBYTECODE", "1").env("PATD", built).env("AXE", axe).env("SCREENSHOTS", screenshots);
    tests.envs(programs::FAST_HASHING);
    let output = tests.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
