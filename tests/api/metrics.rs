//! The metrics: their names and labels are those of `docs/metrics.md`, they count what happened, and they say nothing about a
//! single token or user.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    authz::DIALECTS,
    harness::{Client, TestApp, email},
    introspection::{introspect, introspector},
    outage::{Fault, Faulty},
};

const POLICY: &str = r#"
[[policies]]
name = "app"
rules = [
    { paths = ["/health"], public = true },
    { paths = ["/calls/**"], abilities = ["calls:read"] },
    { paths = ["/session"], credentials = ["session"] },
]
"#;
const SETTINGS: [(&str, &str); 2] = [("server.trusted_proxies", "127.0.0.1/32"), ("metrics.bind", "127.0.0.1:0")];

/// A request to the listener for scrapes: the status, the type and the body of its answer.
fn ask(app: &TestApp, method: &str, path: &str) -> (u16, String, String) {
    let address = app.metrics.unwrap();
    let request =
        ureq::http::Request::builder().method(method).uri(format!("http://{address}{path}")).body(()).unwrap();
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut answer = agent.run(request).unwrap();
    let content_type = answer.headers()["content-type"].to_str().unwrap().to_owned();
    (answer.status().as_u16(), content_type, answer.body_mut().read_to_string().unwrap())
}

/// The value of each series.
fn scrape(app: &TestApp) -> BTreeMap<String, f64> {
    let (status, _, text) = ask(app, "GET", "/metrics");
    assert_eq!(status, 200, "{text}");
    assert!(text.ends_with("\n# EOF\n"), "{text}");
    let series = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        (series.to_owned(), value.parse().unwrap())
    });
    series.collect()
}

