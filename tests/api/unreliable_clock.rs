//! A wrong system clock: nothing is issued that carries a time, everything else goes on, and it heals by itself.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use patd::{
    config::{Config, Sources},
    domain::{account::User, audit::RequestSource, id::TokenId, time::Timestamp},
    ops::{
        Context, Error,
        clock::Clock,
        revocation::{self, BulkRevocation},
        sessions,
        tokens::{self, Expiry, TokenRequest},
        verification::{self, Caller},
    },
    store::SessionQuery,
};
use serde_json::{Value, json};

use crate::harness::{ADMINISTRATOR, Answer, Client, START, TestApp, block_on, email, password, token_request};

const TOKENS: &str = "/api/v1/user/api-tokens";
const DAY: i64 = 24 * 60 * 60;
const YEAR: i64 = 365 * DAY;
const JUST_MORE_THAN_A_MINUTE: Duration = Duration::from_secs(61);
const FOURTEEN_YEARS: Duration = Duration::from_secs(14 * YEAR.unsigned_abs());

/// One of everything that can be issued.
struct Issuer<'a> {
    app: &'a TestApp,
    session: Client<'a>,
    token: Value,
    environment: String,
    environment_token: String,
}

impl<'a> Issuer<'a> {
    fn new(app: &'a TestApp) -> Self {
        let session = app.sign_in("ada");
        let token = session.create_token(json!({ "name": "CI", "abilities": ["*"], "expires_at": null }));
        let environment = session.get("/api/v1/user").body["current_environment_id"].as_str().unwrap().to_owned();
        let made = session.post(&format!("/api/v1/environments/{environment}/tokens"), json!({ "name": "CI" }));
        let environment_token = made.body["data"]["id"].as_str().unwrap().to_owned();
        Self { app, session, token, environment, environment_token }
    }

    fn bearer(&self) -> Client<'_> {
        self.app.bearer(self.token["token"].as_str().unwrap())
    }

    fn token_id(&self) -> &str {
        self.token["id"].as_str().unwrap()
    }

    /// Asks for everything that can be issued. Registration and sign-in come last: they need no session.
    fn ask_for_everything(&self) -> Vec<(&'static str, Answer)> {
        let (session, id) = (&self.session, self.token_id());
        let environment = format!("/api/v1/environments/{}", self.environment);
        let one = format!("{environment}/tokens/{}", self.environment_token);
        let tomorrow = json!({ "name": "t", "expires_at": "2024-01-16T19:00:00Z" });
        vec![
            ("a token", session.post(TOKENS, json!({ "name": "t" }))),
            ("a token until tomorrow", session.post(TOKENS, tomorrow)),
            ("a token for a day", session.post(TOKENS, json!({ "name": "t", "expires_in_days": 1 }))),
            ("an environment", session.post("/api/v1/environments", json!({ "name": "e" }))),
            ("an environment's token", session.post(&format!("{environment}/tokens"), json!({ "name": "t" }))),
            ("a regeneration", session.post(&format!("{one}/regenerate"), json!({}))),
            ("a rotation", session.post(&format!("{TOKENS}/{id}/rotate"), json!({ "grace": 600 }))),
            (
                "a self-rotation",
                self.bearer().post(&format!("{TOKENS}/self/rotate"), json!({ "replace_unused": true })),
            ),
            ("a registration", register(self.app)),
            ("a sign-in", login(self.app, "ada")),
        ]
    }
}

fn login(app: &TestApp, name: &str) -> Answer {
    app.anonymous().post("/api/v1/auth/login", json!({ "email": email(name), "password": password(name) }))
}

fn register(app: &TestApp) -> Answer {
    let body = json!({ "name": "bob", "email": email("bob"), "password": password("bob") });
    app.anonymous().post("/api/v1/auth/register", body)
}

fn spawn() -> TestApp {
    TestApp::with(&[("accounts.registration", "true")])
}

#[track_caller]
fn expect_unreliable(what: &str, answer: &Answer) {
    assert_eq!((answer.status, answer.body["code"].as_str()), (503, Some("clock_unreliable")), "{what}: {answer:?}");
    assert!(answer.header("retry-after").is_some(), "{what}");
}

#[track_caller]
fn expect_ready(app: &TestApp) {
    assert_eq!(app.anonymous().get("/readyz").status, 200);
}

