//! The allowed range of each value, and the rules between settings.

use std::{net::SocketAddr, num::NonZeroU32, time::Duration};

use super::{layers::Layers, settings::Config};
use crate::domain::{
    ability::Ability,
    secret::{ParsePrefixesError, Prefixes},
};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const MAX_BURST: NonZeroU32 = NonZeroU32::new(1_000_000).expect("not zero");
const UP_TO_A_MILLION: &str = "from 1 to 1000000";
const AT_LEAST_ONE: &str = "at least 1";
const LONGER_THAN_ZERO: &str = "longer than zero";
const NEVER_OR_WHOLE_SECONDS: &str = r#""never", or at least "1s", in whole seconds"#;
const WEEK: Duration = Duration::from_hours(7 * 24);
const UP_TO_A_WEEK: &str = r#"from "0s" to "7d", in whole seconds"#;
const MINUTE_TO_MONTH: &str = r#"from "1m" to "30d", in whole seconds"#;
const WHOLE_SECONDS: &str = r#"at least "1s", in whole seconds"#;

/// Adds an error for each setting that is out of its range or contradicts another one.
pub(super) fn check(config: &Config, layers: &mut Layers) {
    let Config { server, database, accounts, passwords, sessions, tokens, rotation, audit, usage, throttle, .. } =
        config;
    let is_positive = |duration: Duration| duration > Duration::ZERO;
    let is_whole_seconds = |duration: Duration| is_positive(duration) && duration.subsec_nanos() == 0;

    let is_lifetime = |lifetime: Option<Duration>| lifetime.is_none_or(is_whole_seconds);

    let is_up_to_a_month = |duration: Duration| {
        is_whole_seconds(duration) && (Duration::from_mins(1)..=Duration::from_hours(30 * 24)).contains(&duration)
    };

    let ranges = [
        // patd believes what a trusted proxy says about the client and the request.
        (
            "server.trusted_proxies",
            server.trusted_proxies.iter().all(|network| network.prefix_len() > 0),
            "the addresses of your proxies only: with the whole internet in it, any client could claim any path and any address",
        ),
        ("server.max_connections", server.max_connections >= 1, AT_LEAST_ONE),
        ("server.keep_alive", is_positive(server.keep_alive), LONGER_THAN_ZERO),
        ("server.head_timeout", is_positive(server.head_timeout), LONGER_THAN_ZERO),
        ("server.write_timeout", is_positive(server.write_timeout), LONGER_THAN_ZERO),
        ("server.head_limit", (KIB..=64 * KIB).contains(&server.head_limit), r#"from "1KiB" to "64KiB""#),
        ("server.body_timeout", is_positive(server.body_timeout), LONGER_THAN_ZERO),
        ("server.body_limit", (KIB..=16 * MIB).contains(&server.body_limit), r#"from "1KiB" to "16MiB""#),
        ("server.drain_timeout", is_positive(server.drain_timeout), LONGER_THAN_ZERO),
        (
            "database.pool_timeout",
            is_positive(database.pool_timeout) && database.pool_timeout <= Duration::from_secs(2),
            r#"from "1ms" to "2s""#,
        ),
        // The driver of SQLite panics if the milliseconds do not fit an i32.
        (
            "database.busy_timeout",
            is_positive(database.busy_timeout) && database.busy_timeout <= Duration::from_hours(1),
            r#"from "1ms" to "1h""#,
        ),
        // The whole queue is allocated at the start.
        ("database.write_queue", (1..=1_000_000).contains(&database.write_queue), "from 1 to 1000000"),
        ("accounts.invitation_lifetime", is_up_to_a_month(accounts.invitation_lifetime), MINUTE_TO_MONTH),
        ("passwords.min_length", (8..=128).contains(&passwords.min_length), "from 8 to 128"),
        ("passwords.iterations", (1..=1000).contains(&passwords.iterations), "from 1 to 1000"),
        ("passwords.max_wait", is_positive(passwords.max_wait), LONGER_THAN_ZERO),
        ("passwords.lanes", (1..=64).contains(&passwords.lanes), "from 1 to 64"),
        ("sessions.lifetime", is_whole_seconds(sessions.lifetime), WHOLE_SECONDS),
        ("sessions.idle_lifetime", is_whole_seconds(sessions.idle_lifetime), WHOLE_SECONDS),
        ("throttle.per_email_burst", throttle.per_email_burst <= MAX_BURST, UP_TO_A_MILLION),
        ("throttle.per_account_burst", throttle.per_account_burst <= MAX_BURST, UP_TO_A_MILLION),
        ("throttle.successes_per_account_burst", throttle.successes_per_account_burst <= MAX_BURST, UP_TO_A_MILLION),
        ("throttle.per_address_burst", throttle.per_address_burst <= MAX_BURST, UP_TO_A_MILLION),
        ("throttle.reports_burst", throttle.reports_burst <= MAX_BURST, UP_TO_A_MILLION),
        ("throttle.reports_per_address_burst", throttle.reports_per_address_burst <= MAX_BURST, UP_TO_A_MILLION),
        ("throttle.rotations_per_family_burst", throttle.rotations_per_family_burst <= MAX_BURST, UP_TO_A_MILLION),
        ("tokens.max_per_user", tokens.max_per_user >= 1, AT_LEAST_ONE),
        ("tokens.default_lifetime", is_lifetime(tokens.default_lifetime), NEVER_OR_WHOLE_SECONDS),
        ("tokens.max_lifetime", is_lifetime(tokens.max_lifetime), NEVER_OR_WHOLE_SECONDS),
        ("tokens.idle_lifetime", is_lifetime(tokens.idle_lifetime), NEVER_OR_WHOLE_SECONDS),
        ("tokens.prune_after", is_lifetime(tokens.prune_after), NEVER_OR_WHOLE_SECONDS),
        ("audit.prune_after", is_lifetime(audit.prune_after), NEVER_OR_WHOLE_SECONDS),
        ("usage.keep_days", (1..=3650).contains(&usage.keep_days), "from 1 to 3650"),
        ("usage.max_abilities", (1..=1000).contains(&usage.max_abilities), "from 1 to 1000"),
        (
            "tokens.allow_endless",
            tokens.allow_endless
                || tokens.default_lifetime.or(tokens.max_lifetime).is_some()
                || layers.is_refused("tokens.default_lifetime")
                || layers.is_refused("tokens.max_lifetime"),
            "true, unless tokens.default_lifetime or tokens.max_lifetime is set",
        ),
        ("rotation.grace", rotation.grace.subsec_nanos() == 0, UP_TO_A_WEEK),
        ("rotation.max_grace", rotation.max_grace.subsec_nanos() == 0 && rotation.max_grace <= WEEK, UP_TO_A_WEEK),
        (
            "tokens.abilities",
            !tokens.abilities.iter().any(Ability::is_reserved),
            "without reserved abilities (tokens:introspect, admin, admin:…): only the command line grants them",
        ),
    ];
    let relations = [
        (
            "server.request_deadline",
            server.request_deadline > server.body_timeout,
            "longer than",
            "server.body_timeout",
        ),
        (
            "passwords.memory_kib",
            (passwords.lanes.saturating_mul(8)..=4_194_304).contains(&passwords.memory_kib),
            "at most 4194304, and at least 8 times",
            "passwords.lanes",
        ),
        ("sessions.idle_lifetime", sessions.idle_lifetime <= sessions.lifetime, "no longer than", "sessions.lifetime"),
        (
            "tokens.default_lifetime",
            tokens.default_lifetime.zip(tokens.max_lifetime).is_none_or(|(default, most)| default <= most),
            "no longer than",
            "tokens.max_lifetime",
        ),
        ("rotation.grace", rotation.grace <= rotation.max_grace, "no longer than", "rotation.max_grace"),
    ];
    for (key, _, wanted) in ranges.iter().filter(|(_, holds, _)| !holds) {
        layers.refuse(key, *wanted);
    }
    for (key, _, relation, other) in relations.iter().filter(|(_, holds, ..)| !holds) {
        if !layers.is_refused(key) && !layers.is_refused(other) {
            layers.refuse(key, format!("{relation} {}", layers.describe(other)));
        }
    }
    check_database(config, layers);
    check_metrics(config, layers);
    check_prefixes(config, layers);
}

/// One database, in a file or in PostgreSQL.
fn check_database(config: &Config, layers: &mut Layers) {
    match &config.database.url {
        Some(_) if layers.is_set("database.path") => {
            let path = layers.describe("database.path");
            layers.refuse("database.url", format!("left out beside {path}: name one of the two"));
        }
        None if config.database.ca_file.is_some() => {
            layers.refuse("database.ca_file", "left out, unless database.url names a database of PostgreSQL");
        }
        _ => {}
    }
}

/// The metrics have a listener of their own.
fn check_metrics(config: &Config, layers: &mut Layers) {
    let api = config.server.bind;
    let overlaps = |bind: SocketAddr| {
        let is_same = bind.ip() == api.ip() || bind.ip().is_unspecified() || api.ip().is_unspecified();
        bind.port() != 0 && bind.port() == api.port() && is_same
    };
    if config.metrics.bind.is_some_and(overlaps) && !layers.is_refused("server.bind") {
        let other = layers.describe("server.bind");
        layers.refuse("metrics.bind", format!("another address or port than {other}: the API never shows metrics"));
    }
}

/// The error of the domain shows the prefixes, which may come from a file whose content must not be shown. This names the
/// keys instead.
fn check_prefixes(config: &Config, layers: &mut Layers) {
    let prefixes = [
        ("sessions.prefix", &config.sessions.prefix),
        ("tokens.pat_prefix", &config.tokens.pat_prefix),
        ("tokens.environment_prefix", &config.tokens.environment_prefix),
    ];
    for (key, _) in prefixes.iter().filter(|(_, prefix)| !Prefixes::is_sound(prefix)) {
        layers.refuse(key, "1 to 16 letters, digits or underscores");
    }
    let sound = prefixes.iter().filter(|(_, prefix)| Prefixes::is_sound(prefix));
    for (key, _) in sound.filter(|(_, prefix)| Prefixes::is_like_password_link(prefix)) {
        let link = Prefixes::PASSWORD_LINK;
        layers.refuse(key, format!("a text that does not begin like \"{link}\", the prefix of password links"));
    }
    if prefixes.iter().any(|(key, _)| layers.is_refused(key)) {
        return;
    }
    let keys_of = |prefix: &str| {
        let same = prefixes.iter().filter(|(_, other)| *other == prefix);
        same.map(|(key, _)| *key).collect::<Vec<_>>()
    };
    if let Err(ParsePrefixesError::Ambiguous(short, long)) = config.try_prefixes() {
        let key = keys_of(&short).first().copied().unwrap_or("sessions.prefix");
        let other = keys_of(&long).into_iter().find(|other| *other != key);
        let other = other.map_or_else(String::new, |other| layers.describe(other));
        layers.refuse(
            key,
            format!("different from the beginning of {other}: the prefix decides of which kind a token is"),
        );
    }
}
