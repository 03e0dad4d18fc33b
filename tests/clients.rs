//! The clients in `clients/`. Each has tests of its own, in its own language; this runs them on the server of this build.
#![expect(clippy::unwrap_used, reason = "a panic fails the test")]
#![expect(unreachable_pub, reason = "a test binary has no outside")]

use std::{
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

#[path = "support/programs.rs"]
mod programs;

/// A copy of a client. The tools of its language write beside its sources.
struct Copy {
    directory: TempDir,
    path: PathBuf,
}

impl Copy {
    fn of(language: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join(language);
        let source = format!("{}/clients/{language}", env!("CARGO_MANIFEST_DIR"));
        run(Command::new("cp").arg("-r").arg(source).arg(&path));
        Self { directory, path }
    }
}

/// Runs a command, which must succeed.
fn run(command: &mut Command) {
    command.env("PATD_BIN", env!("CARGO_BIN_EXE_patd")).envs(programs::FAST_HASHING);
    let output = command.output().unwrap();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{command:?}: {}\n{stdout}\n{stderr}", output.status);
}

#[test]
fn the_python_client_works() {
    let copy = Copy::of("python");
    // Installed, so that pytest finds the fixtures in the description of the package.
    let site = copy.directory.path().join("site");
    let mut install = Command::new(programs::python());
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action", "ignore"]);
    install.args(["--no-index", "--no-deps", "--no-build-isolation", "--target"]);
    run(install.arg(&site).arg(&copy.path));
    let mut tests = Command::new(programs::program("pytest"));
    tests.args(["-q", "-p", "no:cacheprovider", "--rootdir"]).arg(&copy.path).arg(copy.path.join("tests"));
    run(tests.env("PYTHONPATH", site).env("README", copy.path.join("README.md")));
}

#[test]
fn the_rust_client_works() {
    // A workspace of its own, with a target directory of its own: cargo locks the directory of this build.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("clients");
    let mut tests = Command::new("cargo");
    tests.args(["test", "--quiet", "--locked", "--all-features"]);
    tests.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/clients/rust"));
    run(tests.env("CARGO_TARGET_DIR", target).env("CARGO_PROFILE_DEV_DEBUG", "0"));
}

#[test]
fn the_typescript_client_works() {
    let copy = Copy::of("typescript");
    let lock = programs::installed("npm-clients/package-lock.json");
    symlink(lock.with_file_name("node_modules"), copy.path.join("node_modules")).unwrap();
    // Compiles the client, its tests and the examples of its README.
    run(Command::new("npm").args(["test", "--silent"]).current_dir(&copy.path));
}

#[test]
fn the_php_client_works() {
    let copy = Copy::of("php");
    let mut tests = Command::new(programs::program("phpunit"));
    run(tests.args(["--no-configuration", "tests"]).current_dir(&copy.path));
}