#[test]
fn a_clock_that_was_set_back_by_more_than_a_minute_issues_nothing_until_it_has_caught_up() {
    let app = spawn();
    let issuer = Issuer::new(&app);
    app.set_clock_back(Duration::from_secs(60));
    expect_ready(&app);
    app.set_clock_back(Duration::from_secs(1));
    for (what, answer) in issuer.ask_for_everything() {
        expect_unreliable(what, &answer);
    }
    let ready = app.anonymous().get("/readyz");
    expect_unreliable("/readyz", &ready);
    for time in ["2024-01-15T18:58:59Z", "2024-01-15T19:00:00Z"] {
        assert!(ready.body["message"].as_str().unwrap().contains(time), "{ready:?}");
    }
    assert_eq!(app.anonymous().get("/livez").status, 200);
    app.advance(Duration::from_secs(1));
    expect_ready(&app);
    app.advance(Duration::from_secs(60));
    for (what, answer) in issuer.ask_for_everything() {
        assert_eq!(answer.status, 201, "{what}: {answer:?}");
    }
}

#[test]
fn checks_lists_and_revocations_go_on_while_the_clock_is_behind() {
    let app = spawn();
    let issuer = Issuer::new(&app);
    let doomed = issuer.session.create_token(json!({ "name": "doomed" }));
    let other = app.sign_in_again("ada");
    app.set_clock_back(JUST_MORE_THAN_A_MINUTE);
    let (session, id) = (&issuer.session, issuer.token_id());
    assert_eq!(issuer.bearer().get("/api/user").status, 200);
    assert_eq!(session.get(TOKENS).status, 200);
    let introspected = issuer.bearer().send_as(
        "POST",
        "/api/v1/introspect",
        "application/x-www-form-urlencoded",
        format!("token={}", doomed["token"].as_str().unwrap()).as_bytes(),
    );
    // It may not ask, which was decided.
    assert_eq!(introspected.status, 403);
    assert_eq!(session.send("POST", &format!("{TOKENS}/{id}/disable"), None).status, 200);
    assert_eq!(issuer.bearer().get("/api/user").status, 401);
    assert_eq!(session.send("POST", &format!("{TOKENS}/{id}/enable"), None).status, 200);
    assert_eq!(session.delete(&format!("{TOKENS}/{}", doomed["id"].as_str().unwrap())).status, 200);
    assert_eq!(app.bearer(doomed["token"].as_str().unwrap()).get("/api/user").status, 401);
    let leaked = json!({ "tokens": [issuer.token["token"]] });
    assert_eq!(app.anonymous().post("/api/v1/tokens/revoke-leaked", leaked).status, 200);
    assert_eq!(issuer.bearer().get("/api/user").status, 401);
    assert_eq!(other.post("/api/v1/auth/logout", json!({})).status, 200);
    assert_eq!(session.delete("/api/v1/user/sessions").status, 200);
    let trail = session.get("/api/v1/user/audit");
    assert_eq!(trail.body["data"][0]["at"], START);
}

#[test]
fn a_clock_that_leaps_over_a_year_ahead_is_not_followed_and_heals() {
    let app = spawn();
    let issuer = Issuer::new(&app);
    app.advance(FOURTEEN_YEARS);
    expect_unreliable("/readyz", &app.anonymous().get("/readyz"));
    expect_unreliable("a registration", &register(&app));
    expect_unreliable("a sign-in", &login(&app, "ada"));
    let rotated = issuer.bearer().post(&format!("{TOKENS}/self/rotate"), json!({}));
    expect_unreliable("a self-rotation", &rotated);
    assert_eq!(issuer.bearer().get("/api/user").status, 200, "it never expires");
    assert_eq!(issuer.session.get("/api/user").status, 401, "it may have expired");
    // An administrator revokes by the command line, which carries out the same.
    let doomed = block_on(app.ops.store.tokens_of(user_id(&app), all(), Timestamp::from_unix(0))).unwrap().remove(0);
    block_on(revocation::disable(&app.ops, doomed.owner.into(), doomed.id, RequestSource::COMMAND_LINE)).unwrap();
    assert_eq!(issuer.bearer().get("/api/user").status, 401);

    app.set_clock_back(FOURTEEN_YEARS - Duration::from_secs(5));
    expect_ready(&app);
    assert_eq!(issuer.session.get("/api/user").status, 200);
    let made = issuer.session.create_token(json!({ "name": "t", "expires_in_days": 1 }));
    assert_eq!(made["expires_at"], "2024-01-16T19:00:05Z");
    let tomorrow = json!({ "name": "t", "expires_at": "2024-01-16T19:00:00Z" });
    assert_eq!(issuer.session.post(TOKENS, tomorrow).status, 201);
    // Nothing that was stored meanwhile has the wrong time.
    let shown = issuer.session.get(&format!("{TOKENS}/{}", issuer.token_id())).body["data"].clone();
    assert_eq!((&shown["last_used_at"], &shown["disabled_at"]), (&json!(START), &json!(START)), "{shown}");
    assert_eq!(shown["last_uses"][0]["last_used_at"], START, "{shown}");
}

