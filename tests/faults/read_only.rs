//! Files that cannot be written: the start names them and what to do, and leaves nothing behind that disturbs the next start.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use crate::{harness::Place, support::process::Ended, table::Row};

/// A user to whom file permissions apply: the user of the tests, unless that is root.
struct Unprivileged {
    place: Place,
}

impl Unprivileged {
    fn new() -> Self {
        let mut place = Place::new(&[]);
        if is_root() {
            const NOBODY: u32 = 65_534;
            // The other user may have no access to the build directory.
            fs::copy(env!("CARGO_BIN_EXE_patd"), place.path("patd")).unwrap();
            std::os::unix::fs::chown(place.directory(), Some(NOBODY), Some(NOBODY)).unwrap();
            place.run_as(NOBODY, "./patd");
        }
        let made = Self { place };
        let arguments = ["user", "create", "--email", "a@example.com", "--name", "A", "--password-stdin"];
        let user = made.place.run(&arguments, "a password of many words");
        assert!(user.success, "{user:?}");
        made
    }

    /// Leaves a log, as a killed server does.
    fn leave_log(&self) {
        let server = self.place.serve();
        server.connect().ask("GET", "/readyz", None, None).unwrap();
        server.handle().kill();
        drop(server);
        assert!(fs::metadata(self.place.path("patd.db-wal")).unwrap().len() > 0);
    }

    fn set_mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.place.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").unwrap().uid() == 0
}

#[track_caller]
fn expect_refused(ended: &Ended, path: &Path, way_out: &str) {
    let Ended { success, stderr, .. } = ended;
    assert!(!success, "{stderr}");
    let path = fs::canonicalize(path.parent().unwrap()).unwrap().join(path.file_name().unwrap());
    assert!(stderr.contains(&format!("{} is not writable: ", path.display())), "{stderr}");
    assert!(stderr.contains(way_out), "{stderr}");
}

pub fn at_the_start(row: &Row) {
    row.expect_words("refused");
    assert!(!row.heals());
    for (name, mode) in [("patd.db", 0o444), ("patd.db-wal", 0o444), ("patd.db-shm", 0o444), ("patd.db-shm", 0o000)] {
        let user = Unprivileged::new();
        if name != "patd.db" {
            user.leave_log();
        }
        user.set_mode(name, mode);
        for command in [&["serve"][..], &["user", "list"]] {
            let ended = user.place.run(command, "");
            expect_refused(&ended, &user.place.path(name), "give that user the right");
            row.expect_logged(&ended.stderr);
        }
        let shm = fs::metadata(user.place.path("patd.db-shm")).map(|shm| shm.permissions().mode() & 0o777);
        assert!(name == "patd.db-shm" || !matches!(shm, Ok(0o444)), "no start left a -shm that cannot be written");
        user.set_mode(name, 0o600);
        let server = user.place.serve();
        assert_eq!(server.connect().ask("GET", "/readyz", None, None).unwrap().status, 200);
        assert!(server.terminate().success);
    }
}

#[test]
fn a_directory_that_cannot_be_written_is_named_and_the_start_refused() {
    let user = Unprivileged::new();
    user.set_mode("", 0o555);
    let ended = user.place.run(&["serve"], "");
    user.set_mode("", 0o755);
    expect_refused(&ended, user.place.directory(), "give that user the right");
}

#[test]
fn an_unreadable_directory_is_not_taken_for_a_deleted_file() {
    let user = Unprivileged::new();
    let directory = user.place.path("data");
    fs::create_dir(&directory).unwrap();
    let mut user = user;
    if is_root() {
        std::os::unix::fs::chown(&directory, Some(65_534), None).unwrap();
    }
    user.place.set("PATD__DATABASE__PATH", "data/patd.db");
    let server = user.place.serve();
    let mut connection = server.connect();
    user.set_mode("data", 0o000);
    assert_eq!(connection.ask("GET", "/readyz", None, None).unwrap().status, 503);
    user.set_mode("data", 0o755);
    let ended = server.terminate();
    assert!(ended.stderr.contains("cannot be accessed (Permission denied"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("was deleted"), "{}", ended.stderr);
}
