//! Programs that `tests/install` installs.

use std::path::{Path, PathBuf};

/// The path of a program. Fails if the program is missing, so that no check is silently skipped.
pub fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = [environment()].into_iter().chain(std::env::split_paths(&path)).chain([PathBuf::from("/usr/sbin")]);
    let mut candidates = places.map(|place| place.join(name));
    candidates.find(|candidate| candidate.is_file()).unwrap_or_else(|| panic!("{name} is missing: run tests/run"))
}

/// Password hashing that takes no noticeable time, for servers that those programs start.
pub const FAST_HASHING: [(&str, &str); 2] =
    [("PATD__PASSWORDS__MEMORY_KIB", "8"), ("PATD__PASSWORDS__ITERATIONS", "1")];

/// The Python interpreter with the packages that `tests/run` installs.
pub fn python() -> PathBuf {
    let python = environment().join("python");
    assert!(python.is_file(), "{} is missing: run tests/run", python.display());
    python
}

/// A file that `tests/install` puts into the directory that cargo builds in.
pub fn installed(path: &str) -> PathBuf {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name(path);
    assert!(file.is_file(), "{} is missing: run tests/run", file.display());
    file
}

/// Where the virtual environment's programs are.
fn environment() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("venv").join("bin")
}