#[test]
fn a_grace_that_is_over_only_by_a_wrong_clock_revokes_no_family() {
    let app = TestApp::with(&[("rotation.on_reuse", "revoke_family")]);
    let issuer = Issuer::new(&app);
    let rotated = issuer.session.post(&format!("{TOKENS}/{}/rotate", issuer.token_id()), json!({ "grace": 3600 }));
    let [old, successor] = [&issuer.token, &rotated.body["data"]].map(|token| token["token"].as_str().unwrap());
    let is_accepted = |token| {
        let accepted = block_on(verification::authenticate(&app.ops, token, Caller::default())).is_ok();
        block_on(app.ops.flush_reuse()).unwrap();
        accepted
    };
    app.advance(FOURTEEN_YEARS);
    assert!(!is_accepted(old), "the grace may be over");
    assert_eq!(issuer.bearer().post(&format!("{TOKENS}/self/rotate"), json!({})).status, 401);
    app.set_clock_back(FOURTEEN_YEARS - Duration::from_secs(5));
    assert!(is_accepted(old) && is_accepted(successor));

    app.advance(Duration::from_hours(1));
    assert!(!is_accepted(old), "it is over");
    assert!(!is_accepted(successor), "that was a reuse");
}

#[test]
fn a_token_in_use_does_not_count_as_unused_because_the_clock_is_wrong() {
    let app = spawn();
    let issuer = Issuer::new(&app);
    app.advance(FOURTEEN_YEARS);
    assert_eq!(issuer.bearer().get("/api/user").status, 200);
    let user = user_id(&app);
    let unused_since = |time| {
        let bulk = BulkRevocation::UnusedSince(Timestamp::parse(time).unwrap());
        block_on(revocation::revoke_many(&app.ops, user.into(), user, bulk, RequestSource::COMMAND_LINE))
    };
    assert!(matches!(unused_since("2024-01-16T19:00:00Z"), Err(Error::ClockUnreliable(_))));
    assert_eq!(unused_since(START), Ok(0));
    assert_eq!(issuer.bearer().get("/api/user").status, 200);
}

fn all() -> patd::store::TokenQuery {
    patd::store::TokenQuery { limit: 100, ..patd::store::TokenQuery::default() }
}

fn user_id(app: &TestApp) -> patd::domain::id::UserId {
    block_on(patd::ops::accounts::find(&app.ops, ADMINISTRATOR, &email("ada"))).unwrap().id
}

/// A process that starts on the database of `app`, with a clock of its own.
struct Process {
    ctx: Context,
    time: Arc<AtomicI64>,
    uptime: Arc<AtomicU64>,
}

impl Process {
    /// Not started yet, at so many seconds from [`START`].
    fn new(app: &TestApp, from_start: i64) -> Self {
        let settings = [("tokens.prune_after", "1s"), ("audit.prune_after", "1d")];
        let flags = settings.map(|(key, value)| (key, value.to_owned())).into();
        let config = Config::load(Sources { flags, ..Sources::default() }).unwrap();
        let time = Arc::new(AtomicI64::new(Timestamp::parse(START).unwrap().unix() + from_start));
        let uptime = Arc::new(AtomicU64::new(0));
        let (source, lasts) = (Arc::clone(&time), Arc::clone(&uptime));
        let clock = Clock::with_uptime(
            move || Timestamp::from_unix(source.load(Ordering::SeqCst)),
            move || Duration::from_secs(lasts.load(Ordering::SeqCst)),
        );
        Self { ctx: Context::new(&config, app.backend(), clock).unwrap(), time, uptime }
    }

    fn start(app: &TestApp, from_start: i64) -> Self {
        let process = Self::new(app, from_start);
        block_on(process.ctx.start_clock()).unwrap();
        process
    }

    fn set(&self, from_start: i64) {
        self.time.store(Timestamp::parse(START).unwrap().unix() + from_start, Ordering::SeqCst);
    }

    fn is_reliable(&self) -> bool {
        self.ctx.clock.check().is_ok()
    }

    fn issue(&self, user: &User) -> Result<Option<Timestamp>, Error> {
        let expiry = Expiry::After(Duration::from_hours(24));
        let request = TokenRequest { expiry, ..token_request(user.id, "t", None) };
        let issued = block_on(tokens::create(&self.ctx, ADMINISTRATOR.into(), request, RequestSource::COMMAND_LINE));
        issued.map(|issued| issued.token.expires_at)
    }

    fn keep_house(&self) {
        self.uptime.fetch_add(60, Ordering::SeqCst);
        block_on(self.ctx.run_maintenance()).unwrap();
    }
}

