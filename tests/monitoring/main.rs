//! The files in `deploy/monitoring/`: promtool checks the alert rules and runs their tests, the real Prometheus scrapes a real
//! server, and rules and dashboard name only metrics that the documents describe.
#![expect(clippy::unwrap_used, reason = "a panic fails the test")]
#![expect(unreachable_pub, reason = "a test binary has no outside")]

#[path = "../support/mod.rs"]
mod support;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use support::{
    place::{DEADLINE, Place},
    ports::free_address,
    process::Process,
    programs::program,
};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(file(name)).unwrap()
}

/// Whether promtool accepts its arguments, and what it printed.
fn promtool(directory: &Path, arguments: &[&str]) -> (bool, String) {
    let ended = Command::new(program("promtool")).args(arguments).current_dir(directory).output().unwrap();
    let printed = [ended.stdout, ended.stderr].concat();
    (ended.status.success(), String::from_utf8(printed).unwrap())
}

#[test]
fn promtool_accepts_the_alert_rules_and_their_tests_pass() {
    let directory = file("deploy/monitoring");
    for arguments in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts.test.yml"]] {
        let (accepted, printed) = promtool(&directory, &arguments);
        assert!(accepted, "promtool {}: {printed}", arguments.join(" "));
    }
}

#[test]
fn a_rule_that_is_weakened_fails_its_test() {
    let place = tempfile::tempdir().unwrap();
    let (rules, tests) = (read("deploy/monitoring/alerts.yml"), read("deploy/monitoring/alerts.test.yml"));
    fs::write(place.path().join("alerts.test.yml"), tests).unwrap();
    let expressions = [
        ("up{job=\"patd\"} == 0 or ", ""),
        (" or absent(up{job=\"patd\"})", ""),
        ("patd_cache_coherent == 0", "patd_cache_coherent == 2"),
        ("rate(patd_http_requests_total[5m])) > 0.01", "rate(patd_http_requests_total[5m])) > 0.5"),
        ("patd_check_duration_seconds_bucket[5m]))) > 0.05", "patd_check_duration_seconds_bucket[5m]))) > 1"),
        ("within=\"1d\"", "within=\"7d\""),
        ("increase(patd_token_reuse_detected_total[15m]) > 0", "increase(patd_token_reuse_detected_total[15m]) > 5"),
        ("rate(patd_throttled_total[5m])) > 1", "rate(patd_throttled_total[5m])) > 100"),
        ("patd_wal_bytes > 134217728", "patd_wal_bytes > 1342177280"),
        ("patd_node_lag_seconds > 5", "patd_node_lag_seconds > 50"),
        ("patd_store_commit_seconds_bucket[5m]))) > 0.5", "patd_store_commit_seconds_bucket[5m]))) > 5"),
    ];
    assert_eq!(expressions.len(), rules.matches("- alert:").count() + 1, "one for each rule, and two for the first");
    for (expression, weaker) in expressions {
        assert!(rules.contains(expression), "no rule has {expression}");
        fs::write(place.path().join("alerts.yml"), rules.replace(expression, weaker)).unwrap();
        let (accepted, _) = promtool(place.path(), &["test", "rules", "alerts.test.yml"]);
        assert!(!accepted, "no test fails if {expression} is {weaker:?}");
    }
}

/// The metrics that a text names, without what histograms and counters add in a query.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let is_separator = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    let words = text.split(is_separator).filter(|word| word.starts_with("patd_"));
    let of_histogram = |word: &str| {
        let parts = ["_bucket", "_sum", "_count"].iter().find_map(|part| word.strip_suffix(part));
        parts.unwrap_or(word).to_owned()
    };
    words.map(of_histogram).collect()
}

