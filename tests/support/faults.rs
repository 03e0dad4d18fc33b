//! The library of `tests/process/faults.c`.

use std::{path::PathBuf, process::Command};

use tempfile::TempDir;

/// Compiles the library. Returns a directory that must live as long as it is used, and its path.
pub fn library() -> (TempDir, PathBuf) {
    let library = TempDir::new().unwrap();
    let path = library.path().join("faults.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/process/faults.c");
    let compiled =
        Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&path).args([source, "-ldl"]).status();
    assert!(compiled.unwrap().success(), "a C compiler is needed, as for SQLite");
    (library, path)
}