#[test]
fn a_start_fourteen_years_ahead_issues_nothing_and_heals_once_the_clock_is_right() {
    let app = TestApp::spawn();
    let ada = app.user("ada");
    let process = Process::start(&app, 14 * YEAR);
    assert!(matches!(process.issue(&ada), Err(Error::ClockUnreliable(_))));
    process.set(5);
    let tomorrow = Timestamp::parse(START).unwrap().plus(Duration::from_secs(DAY.unsigned_abs() + 5));
    assert_eq!(process.issue(&ada), Ok(Some(tomorrow)));
}

#[test]
fn a_start_is_plausible_from_a_minute_before_the_latest_event_to_a_year_after_it() {
    let app = TestApp::spawn();
    assert!(Process::start(&app, 100 * YEAR).is_reliable(), "there is no event");
    app.user("ada");
    for (from_start, expected) in [(-61, false), (-60, true), (0, true), (YEAR, true), (YEAR + 1, false)] {
        assert_eq!(Process::start(&app, from_start).is_reliable(), expected, "{from_start}");
    }
}

#[test]
fn what_is_written_under_a_wrong_clock_does_not_make_the_next_start_wrong() {
    let app = TestApp::spawn();
    let ada = app.user("ada");
    let process = Process::start(&app, 14 * YEAR);
    block_on(sessions_end(&process.ctx, &app)).unwrap();
    let (source, last) = (RequestSource::COMMAND_LINE, patd::store::LastAdmin::MayGo);
    block_on(patd::ops::accounts::disable(&process.ctx, ADMINISTRATOR, ada.id, last, source)).unwrap();
    process.keep_house();
    block_on(process.ctx.record_time()).unwrap();
    assert!(Process::start(&app, 10).is_reliable());
    assert!(!Process::start(&app, 14 * YEAR).is_reliable(), "it proves nothing");
}

async fn sessions_end(ctx: &Context, app: &TestApp) -> Result<(), Error> {
    app.sign_in_again("ada");
    let user = patd::ops::accounts::find(ctx, ADMINISTRATOR, &email("ada")).await?;
    let query = SessionQuery { before: None, limit: 10 };
    for session in ctx.store.sessions_of(user.id, query, Timestamp::from_unix(0)).await? {
        sessions::end(ctx, user.id, session.id, RequestSource::COMMAND_LINE).await?;
    }
    Ok(())
}

#[test]
fn the_time_is_recorded_so_that_a_start_knows_more_than_the_latest_event() {
    let app = TestApp::spawn();
    app.user("ada");
    let process = Process::start(&app, 14 * YEAR);
    process.keep_house();
    process.set(100 * DAY);
    process.keep_house();
    assert!(!Process::start(&app, 99 * DAY).is_reliable());
    process.set(300 * DAY);
    process.keep_house();
    assert!(Process::start(&app, 100 * DAY).is_reliable(), "once an hour is enough");
    block_on(process.ctx.record_time()).unwrap();
    assert!(Process::start(&app, YEAR + 200 * DAY).is_reliable());
    assert!(!Process::start(&app, 299 * DAY).is_reliable());
}

#[test]
fn a_start_may_be_told_that_its_clock_is_right() {
    let app = TestApp::spawn();
    let ada = app.user("ada");
    for (from_start, why) in [(3 * YEAR, "it was off for long"), (-YEAR / 100, "an event has a wrong time")] {
        assert!(!Process::start(&app, from_start).is_reliable());
        let process = Process::new(&app, from_start);
        block_on(process.ctx.trust_system_clock()).unwrap();
        block_on(process.ctx.start_clock()).unwrap();
        assert!(process.issue(&ada).is_ok(), "{why}");
        assert!(Process::start(&app, from_start + 5).is_reliable(), "{why}");
        assert!(!Process::start(&app, from_start + 2 * YEAR).is_reliable(), "{why}");
    }
}

#[test]
fn nothing_is_deleted_while_the_clock_is_unreliable_nor_for_a_day_after_a_long_pause() {
    let app = TestApp::spawn();
    app.user("ada");
    let token = json!({ "name": "t", "expires_at": "2024-01-15T19:30:00Z" });
    let made = app.sign_in_again("ada").create_token(token);
    let id = TokenId::parse(made["id"].as_str().unwrap()).unwrap();
    let is_kept = || block_on(app.ops.store.token(id)).is_ok();
    for from_start in [14 * YEAR, -DAY, 8 * DAY] {
        let process = Process::start(&app, from_start);
        for _ in 0..3 {
            process.keep_house();
            assert!(is_kept(), "{from_start}");
        }
        if from_start > YEAR {
            process.uptime.fetch_add(DAY.unsigned_abs(), Ordering::SeqCst);
            process.keep_house();
            assert!(is_kept(), "for longer than a day, too");
        }
    }
    // The last one has recorded its time.
    Process::start(&app, 8 * DAY + 60).keep_house();
    assert!(!is_kept());
}
