//! The ranges of values, and the rules between settings.

use super::*;

#[test]
fn each_range_is_checked_at_both_ends() {
    // Each row: a key, refused values, a part of the message, accepted values.
    let rows: &[(&'static str, &[&str], &str, &[&str])] = &[
        (
            "server.trusted_proxies",
            &["0.0.0.0/0", "::1,::/0", "::ffff:0:0/96"],
            "of your proxies only",
            &["10.0.0.0/8,::1"],
        ),
        (
            "metrics.bind",
            &["127.0.0.1:8080", "0.0.0.0:8080", "[::]:8080"],
            "another address or port than server.bind (the default)",
            &["", "127.0.0.1:9464", "127.0.0.1:0", "192.0.2.1:8080"],
        ),
        ("metrics.bind", &["localhost:9464", "9464"], "an IP address and a port in a string", &[]),
        ("server.max_connections", &["0"], "at least 1", &["1"]),
        ("server.keep_alive", &["0s"], "longer than zero", &["1ms"]),
        ("server.head_timeout", &["0s"], "longer than zero", &["1ms"]),
        ("server.head_limit", &["1023B", "65537B"], "from \"1KiB\" to \"64KiB\"", &["1KiB", "64KiB"]),
        ("server.body_timeout", &["0ms"], "longer than zero", &["1ms"]),
        ("server.body_limit", &["1023B", "17MiB"], "from \"1KiB\" to \"16MiB\"", &["1KiB", "16MiB"]),
        (
            "server.request_deadline",
            &["10s", "0s"],
            "longer than server.body_timeout (the default), which is the string \"10s\"",
            &["10001ms"],
        ),
        ("server.drain_timeout", &["0s"], "longer than zero", &["1ms"]),
        ("server.drain_delay", &[], "", &["0s", "1h"]),
        ("database.pool_timeout", &["0s", "2001ms"], "from \"1ms\" to \"2s\"", &["1ms", "2s"]),
        ("database.busy_timeout", &["0s", "3601s"], "from \"1ms\" to \"1h\"", &["1ms", "1h"]),
        ("database.write_queue", &["0", "1000001"], "from 1 to 1000000", &["1", "1000000"]),
        ("passwords.min_length", &["7", "129"], "from 8 to 128", &["8", "128"]),
        ("passwords.memory_kib", &["7", "4194305"], "at least 8 times passwords.lanes", &["8", "4194304"]),
        ("passwords.iterations", &["0", "1001"], "from 1 to 1000", &["1", "1000"]),
        ("passwords.lanes", &["0", "65", "4294967295"], "from 1 to 64", &["1", "64"]),
        ("passwords.max_wait", &["0s"], "longer than zero", &["1ms"]),
        (
            "accounts.invitation_lifetime",
            &["59s", "31d", "90500ms"],
            "from \"1m\" to \"30d\", in whole seconds",
            &["1m", "30d"],
        ),
        ("sessions.lifetime", &["0s", "500ms", "604800500ms"], "at least \"1s\", in whole seconds", &["7d"]),
        ("sessions.idle_lifetime", &["0s", "1500ms"], "at least \"1s\", in whole seconds", &["1s", "30d"]),
        ("sessions.idle_lifetime", &["31d"], "no longer than sessions.lifetime (the default)", &[]),
        ("tokens.max_per_user", &["0"], "at least 1", &["1"]),
        ("tokens.default_lifetime", &["0s", "1500ms"], "\"never\", or at least \"1s\"", &["1s", "never", "36500d"]),
        ("tokens.max_lifetime", &["0s", "1500ms"], "\"never\", or at least \"1s\"", &["1s", "never"]),
        ("tokens.idle_lifetime", &["0s", "1500ms"], "\"never\", or at least \"1s\"", &["1s", "never"]),
        ("tokens.prune_after", &["0s", "1500ms"], "\"never\", or at least \"1s\"", &["1s", "never"]),
        ("audit.prune_after", &["0s", "1500ms"], "\"never\", or at least \"1s\"", &["1s", "never"]),
        ("usage.keep_days", &["0", "3651"], "from 1 to 3650", &["1", "3650"]),
        ("usage.max_abilities", &["0", "1001"], "from 1 to 1000", &["1", "1000"]),
        ("rotation.grace", &["500ms"], "from \"0s\" to \"7d\", in whole seconds", &["0s", "7d"]),
        ("rotation.grace", &["604801s"], "no longer than rotation.max_grace (the default)", &[]),
        ("rotation.max_grace", &["604801s", "600500ms"], "7d", &["10m", "7d"]),
        ("rotation.on_reuse", &["allow"], "\"refuse\" and \"revoke_family\"", &["refuse", "revoke_family"]),
        (
            "tokens.abilities",
            &["tokens:introspect", "a,admin", "admin:users"],
            "without reserved abilities",
            &["*", "admins"],
        ),
        ("throttle.per_email_burst", &["0"], "from 1 to", &["1"]),
        ("throttle.per_email_per_minute", &["0"], "from 1 to", &["1"]),
        ("throttle.per_address_burst", &["0"], "from 1 to", &["1"]),
        ("throttle.per_address_per_minute", &["0"], "from 1 to", &["1"]),
        ("throttle.reports_per_address_burst", &["0"], "from 1 to", &["1"]),
        ("throttle.reports_per_address_per_minute", &["0"], "from 1 to", &["1"]),
        ("throttle.reports_burst", &["0", "1000001"], "from 1 to", &["1"]),
        ("throttle.reports_per_minute", &["0"], "from 1 to", &["1"]),
        ("throttle.rotations_per_family_burst", &["0", "1000001"], "from 1 to", &["1"]),
        ("throttle.rotations_per_family_per_minute", &["0"], "from 1 to", &["1"]),
        ("sessions.prefix", &["", "a-b", "aaaaaaaaaaaaaaaaa"], "1 to 16 letters", &["a"]),
        ("tokens.pat_prefix", &["", "a-b"], "1 to 16 letters", &["a"]),
        ("tokens.environment_prefix", &["", "a-b"], "1 to 16 letters", &["a"]),
        ("tokens.pat_prefix", &["ses", "talq_"], "different from the beginning of", &[]),
        ("sessions.prefix", &["lnk_", "lnk_x", "l", "lnk"], "the prefix of password links", &["lnkx_", "xlnk_"]),
        ("tokens.pat_prefix", &["lnk_", "lnk_x", "ln"], "the prefix of password links", &["lnkx_"]),
        ("tokens.environment_prefix", &["lnk_"], "the prefix of password links", &["lnk2"]),
    ];
    for (key, refused, wanted, accepted) in rows {
        for value in *refused {
            let message = refusal(flags(&[(key, value)]));
            if (*key, *value) == ("tokens.pat_prefix", "talq_") {
                assert_says(&message, &["tokens.environment_prefix", key, wanted]);
                continue;
            }
            assert_says(&message, &[&format!("{key} (the command line) is the "), wanted]);
        }
        for value in *accepted {
            load(flags(&[(key, value)]));
        }
    }
}

#[test]
fn settings_that_contradict_each_other_name_both_sources() {
    assert_eq!(
        refusal(environment(&[("PATD__SERVER__BODY_TIMEOUT", "20s")])),
        "server.request_deadline (the default) is the string \"15s\"; it must be longer than server.body_timeout \
         (PATD__SERVER__BODY_TIMEOUT), which is the string \"20s\""
    );
    assert_eq!(
        refusal(flags(&[("tokens.pat_prefix", "lnk_")])),
        "tokens.pat_prefix (the command line) is the string \"lnk_\"; it must be a text that does not begin like \"lnk_\", \
         the prefix of password links"
    );
    assert_eq!(
        refusal(flags(&[("tokens.pat_prefix", "ses_x")])),
        "sessions.prefix (the default) is the string \"ses_\"; it must be different from the beginning of \
         tokens.pat_prefix (the command line), which is the string \"ses_x\": the prefix decides of which kind a token is"
    );
    let message = refusal(flags(&[("passwords.lanes", "4"), ("passwords.memory_kib", "31")]));
    assert_says(&message, &["passwords.memory_kib", "passwords.lanes", "integer 4"]);
    load(flags(&[("passwords.lanes", "4"), ("passwords.memory_kib", "32")]));
}

#[test]
fn if_tokens_must_expire_a_lifetime_must_be_set() {
    let message = refusal(flags(&[("tokens.allow_endless", "false")]));
    assert_says(
        &message,
        &["tokens.allow_endless (the command line)", "tokens.default_lifetime or tokens.max_lifetime"],
    );
    for key in ["tokens.default_lifetime", "tokens.max_lifetime"] {
        load(flags(&[("tokens.allow_endless", "false"), (key, "90d")]));
    }
    let message = refusal(flags(&[("tokens.default_lifetime", "91d"), ("tokens.max_lifetime", "90d")]));
    assert_says(&message, &["tokens.default_lifetime", "no longer than tokens.max_lifetime"]);
    let defaults = load(Sources::default());
    assert_eq!((defaults.tokens.default_lifetime, defaults.tokens.max_lifetime), (None, None));
    assert_eq!((defaults.tokens.idle_lifetime, defaults.tokens.allow_endless), (None, true));
    assert_eq!((defaults.tokens.prune_after, defaults.audit.prune_after), (Some(Duration::from_hours(30 * 24)), None));
    assert_eq!(
        (defaults.rotation.grace, defaults.rotation.max_grace),
        (Duration::from_mins(10), Duration::from_hours(168))
    );
}

#[test]
fn a_database_is_a_file_or_a_url_and_the_url_is_never_shown() {
    let url = ("PATD__DATABASE__URL", "postgres://patd:hidden@db/patd");
    let config = load(environment(&[url]));
    assert_eq!(config.database.url.as_ref().map(|url| url.expose()), Some(url.1));
    assert!(!format!("{config:?}").contains("hidden"));
    let message = refusal(environment(&[url, ("PATD__DATABASE__PATH", "/srv/patd.db")]));
    assert_says(
        &message,
        &["database.url (PATD__DATABASE__URL)", "database.path (PATD__DATABASE__PATH)", "/srv/patd.db"],
    );
    assert!(!message.contains("hidden"), "{message}");
    let message = refusal(environment(&[("PATD__DATABASE__CA_FILE", "/etc/ca.pem")]));
    assert_says(&message, &["database.ca_file", "database.url"]);
}

#[test]
fn an_allowed_origin_is_written_as_browsers_write_it() {
    let sound = ["https://app.example.com", "http://localhost:5173", "http://127.0.0.1", "https://[::1]:8443"];
    let origins = load(flags(&[("cors.allowed_origins", &sound.join(","))])).cors.allowed_origins;
    assert_eq!(origins.iter().map(ToString::to_string).collect::<Vec<_>>(), sound);
    for wrong in [
        "*",
        "null",
        "app.example.com",
        "https://*.example.com",
        "https://app.example.com/",
        "https://app.example.com/path",
        "https://App.example.com",
        "HTTPS://app.example.com",
        "https://app.example.com:443",
        "http://app.example.com:80",
        "https://app.example.com:0443",
        "https://app.example.com:0",
        "https://app.example.com:65536",
        "https://app.example.com:",
        "https://:8443",
        "https://",
        "https://user@app.example.com",
        "https://app..example.com",
        "https://b\u{fc}cher.example",
        "https://[::1",
        "https://[0:0::1]",
        "ftp://app.example.com",
    ] {
        let message = refusal(flags(&[("cors.allowed_origins", &format!("https://good.example,{wrong}"))]));
        assert_says(&message, &["cors.allowed_origins (the command line)", "its item 2 is not allowed", "no path"]);
    }
}
