//! The library of `tests/faults/faults.c`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

/// The library, compiled once for each test binary. It stays in the directory that cargo builds in.
static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/faults.c");
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join(concat!(env!("CARGO_CRATE_NAME"), ".so"));
    let unfinished = library.with_extension(std::process::id().to_string());
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-o"]).args([&unfinished, &source]).arg("-ldl");
    assert!(compiler.status().unwrap().success(), "a C compiler is needed, as for SQLite");
    // Renamed, so that no other run loads half of it.
    fs::rename(unfinished, &library).unwrap();
    library
});

/// The path of the library.
pub fn library() -> &'static Path {
    &LIBRARY
}
