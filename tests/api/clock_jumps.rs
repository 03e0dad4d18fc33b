//! After a clock jump, everything seems to have ended long ago. If pruning deleted it, it could not be restored.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use patd::{
    config::{Config, Sources},
    domain::{
        account::User,
        id::{TokenId, UserId},
        time::Timestamp,
    },
    ops::{Context, clock::Clock},
    store::SessionQuery,
};
use serde_json::json;

use crate::harness::{START, TestApp, block_on};

const HOUR: i64 = 60 * 60;
const DAY: i64 = 24 * HOUR;
/// The time from one run of the housekeeping to the next.
const TURN: u64 = 60;

/// The housekeeping of a server whose system clock and uptime differ.
struct House<'a> {
    app: &'a TestApp,
    ctx: Context,
    time: Arc<AtomicI64>,
    uptime: Arc<AtomicU64>,
}

impl<'a> House<'a> {
    fn new(app: &'a TestApp) -> Self {
        let settings = [("tokens.prune_after", "1s"), ("audit.prune_after", "1d")];
        let flags = settings.map(|(key, value)| (key, value.to_owned())).into();
        let config = Config::load(Sources { flags, ..Sources::default() }).unwrap();
        let time = Arc::new(AtomicI64::new(Timestamp::parse(START).unwrap().unix()));
        let uptime = Arc::new(AtomicU64::new(0));
        let (tells, lasts) = (Arc::clone(&time), Arc::clone(&uptime));
        let clock = Clock::with_uptime(
            move || Timestamp::from_unix(tells.load(Ordering::SeqCst)),
            move || Duration::from_secs(lasts.load(Ordering::SeqCst)),
        );
        let ctx = Context::new(&config, app.backend(), clock).unwrap();
        Self { app, ctx, time, uptime }
    }

    /// The next run. The system clock has moved by `seconds` since the last one.
    fn turn(&self, seconds: i64) {
        self.time.fetch_add(seconds, Ordering::SeqCst);
        self.uptime.fetch_add(TURN, Ordering::SeqCst);
        block_on(self.ctx.run_maintenance()).unwrap();
    }

    fn has_token(&self, id: TokenId) -> bool {
        block_on(self.app.ops.store.token(id)).is_ok()
    }

    /// How many sessions and events the user still has.
    fn left(&self, user: UserId) -> (usize, usize) {
        let store = &self.app.ops.store;
        let sessions =
            block_on(store.sessions_of(user, SessionQuery { before: None, limit: 100 }, Timestamp::from_unix(0)))
                .unwrap()
                .len();
        (sessions, block_on(store.events_of(user, None, 100)).unwrap().len())
    }
}

/// A user with a session and a token that expires in half an hour.
fn made(app: &TestApp, name: &str) -> (User, TokenId) {
    let user = app.user(name);
    let token = json!({ "name": "t", "expires_at": "2024-01-15T19:30:00Z" });
    let token = app.sign_in_again(name).create_token(token);
    (user, TokenId::parse(token["id"].as_str().unwrap()).unwrap())
}

#[test]
fn nothing_is_deleted_after_a_clock_jump_nor_while_the_clock_stands_still_then() {
    let app = TestApp::spawn();
    let (user, token) = made(&app, "ada");
    let house = House::new(&app);
    house.turn(60);
    house.turn(40 * DAY);
    assert!(house.has_token(token));
    assert_eq!(house.left(user.id), (1, 3));
    for _ in 0..3 {
        house.turn(-10 * DAY);
        assert!(house.has_token(token), "the clock was corrected");
    }
    assert_eq!(house.left(user.id), (1, 3));
    // The new time is right, but the server cannot know that yet.
    house.turn(30 * DAY + 60);
    assert!(house.has_token(token));
}

#[test]
fn a_new_time_is_trusted_a_day_after_the_jump() {
    let app = TestApp::spawn();
    let (user, token) = made(&app, "ada");
    let house = House::new(&app);
    house.turn(60);
    house.turn(40 * DAY);
    let day = DAY / i64::try_from(TURN).unwrap();
    for turn in 1..day {
        house.turn(60);
        assert!(house.has_token(token), "{turn}");
    }
    assert_eq!(house.left(user.id), (1, 3));
    house.turn(60);
    assert!(!house.has_token(token));
    assert_eq!(house.left(user.id), (0, 0));
}

#[test]
fn an_hour_more_than_has_passed_is_not_a_jump() {
    let app = TestApp::spawn();
    for (leap, is_kept) in [(HOUR + 1, true), (HOUR, false)] {
        let (_, token) = made(&app, &format!("user{leap}"));
        let house = House::new(&app);
        house.turn(60 + leap);
        assert_eq!(house.has_token(token), is_kept, "{leap}");
    }
}
