//! `patd policy explain`: the dry run says what a proxy would be told.

use serde_json::{Value, json};

use crate::harness::{EMAIL, Ended, Place};

const POLICY: &str = r#"
[[policies]]
name = "app"
rules = [
    { paths = ["/health"], public = true },
    { methods = ["GET"], paths = ["/calls/**"], abilities = ["calls:read"] },
]
"#;

fn place() -> Place {
    let place = Place::new().with_user();
    place.write("config.toml", POLICY);
    place
}

fn explain(place: &Place, path: &str, token: Option<&str>) -> (Ended, Value) {
    let mut arguments = vec!["policy", "explain", "--policy", "app", "--path", path, "--json"];
    arguments.extend(token.map(|_| "--token-stdin"));
    let ended = place.run_with(&arguments, token.unwrap_or_default());
    let explanation = serde_json::from_str(&ended.stdout).unwrap();
    (ended, explanation)
}

#[test]
fn a_rule_is_named_with_what_it_needs() {
    let place = place();
    let (ended, explanation) = explain(&place, "/calls/1?x=1", None);
    assert_eq!(ended.code, Some(0));
    assert_eq!((&explanation["rule"], &explanation["passes"]), (&json!(2), &Value::Null));
    assert_eq!(explanation["abilities"], json!(["calls:read"]));

    let (ended, explanation) = explain(&place, "/health", None);
    assert_eq!((ended.code, &explanation["passes"]), (Some(0), &json!(true)));
    for (path, reason) in [
        ("/other", "no rule"),
        ("/calls/../other", "two ways: it has a segment . or .."),
        ("other", "the path does not begin with a slash"),
    ] {
        let (ended, explanation) = explain(&place, path, None);
        assert_eq!((ended.code, &explanation["passes"]), (Some(4), &json!(false)), "{path}");
        assert!(explanation["reason"].as_str().unwrap().contains(reason), "{explanation}");
    }
}

#[test]
fn a_token_is_told_whether_it_passes_and_why_not() {
    let place = place();
    let token = |ability: &str| {
        let made = place.run(&["token", "create", "--user", EMAIL, "--name", "t", "--ability", ability]);
        assert_eq!(made.code, Some(0), "{made:?}");
        made.stdout.trim().to_owned()
    };
    let (ended, explanation) = explain(&place, "/calls/1", Some(&token("calls:*")));
    assert_eq!((ended.code, &explanation["passes"]), (Some(0), &json!(true)), "{explanation}");
    assert!(explanation["reason"].as_str().unwrap().contains(EMAIL));

    let (ended, explanation) = explain(&place, "/calls/1", Some(&token("other:read")));
    assert_eq!((ended.code, &explanation["passes"]), (Some(4), &json!(false)));
    assert!(explanation["reason"].as_str().unwrap().contains("calls:read"), "{explanation}");

    let (ended, explanation) = explain(&place, "/calls/1", Some("rubbish"));
    assert_eq!((ended.code, &explanation["passes"]), (Some(4), &json!(false)));
    assert!(explanation["reason"].as_str().unwrap().contains("malformed"), "{explanation}");
}

#[test]
fn a_token_that_is_bound_to_addresses_passes_from_there_and_loses_one_use_of_its_quota() {
    let place = place();
    let limits = ["--allow-ip", "192.0.2.0/24", "--quota", "80", "--json"];
    let made = place.run(&[&["token", "create", "--user", EMAIL, "--name", "t"], &limits[..]].concat());
    let made: serde_json::Value = serde_json::from_str(&made.stdout).unwrap();
    let ask = ["policy", "explain", "--policy", "app", "--path", "/calls/1", "--token-stdin"];
    for (address, code, said) in [
        (&["--ip", "192.0.2.7"][..], 0, "passes"),
        (&["--ip", "198.51.100.7"], 4, "address not allowed"),
        (&[], 4, "say with --ip"),
    ] {
        let ended = place.run_with(&[&ask[..], address].concat(), made["token"].as_str().unwrap());
        assert!(ended.code == Some(code) && ended.stdout.contains(said), "{ended:?}");
    }
    let list = place.run(&["token", "list", "--json"]);
    assert!(list.stdout.contains(r#""quota_remaining":79"#), "{list:?}");
}

#[test]
fn a_person_reads_it_line_by_line() {
    let place = place();
    let shown = place.run(&["policy", "explain", "--policy", "app", "--path", "/calls/1"]);
    let expected = "\
request      GET /calls/1
policy       app
rule         2: GET; /calls/**
credentials  personal_access_token, environment_token
abilities    calls:read
verdict      give a token with --token-stdin to see whether it passes
";
    assert_eq!(shown.stdout, expected);
    let unknown = place.run(&["policy", "explain", "--policy", "none", "--path", "/"]);
    assert_eq!(unknown.code, Some(4));
    assert!(unknown.stdout.contains("there is no policy of that name"), "{unknown:?}");
}