/// Scrapes until the tokens are counted.
fn scrape_counted(app: &TestApp) -> BTreeMap<String, f64> {
    let began = Instant::now();
    loop {
        let series = scrape(app);
        if series.contains_key("patd_token_count_age_seconds") {
            return series;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "the tokens were not counted");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The series that are not zero, of one metric.
fn counted(series: &BTreeMap<String, f64>, metric: &str) -> BTreeMap<String, f64> {
    let of_metric = |name: &str| name == metric || name.starts_with(&format!("{metric}{{"));
    series
        .iter()
        .filter(|(name, value)| of_metric(name) && **value != 0.0)
        .map(|(name, value)| (name[metric.len()..].to_owned(), *value))
        .collect()
}

/// Asks about a token in every way.
fn use_all(app: &TestApp) -> (Client<'_>, String) {
    let ada = app.sign_in("ada");
    let token = ada.create_token(json!({ "name": "t", "abilities": ["calls:read"], "expires_in_days": 2 }));
    let token = token["token"].as_str().unwrap().to_owned();
    let bearer = app.bearer(&token);
    for dialect in DIALECTS {
        assert_eq!(dialect.ask(&bearer, "GET", "/calls/1").status, 200);
        assert_eq!(dialect.ask(&app.anonymous(), "GET", "/health").status, 200);
        assert_eq!(dialect.ask(&app.anonymous(), "GET", "/calls/1").status, 401);
        assert_eq!(dialect.ask(&bearer, "GET", "/elsewhere").status, 403);
        assert_eq!(dialect.ask(&bearer, "GET", "/session").status, 403);
    }
    let service = introspector(app);
    assert_eq!(introspect(&service, &token).status, 200);
    assert_eq!(introspect(&service, "pat_rubbish").status, 200);
    let verify = |ability| service.post("/api/v1/tokens/verify", json!({ "token": token, "abilities": [ability] }));
    assert_eq!(verify("calls:read").body["data"]["valid"], true);
    assert_eq!(verify("calls:write").body["data"]["code"], "missing_ability");
    let both = json!({ "tokens": [{ "token": token }, { "token": "rubbish" }] });
    assert_eq!(service.post("/api/v1/tokens/verify-batch", both).status, 200);
    (ada, token)
}

#[test]
fn metrics_and_labels_are_those_of_the_document() {
    let app = TestApp::with_file(POLICY, &SETTINGS);
    use_all(&app);
    let shown: BTreeMap<String, BTreeSet<String>> =
        scrape_counted(&app).keys().map(|series| labels_of(series)).fold(BTreeMap::new(), |mut all, (name, labels)| {
            all.entry(name).or_default().extend(labels);
            all
        });
    let document = include_str!("../../docs/metrics.md");
    let mut documented = BTreeMap::new();
    for row in document.lines().filter(|line| line.starts_with("| `patd_")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, name, kind, labels, meaning, _] = cells[..] else { panic!("{row}") };
        assert!(["counter", "gauge", "histogram", "info"].contains(&kind), "{row}");
        if !meaning.contains(if is_on_postgres() { "SQLite only" } else { "PostgreSQL only" }) {
            let labels = labels.split(", ").map(|label| label.trim_matches('`').to_owned());
            documented.insert(name.trim_matches('`').to_owned(), labels.filter(|label| !label.is_empty()).collect());
        }
    }
    assert_eq!(shown, documented);
}

/// Whether the app has a database in PostgreSQL.
fn is_on_postgres() -> bool {
    std::env::var("PATD_TEST_STORE").is_ok_and(|store| store == "postgres")
}

/// The name of a metric without what a histogram adds, and its labels without those of a histogram.
fn labels_of(series: &str) -> (String, BTreeSet<String>) {
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let ends = ["_bucket", "_sum", "_count"];
    let name = ends.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    let names = labels.split("\",").filter_map(|label| Some(label.split_once('=')?.0.to_owned()));
    (name.to_owned(), names.filter(|label| label != "le").collect())
}

#[test]
fn each_check_is_counted_once_by_way_and_verdict() {
    let app = TestApp::with_file(POLICY, &SETTINGS);
    let before = scrape(&app);
    assert_eq!(counted(&before, "patd_checks_total").len(), 0);
    assert!(before.contains_key(r#"patd_checks_total{via="verify",verdict="undecided"}"#), "zeros are shown, too");
    use_all(&app);
    let after = scrape(&app);
    let mut expected = BTreeMap::new();
    for via in ["auth_request", "forward_auth", "ext_authz"] {
        for (verdict, count) in [("allowed", 2.0), ("no_credential", 1.0), ("policy_refused", 2.0)] {
            expected.insert(format!(r#"{{via="{via}",verdict="{verdict}"}}"#), count);
        }
    }
    for (via, verdict) in [
        ("introspect", "allowed"),
        ("introspect", "malformed"),
        ("verify", "allowed"),
        ("verify", "missing_ability"),
        ("verify_batch", "allowed"),
        ("verify_batch", "malformed"),
    ] {
        expected.insert(format!(r#"{{via="{via}",verdict="{verdict}"}}"#), 1.0);
    }
    assert_eq!(counted(&after, "patd_checks_total"), expected);
    let requests: Vec<_> = counted(&after, "patd_check_duration_seconds_count").into_values().collect();
    assert_eq!(requests, [5.0, 5.0, 5.0, 2.0, 2.0, 1.0], "a batch is one request");
    let shortest = r#"patd_check_duration_seconds_bucket{le="0.00001",via="auth_request"}"#;
    assert!(after.contains_key(shortest), "buckets begin at 10 µs");
    let route = r#"{method="GET",route="/api/authz/auth-request/{policy}",status="403"}"#;
    assert_eq!(counted(&after, "patd_http_requests_total")[route], 2.0);
    // On a busy machine, the store may look for changes too late, and the cache is not coherent until it has done so.
    assert!((0..1_000).any(|_| scrape(&app)["patd_cache_coherent"] == 1.0));
    assert!(after[r#"patd_cache_lookups_total{cache="tokens",result="hit"}"#] > 0.0);
    assert!(after[r#"patd_cache_lookups_total{cache="tokens",result="miss"}"#] > 0.0);
}

#[test]
fn tokens_are_counted_by_kind_and_state() {
    let app = TestApp::with(&SETTINGS);
    let ada = app.sign_in("ada");
    let create = |days: Option<u32>| match days {
        Some(days) => ada.create_token(json!({ "name": "t", "expires_in_days": days })),
        None => ada.create_token(json!({ "name": "t" })),
    };
    let path = |token: &serde_json::Value| format!("/api/v1/user/api-tokens/{}", token["id"].as_str().unwrap());
    create(Some(1));
    create(Some(20));
    create(None);
    assert_eq!(ada.delete(&path(&create(None))).status, 200);
    assert_eq!(ada.post(&format!("{}/disable", path(&create(Some(1)))), json!({})).status, 200);
    let environment = ada.get("/api/user").body["current_environment_id"].as_str().unwrap().to_owned();
    let of_environment = ada.post(&format!("/api/v1/environments/{environment}/tokens"), json!({ "name": "e" }));
    assert_eq!(of_environment.status, 201);
    let counts = crate::harness::block_on(patd::ops::token_counts::count(&app.ops)).unwrap();
    assert_eq!(counts.by_state, [[3, 1, 0, 1], [1, 0, 0, 0]], "active, disabled, expired, revoked");
    assert_eq!(counts.expiring, [1, 1, 2], "the disabled one does not count");
    app.advance(Duration::from_hours(24));
    let counts = crate::harness::block_on(patd::ops::token_counts::count(&app.ops)).unwrap();
    assert_eq!(counts.by_state, [[2, 0, 2, 1], [1, 0, 0, 0]]);
    assert_eq!(counts.expiring, [0, 0, 1]);
}

#[test]
fn sign_ins_reuse_and_limits_are_counted() {
    let app = TestApp::with(&[
        ("metrics.bind", "127.0.0.1:0"),
        ("throttle.per_email_burst", "1"),
        ("throttle.per_email_per_minute", "1"),
        ("rotation.grace", "0s"),
    ]);
    let ada = app.sign_in("ada");
    let wrong = json!({ "email": email("ada"), "password": "wrong" });
    for status in [401, 429, 429] {
        assert_eq!(app.anonymous().post("/api/v1/auth/login", wrong.clone()).status, status);
    }
    let token = ada.create_token(json!({ "name": "t" }));
    let rotate = format!("/api/v1/user/api-tokens/{}/rotate", token["id"].as_str().unwrap());
    assert_eq!(ada.post(&rotate, json!({})).status, 201);
    app.advance(Duration::from_secs(5));
    assert_eq!(app.bearer(token["token"].as_str().unwrap()).get("/api/user").status, 401);
    let limited = ada.create_token(json!({ "name": "l", "requests_per_minute": 1 }));
    let limited = app.bearer(limited["token"].as_str().unwrap());
    while limited.get("/api/user").status != 429 {}
    let series = scrape(&app);
    let of = |metric| counted(&series, metric).into_iter().collect::<Vec<_>>();
    let labelled = |label: &str, value: f64| (label.to_owned(), value);
    assert_eq!(
        of("patd_sign_ins_total"),
        [
            labelled(r#"{result="refused"}"#, 1.0),
            labelled(r#"{result="succeeded"}"#, 1.0),
            labelled(r#"{result="throttled"}"#, 2.0)
        ]
    );
    assert_eq!(
        of("patd_throttled_total"),
        [labelled(r#"{what="sign_in"}"#, 2.0), labelled(r#"{what="token_rate"}"#, 1.0)]
    );
    assert_eq!(series["patd_token_reuse_detected_total"], 1.0);
    assert_eq!(series["patd_password_hashes_in_flight"], 0.0);
    assert!(series["patd_store_commit_seconds_count"] >= 5.0);
    assert!(series["patd_store_batch_size_sum"] >= series["patd_store_batch_size_count"]);
    assert!(is_on_postgres() || series["patd_wal_bytes"] > 0.0);
    // The housekeeping may be writing.
    let began = Instant::now();
    while scrape(&app)["patd_store_queue"] != 0.0 {
        assert!(began.elapsed() < Duration::from_secs(60), "a write stays unanswered");
    }
}

#[test]
fn no_label_names_a_token_or_a_user_and_none_is_what_a_client_sent() {
    let app = TestApp::with_file(POLICY, &SETTINGS);
    let (ada, token) = use_all(&app);
    let user = ada.get("/api/v1/user").body;
    ada.get(&format!("/api/v1/user/api-tokens/{token}"));
    ada.get(&format!("/{token}?{token}"));
    let secret = token.split('|').next_back().unwrap();
    let unusual =
        format!("{secret} /api/v1/user HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Request-Id: {secret}\r\n\r\n");
    app.raw(unusual.as_bytes());
    app.raw(format!("GET /{secret} HTTP/9.9\r\n\r\n").as_bytes());
    app.bearer(&token).get(&format!("/api/authz/auth-request/{token}"));
    scrape_counted(&app);
    let (_, _, text) = ask(&app, "GET", "/metrics");
    for sent in [secret, "ada", "@", user["id"].as_str().unwrap(), "127.0.0.1"] {
        assert!(!text.contains(sent), "{sent}: {text}");
    }
    let is_id = |word: &str| word.len() == 36 && uuid::Uuid::parse_str(word).is_ok();
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    assert_eq!(words.filter(|word| is_id(word)).count(), 0, "{text}");
    assert!(text.contains(r#"route="none""#) && text.contains(r#"method="other""#), "{text}");
}

#[test]
fn a_scrape_is_answered_while_the_store_cannot_read() {
    let app = TestApp::with_store(&SETTINGS, |backend| Faulty::reads(backend, Fault::Fails));
    assert_eq!(app.bearer(&format!("pat_{}", "A".repeat(48))).get("/api/user").status, 401);
    let series = scrape(&app);
    assert!(!series.contains_key("patd_token_count_age_seconds"), "there was no count");
    assert!(series.contains_key("patd_store_queue"));
}

#[test]
fn the_listener_answers_metrics_alone_and_that_of_the_api_never_does() {
    let app = TestApp::with(&SETTINGS);
    let (status, content_type, _) = ask(&app, "GET", "/metrics");
    assert_eq!((status, &*content_type), (200, "application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert_eq!(ask(&app, "HEAD", "/metrics").2, "");
    assert_eq!(ask(&app, "POST", "/metrics").0, 405);
    for path in ["/", "/livez", "/api/user", "/metrics/", "/metrics/x"] {
        assert_eq!(ask(&app, "GET", path).0, 404, "{path}");
    }
    assert_eq!(app.anonymous().get("/metrics").status, 404);
    assert_eq!(TestApp::spawn().metrics, None, "off by default");
}
