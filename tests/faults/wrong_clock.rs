//! The real program with a wrong system clock: it issues nothing, gives the reason, and works again once the clock is right.

use std::{
    fs, thread,
    time::{Duration, Instant, SystemTime},
};

use crate::{
    harness::{Place, Server},
    rig::{LOGIN, PASSWORD, Rig, TOKENS},
    support::process::Ended,
};
use serde_json::{Value, json};

const YEAR: i64 = 365 * 24 * 60 * 60;
const CREATE: [&str; 6] = ["token", "create", "--user", "a@example.com", "--name", "CI"];

/// A directory with a user and a token without expiry. The system clock can be set wrong.
struct Clock {
    place: Place,
    token: String,
}

impl Clock {
    fn new() -> Self {
        let Rig { place } = Rig::new(&[]);
        let token = place.run(&CREATE, "").stdout.trim().to_owned();
        Self { place, token }
    }

    /// Makes the system clock wrong by this many seconds.
    fn set(&self, seconds: i64) {
        fs::write(self.place.path("number"), seconds.to_string()).unwrap();
        fs::rename(self.place.path("number"), self.place.path("clock")).unwrap();
    }
}

/// Signs in and creates a token that expires in a day.
fn issue(server: &Server) -> Result<Value, (u16, String)> {
    let login = json!({"email": "a@example.com", "password": PASSWORD});
    let signed_in = server.connect().ask("POST", LOGIN, None, Some(&login)).unwrap();
    if signed_in.status != 201 {
        return Err((signed_in.status, signed_in.body["code"].as_str().unwrap().to_owned()));
    }
    let body = json!({ "name": "t", "expires_in_days": 1 });
    let created = server.connect().ask("POST", TOKENS, Some(&signed_in.data("token")), Some(&body)).unwrap();
    assert_eq!(created.status, 201, "{created:?}");
    Ok(created.body["data"].clone())
}

fn status(server: &Server, target: &str, bearer: Option<&str>) -> u16 {
    server.connect().ask("GET", target, bearer, None).unwrap().status
}

/// Polls until the server is ready. Fails after 20 seconds.
#[track_caller]
fn expect_ready(server: &Server) {
    let start = Instant::now();
    while status(server, "/readyz", None) != 200 {
        assert!(start.elapsed() < Duration::from_secs(20), "the server did not become ready");
        thread::sleep(Duration::from_millis(50));
    }
}

#[track_caller]
fn expect_unreliable(server: &Server) {
    let ready = server.connect().ask("GET", "/readyz", None, None).unwrap();
    assert_eq!((ready.status, ready.body["code"].as_str()), (503, Some("clock_unreliable")));
    assert_eq!(issue(server), Err((503, "clock_unreliable".to_owned())));
}

/// The number of log lines about a clock that became unreliable, and about one that became reliable again.
fn changes(ended: &Ended) -> (usize, usize) {
    let count = |text: &str| ended.stderr.lines().filter(|line| line.contains(text)).count();
    assert!(!ended.stderr.contains("panic"), "{}", ended.stderr);
    (count("ERROR the clock is unreliable: "), count("the clock is reliable again"))
}

#[test]
fn a_start_with_a_clock_far_ahead_issues_nothing_until_it_is_right() {
    let clock = Clock::new();
    clock.set(14 * YEAR);
    let refused = clock.place.run(&CREATE, "");
    assert!(!refused.success && refused.stderr.contains("the clock is unreliable"), "without a server: {refused:?}");
    let server = clock.place.serve();
    expect_unreliable(&server);
    assert_eq!(status(&server, "/api/user", Some(&clock.token)), 200, "checks still work");
    let refused = clock.place.run(&CREATE, "");
    assert!(!refused.success && refused.stderr.contains("nothing was changed"), "through the server: {refused:?}");
    let revoked = clock.place.run(&["token", "revoke", "--user", "a@example.com", "--all"], "");
    assert!(revoked.success, "{revoked:?}");
    assert_eq!(status(&server, "/api/user", Some(&clock.token)), 401);

    clock.set(5);
    expect_ready(&server);
    let tomorrow = patd_time(SystemTime::now() + Duration::from_secs(24 * 60 * 60 + 60));
    let created = issue(&server).unwrap();
    assert!(created["expires_at"].as_str().unwrap() < &*tomorrow, "{created}");
    // The housekeeping checks the clock a moment later.
    thread::sleep(Duration::from_secs(1));
    let ended = server.terminate();
    assert_eq!(changes(&ended), (1, 1), "{}", ended.stderr);
    assert!(ended.stderr.contains("system_clock=") && ended.stderr.contains("latest_time="), "{}", ended.stderr);

    let server = clock.place.serve();
    expect_ready(&server);
    assert_eq!(changes(&server.terminate()), (0, 0), "nothing was stored with a wrong time");
}

/// A time as the server writes it.
fn patd_time(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    patd::domain::time::Timestamp::from_unix(seconds.try_into().unwrap()).to_string()
}

#[test]
fn a_clock_before_1970_is_unreliable_and_nothing_panics() {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let before_1970 = -i64::try_from(now).unwrap() - YEAR;
    let clock = Clock::new();
    clock.set(before_1970);
    let listed = clock.place.run(&["token", "list"], "");
    assert!(listed.success && !listed.stderr.contains("panic"), "{listed:?}");
    let server = clock.place.serve();
    expect_unreliable(&server);
    assert_eq!(status(&server, "/api/user", Some(&clock.token)), 200, "checks still work");
    clock.set(0);
    expect_ready(&server);
    assert!(issue(&server).is_ok());
    // The housekeeping checks the clock a moment later.
    thread::sleep(Duration::from_secs(1));
    // Wrong again, until the threads that serve requests have read the clock.
    clock.set(before_1970);
    thread::sleep(Duration::from_secs(2));
    expect_unreliable(&server);
    clock.set(0);
    expect_ready(&server);
    thread::sleep(Duration::from_secs(1));
    let ended = server.terminate();
    assert_eq!(changes(&ended), (2, 2), "{}", ended.stderr);
}

#[test]
fn a_new_database_is_unready_while_the_clock_is_before_the_release() {
    let Rig { place } = Rig::without_database(&[]);
    let file = place.path("clock");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    fs::write(&file, format!("-{now}")).unwrap();
    let server = place.serve();
    assert_eq!(status(&server, "/readyz", None), 503);
    fs::remove_file(&file).unwrap();
    expect_ready(&server);
}

#[test]
fn trust_clock_accepts_the_system_clock_permanently() {
    let clock = Clock::new();
    clock.set(14 * YEAR);
    let server = clock.place.serve_with(&["--trust-clock"]);
    expect_ready(&server);
    assert!(issue(&server).is_ok());
    let ended = server.terminate();
    assert!(ended.stderr.contains("--trust-clock"), "{}", ended.stderr);
    let server = clock.place.serve();
    expect_ready(&server);
    assert_eq!(changes(&server.terminate()), (0, 0));
    // Now the database holds a time in the future, so the correct clock is unreliable.
    clock.set(0);
    let server = clock.place.serve();
    expect_unreliable(&server);
    drop(server);
    let server = clock.place.serve_with(&["--trust-clock"]);
    expect_ready(&server);
    assert!(issue(&server).is_ok());
}
