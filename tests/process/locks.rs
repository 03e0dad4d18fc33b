//! Only one server per database, under any name of the file; and first commands that run at the same time.

use std::{
    fs,
    os::unix::fs::symlink,
    process::{Command, Stdio},
    thread,
};

use crate::harness::Place;

const FIRST_COMMANDS: usize = 150;

fn create_user(place: &Place, name: &str) -> crate::support::process::Ended {
    let email = format!("{name}@example.com");
    place.run(&["user", "create", "--email", &email, "--name", name, "--password-stdin"], "a password of many words")
}

#[test]
fn first_commands_at_the_same_time_all_succeed() {
    // On a memory file system, the commands overlap more often.
    let memory = fs::metadata("/dev/shm").is_ok_and(|directory| directory.is_dir());
    for round in 0..FIRST_COMMANDS {
        let place = if memory { Place::within("/dev/shm", &[]) } else { Place::new(&[]) };
        thread::scope(|scope| {
            let commands: Vec<_> =
                ["ada", "bob"].map(|name| scope.spawn(|| create_user(&place, name))).into_iter().collect();
            for command in commands {
                let ended = command.join().unwrap();
                assert!(ended.success, "round {round}: {ended:?}");
            }
        });
        let listed = place.run(&["user", "list", "--json"], "");
        assert_eq!(listed.stdout.lines().count(), 2, "round {round}: {listed:?}");
    }
}

#[test]
fn a_second_server_and_commands_are_refused_under_another_name_of_the_file() {
    let place = Place::new(&[]);
    assert!(create_user(&place, "ada").success);
    fs::create_dir(place.path("other")).unwrap();
    let server = place.serve();
    fs::hard_link(place.path("patd.db"), place.path("other/patd.db")).unwrap();
    fs::hard_link(place.path("patd.db"), place.path("link.db")).unwrap();
    symlink(place.path("patd.db"), place.path("symlink.db")).unwrap();
    for name in ["other/patd.db", "link.db"] {
        let second = place.run(&["--database", name, "serve"], "");
        assert!(!second.success && second.stderr.contains("already served"), "{second:?}");
        let command = place.run(&["--database", name, "user", "list"], "");
        assert!(!command.success && command.stderr.contains("another name"), "{command:?}");
    }
    let second = place.run(&["--database", "symlink.db", "serve"], "");
    assert!(!second.success && second.stderr.contains("already served"), "{second:?}");
    assert!(place.run(&["--database", "symlink.db", "user", "list"], "").success);
    let ended = server.terminate();
    assert!(ended.success && !ended.stderr.contains("hard links"), "{ended:?}");
    let ended = place.serve().terminate();
    assert!(ended.success && ended.stderr.contains("hard links"), "{ended:?}");
}

#[test]
fn a_second_server_is_refused_through_a_bind_mount() {
    let place = Place::new(&[]);
    assert!(create_user(&place, "ada").success);
    let server = place.serve();
    fs::write(place.path("mounted.db"), "").unwrap();
    fs::create_dir(place.path("mounted")).unwrap();
    let script = format!(
        "mount --bind patd.db mounted.db && mount --bind . mounted || exit 77
         {patd} --database mounted.db serve; echo $?
         {patd} --database mounted/patd.db serve; echo $?
         {patd} --database mounted/patd.db user list; echo $?",
        patd = env!("CARGO_BIN_EXE_patd")
    );
    let ended = Command::new("unshare")
        .args(["--mount", "sh", "-c", &script])
        .current_dir(place.path(""))
        .env("PATD__SERVER__BIND", "127.0.0.1:0")
        .stdin(Stdio::null())
        .output();
    match ended {
        Ok(ended) if ended.status.success() => {
            let (stdout, stderr) = (String::from_utf8(ended.stdout).unwrap(), String::from_utf8(ended.stderr).unwrap());
            let codes: Vec<_> = stdout.lines().filter(|line| line.len() == 1).collect();
            assert_eq!(codes, ["5", "5", "0"], "{stdout} {stderr}");
            assert_eq!(stderr.matches("already served").count(), 2, "{stderr}");
            assert!(stdout.contains("ada@example.com"), "{stdout}");
        }
        // Most containers mount the database this way.
        refused => eprintln!("skipped: a file cannot be mounted here ({refused:?})"),
    }
    assert!(server.terminate().success);
}