#[test]
fn rules_and_dashboard_name_documented_metrics_and_the_dashboard_shows_all_of_them() {
    let documented: BTreeSet<String> = read("docs/metrics.md")
        .lines()
        .filter_map(|line| line.strip_prefix("| `patd_"))
        .map(|rest| format!("patd_{}", rest.split('`').next().unwrap()))
        .collect();
    assert!(documented.len() > 15, "{documented:?}");
    let in_rules = metrics_in(&read("deploy/monitoring/alerts.yml"));
    assert!(in_rules.is_subset(&documented), "{:?}", in_rules.difference(&documented));
    let dashboard: Value = serde_json::from_str(&read("deploy/monitoring/grafana.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let queries = panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let shown: BTreeSet<String> = queries.flat_map(|query| metrics_in(query["expr"].as_str().unwrap())).collect();
    assert!(shown.is_subset(&documented), "{:?}", shown.difference(&documented));
    // The requests of a route are in the histogram of their durations, too.
    assert_eq!(shown, documented);
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "two panels have the same id");
}

/// The values of a query to Prometheus, once there are any.
fn query(address: &str, expression: &str) -> Vec<Value> {
    let began = Instant::now();
    loop {
        let answer = ureq::get(format!("http://{address}/api/v1/query")).query("query", expression).call();
        let answer = answer.ok().and_then(|mut answer| answer.body_mut().read_json::<Value>().ok());
        let found = answer.and_then(|answer| answer["data"]["result"].as_array().cloned()).unwrap_or_default();
        if !found.is_empty() {
            return found;
        }
        assert!(began.elapsed() < DEADLINE, "Prometheus has no result for {expression}");
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn prometheus_scrapes_a_server_and_evaluates_its_rules() {
    let metrics = free_address();
    let place = Place::new().set("PATD__METRICS__BIND", &metrics.to_string()).with_user();
    let server = place.serve();
    assert_eq!(server.get("/api/user", "pat_rubbish"), 401);
    let configuration = format!(
        "global: {{scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms}}\n\
         rule_files: [{}]\n\
         scrape_configs: [{{job_name: patd, static_configs: [{{targets: ['{metrics}']}}]}}]\n",
        file("deploy/monitoring/alerts.yml").display()
    );
    place.write("prometheus.yml", &configuration);
    let (accepted, printed) = promtool(place.directory.path(), &["check", "config", "prometheus.yml"]);
    assert!(accepted, "{printed}");
    let address = free_address().to_string();
    let mut command = Command::new(program("prometheus"));
    command
        .current_dir(place.directory.path())
        .args(["--config.file=prometheus.yml", "--storage.tsdb.path=prometheus"]);
    let _prometheus = Process::start(command.arg(format!("--web.listen-address={address}")));

    let refused = r#"patd_http_requests_total{job="patd", route="/api/user", status="401"}"#;
    assert_eq!(query(&address, refused)[0]["value"][1], "1");
    assert_eq!(query(&address, "up{job=\"patd\"} == 1").len(), 1, "the whole text was understood");
    assert_eq!(query(&address, "patd_tokens").len(), 8);
    assert_eq!(query(&address, "histogram_quantile(0.5, patd_store_commit_seconds_bucket)").len(), 1);
    let metadata: Value =
        ureq::get(format!("http://{address}/api/v1/metadata")).call().unwrap().body_mut().read_json().unwrap();
    assert_eq!(metadata["data"]["patd_checks"][0]["type"], "counter", "{metadata}");
    assert_eq!(metadata["data"]["patd_check_duration_seconds"][0]["unit"], "seconds");
    let rules = query_rules(&address);
    assert!(rules.iter().all(|rule| rule["health"] == "ok"), "{rules:?}");
    // A scrape that ends is noticed.
    drop(server);
    query(&address, "up{job=\"patd\"} == 0");
}

/// The rules, once all of them were evaluated.
fn query_rules(address: &str) -> Vec<Value> {
    let began = Instant::now();
    loop {
        let answer: Value =
            ureq::get(format!("http://{address}/api/v1/rules")).call().unwrap().body_mut().read_json().unwrap();
        let rules = answer["data"]["groups"][0]["rules"].as_array().unwrap().clone();
        if rules.iter().all(|rule| rule["health"] != "unknown") {
            return rules;
        }
        assert!(began.elapsed() < DEADLINE, "the rules were not evaluated: {rules:?}");
        thread::sleep(Duration::from_millis(100));
    }
}
