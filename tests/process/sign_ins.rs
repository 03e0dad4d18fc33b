//! Failed sign-ins are remembered across restarts, and unknown accounts take as much work as known ones.

use std::{thread, time::Duration};

use serde_json::json;

use crate::{
    drive::LOGIN,
    harness::{Place, Server},
    pressure::memory,
};

const PASSWORD: &str = "a password of many words";

fn with_user(settings: &[(&'static str, &'static str)]) -> Place {
    let place = Place::new(settings);
    let command = ["user", "create", "--email", "ada@example.com", "--name", "Ada", "--password-stdin"];
    let created = place.run(&command, PASSWORD);
    assert!(created.success, "{created:?}");
    place
}

fn sign_in(server: &Server, email: &str, password: &str) -> u16 {
    let body = json!({ "email": email, "password": password });
    server.connect().ask("POST", LOGIN, None, Some(&body)).unwrap().status
}

#[test]
fn failed_sign_ins_count_after_a_restart_or_a_crash() {
    let place = with_user(&[
        ("PATD__THROTTLE__PER_EMAIL_BURST", "3"),
        // One per minute, so that the duration of the test does not allow another.
        ("PATD__THROTTLE__PER_EMAIL_PER_MINUTE", "1"),
    ]);
    let server = place.serve();
    let guesses = [0; 4].map(|_| sign_in(&server, "ada@example.com", "wrong"));
    assert_eq!(guesses, [401, 401, 401, 429]);
    assert!(server.terminate().success);

    let server = place.serve();
    assert_eq!(sign_in(&server, "ada@example.com", PASSWORD), 429, "after an orderly stop");
    let others = [0; 4].map(|_| sign_in(&server, "nobody@example.com", "wrong"));
    assert_eq!(others, [401, 401, 401, 429]);
    // A crash loses at most the last two seconds.
    thread::sleep(Duration::from_secs(4));
    server.handle().kill();
    drop(server);

    let server = place.serve();
    assert_eq!(sign_in(&server, "ada@example.com", PASSWORD), 429, "after a crash");
    assert_eq!(sign_in(&server, "nobody@example.com", "wrong"), 429);
    assert!(server.terminate().success);
}

/// Uses 16 MiB instead of the 8 KiB in the settings, so that the memory of the process shows which was used.
#[test]
fn unknown_accounts_use_the_parameters_of_known_ones_after_a_change() {
    let mut place = with_user(&[("PATD__PASSWORDS__MEMORY_KIB", "16384")]);
    place.set("PATD__PASSWORDS__MEMORY_KIB", "8");
    let server = place.serve();
    let before = memory(server.id(), "VmRSS");
    assert_eq!(sign_in(&server, "nobody@example.com", "wrong"), 401);
    let after = memory(server.id(), "VmRSS");
    assert!(after > before + 15 * 1024, "{before} KiB, and then {after} KiB");
    // The only hash is renewed, and so are the dummy parameters.
    assert_eq!(sign_in(&server, "ada@example.com", PASSWORD), 201);
    assert!(server.terminate().success);
    let server = place.serve();
    let before = memory(server.id(), "VmRSS");
    assert_eq!(sign_in(&server, "nobody@example.com", "wrong"), 401);
    let after = memory(server.id(), "VmRSS");
    assert!(after < before + 8 * 1024, "{before} KiB, and then {after} KiB");
}
