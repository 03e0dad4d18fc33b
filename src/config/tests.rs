mod checks;

use std::{ffi::OsString, fs, path::PathBuf, time::Duration};

use super::{
    layers::Layers,
    load::{DEFAULTS, patd_variables},
    *,
};
use crate::domain::{ability::Ability, secret::CredentialKind};

fn load(sources: Sources) -> Config {
    Config::load(sources).unwrap_or_else(|error| panic!("{error}"))
}

fn refusal(sources: Sources) -> String {
    Config::load(sources).unwrap_err().to_string()
}

fn environment(variables: &[(&str, &str)]) -> Sources {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Sources { environment: variables.iter().map(owned).collect(), ..Sources::default() }
}

fn flags(flags: &[(&'static str, &str)]) -> Sources {
    Sources { flags: flags.iter().map(|(key, value)| (*key, (*value).to_owned())).collect(), ..Sources::default() }
}

/// A configuration file, and the directory that holds it.
fn file(text: &str) -> (tempfile::TempDir, Sources) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("patd.toml");
    fs::write(&path, text).unwrap();
    let sources = Sources { file: Some(path), ..Sources::default() };
    (directory, sources)
}

fn file_refusal(text: &str) -> String {
    let (_directory, sources) = file(text);
    refusal(sources)
}

#[track_caller]
fn assert_says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
    assert!(!message.contains('\n'), "more than a line: {message}");
}

#[test]
fn the_defaults_are_those_of_the_repository_file() {
    let config = load(Sources::default());
    assert_eq!(config.server.bind, "127.0.0.1:8080".parse().unwrap());
    assert_eq!(config.server.keep_alive, Duration::from_secs(75));
    assert_eq!(config.server.head_limit, 16 * 1024);
    assert_eq!(config.server.drain_delay, Duration::ZERO);
    assert!(config.server.trusted_proxies.is_empty());
    assert_eq!(config.database.path, PathBuf::from("patd.db"));
    assert!(config.database.url.is_none() && config.database.ca_file.is_none());
    assert!(!config.accounts.registration);
    assert_eq!(config.sessions.lifetime, Duration::from_secs(30 * 86_400));
    assert_eq!(config.tokens.max_per_user, 1000);
    assert!(config.tokens.abilities.is_empty());
    assert_eq!(config.throttle.per_email_burst.get(), 10);
    assert_eq!(config.log.level, log::LevelFilter::Info);
    assert_eq!(config.log.format, LogFormat::Text);
    assert_eq!(config.prefixes().of(CredentialKind::PersonalAccessToken), "pat_");
}

#[test]
fn the_repository_file_is_a_valid_configuration() {
    let (_directory, sources) = file(DEFAULTS);
    load(sources);
}

#[test]
fn the_repository_file_has_every_key_and_no_other() {
    let read = |defaults: &str| Layers::new(defaults).unwrap().deserialize::<Config>();
    let keys = |line: &&str| !line.starts_with('#') && line.contains(" = ");
    assert_ne!(DEFAULTS.lines().filter(keys).count(), 0);
    for line in DEFAULTS.lines().filter(keys) {
        let error = read(&DEFAULTS.replacen(&format!("\n{line}\n"), "\n", 1)).unwrap_err();
        let key = line.split(' ').next().unwrap();
        assert_says(&error.to_string(), &[&format!("missing field `{key}`")]);
    }
    for extra in ["\n[extra]\n", "\nextra = 1\n"] {
        let error = read(&format!("{DEFAULTS}{extra}")).unwrap_err();
        assert_says(&error.to_string(), &["unknown field `extra`"]);
    }
}

#[test]
fn zero_becomes_a_number_that_fits_the_cores_and_other_numbers_stay() {
    let mut config = load(flags(&[("server.workers", "3")]));
    assert_eq!(config.server.workers, 3);
    assert!(config.database.readers > 2 && config.passwords.concurrent_hashes > 0);
    (config.database.readers, config.passwords.concurrent_hashes) = (0, 0);
    config.resolve_zeros(4);
    let resolved = (config.server.workers, config.database.readers, config.passwords.concurrent_hashes);
    assert_eq!(resolved, (3, 10, 4));
}

#[test]
fn flags_win_over_the_environment_which_wins_over_the_file() {
    let (_directory, mut sources) =
        file("[server]\nbind = '127.0.0.1:1'\nworkers = 1\nmax_connections = 1\nbody_limit = '2KiB'");
    sources.environment =
        environment(&[("PATD__SERVER__BIND", "127.0.0.1:2"), ("PATD__SERVER__WORKERS", "2")]).environment;
    sources.flags = vec![("server.bind", "127.0.0.1:3".to_owned())];
    let server = load(sources).server;
    assert_eq!(server.bind.port(), 3);
    assert_eq!(server.workers, 2);
    assert_eq!(server.max_connections, 1);
    assert_eq!(server.body_limit, 2048);
    assert_eq!(server.head_limit, 16 * 1024);
}

#[test]
fn a_variable_is_read_as_the_type_of_its_setting() {
    let config = load(environment(&[
        ("PATD__ACCOUNTS__REGISTRATION", "true"),
        ("PATD__TOKENS__MAX_PER_USER", "7"),
        ("PATD__TOKENS__PAT_PREFIX", "123"),
        ("PATD__SERVER__TRUSTED_PROXIES", "10.0.0.0/8, ::1,::ffff:192.0.2.1/128"),
        ("PATD__TOKENS__ABILITIES", r#"["calls:read", "calls:*"]"#),
        ("PATD__LOG__FORMAT", "json"),
        ("PATD_CONFIG", "elsewhere.toml"),
        ("HOME", "/"),
    ]));
    assert!(config.accounts.registration);
    assert_eq!(config.tokens.max_per_user, 7);
    assert_eq!(config.tokens.pat_prefix, "123");
    let proxies: Vec<_> = ["10.0.0.0/8", "::1/128", "192.0.2.1/32"].map(|net| net.parse().unwrap()).into();
    assert_eq!(config.server.trusted_proxies, proxies);
    let abilities: Vec<_> = config.tokens.abilities.iter().map(Ability::as_str).collect();
    assert_eq!(abilities, ["calls:read", "calls:*"]);
    assert_eq!(config.log.format, LogFormat::Json);
    let none = load(environment(&[("PATD__TOKENS__ABILITIES", "")]));
    assert!(none.tokens.abilities.is_empty());
}

#[test]
fn a_file_variable_reads_the_value_from_the_file_and_never_shows_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("value");
    let name = path.to_str().unwrap();
    let write = |text: &str| fs::write(&path, text).unwrap();

    for text in ["1KiB", "1KiB\n", "1KiB\r\n"] {
        write(text);
        let config = load(environment(&[("PATD__SERVER__BODY_LIMIT_FILE", name)]));
        assert_eq!(config.server.body_limit, 1024);
    }
    for (text, key) in [
        ("canary", "server.body_limit"),
        ("canary", "server.workers"),
        ("[\"canary \"]", "tokens.abilities"),
        ("[\"admin:canary\"]", "tokens.abilities"),
        ("canary-", "tokens.pat_prefix"),
        ("canary", "accounts.registration"),
    ] {
        write(text);
        let direct = format!("PATD__{}", key.replace('.', "__").to_uppercase());
        let variable = format!("{direct}_FILE");
        let message = refusal(environment(&[(&variable, name)]));
        assert_says(&message, &[key, &variable, "not shown", "must be"]);
        assert!(!message.contains("canary"), "{message}");
    }
    write("ses_canary");
    let message = refusal(environment(&[("PATD__TOKENS__PAT_PREFIX_FILE", name)]));
    assert_says(&message, &["sessions.prefix", "PATD__TOKENS__PAT_PREFIX_FILE"]);
    assert!(!message.contains("canary"), "{message}");

    let missing = format!("{name}.missing");
    let message = refusal(environment(&[("PATD__SERVER__BIND_FILE", &missing)]));
    assert_says(&message, &["PATD__SERVER__BIND_FILE", &missing]);
}

#[test]
fn a_variable_and_its_file_form_together_are_refused() {
    let message =
        refusal(environment(&[("PATD__SERVER__BIND_FILE", "/nowhere"), ("PATD__SERVER__BIND", "127.0.0.1:1")]));
    assert_eq!(message, "PATD__SERVER__BIND and PATD__SERVER__BIND_FILE are both set; unset one of them");
}

#[cfg(unix)]
#[test]
fn only_patd_variables_are_taken_and_they_must_be_unicode() {
    use std::os::unix::ffi::OsStringExt;

    let broken = || OsString::from_vec(vec![0xff]);
    let variables = [("HOME".into(), broken()), ("PATD__LOG__LEVEL".into(), "warn".into())];
    let variables = patd_variables(variables.into_iter()).unwrap();
    assert_eq!(variables, [("PATD__LOG__LEVEL".to_owned(), "warn".to_owned())]);
    let error = patd_variables([("PATD__LOG__LEVEL".into(), broken())].into_iter()).unwrap_err();
    assert_says(&error.to_string(), &["PATD__LOG__LEVEL", "not valid UTF-8"]);
}

#[test]
fn an_unknown_name_is_refused_with_the_known_ones_and_the_nearest() {
    let keys = "the keys of [log] are checks, format, level";
    let message = file_refusal("[log]\nlevel = 'info'\nfromat = 'text'");
    assert_says(&message, &["log.fromat (", "patd.toml, line 3)", "perhaps log.format is meant", keys]);
    let message = file_refusal("[log]\ncolour = true");
    assert_says(&message, &["log.colour", keys]);
    assert!(!message.contains("perhaps"), "{message}");
    let message = file_refusal("\n[sever]\n");
    assert_says(&message, &["sever (", "line 2)", "perhaps server is meant", "the sections are accounts, "]);

    let message = refusal(environment(&[("PATD__LOG__LEVLE", "info")]));
    assert_says(&message, &["PATD__LOG__LEVLE is", "PATD__LOG__LEVEL is meant", keys]);
    let message = refusal(environment(&[("PATD__LOG_LEVEL", "info")]));
    assert_says(&message, &["PATD__LOG_LEVEL is", "the sections are"]);
    let message = refusal(environment(&[("PATD__log__level", "info")]));
    assert_says(&message, &["PATD__log__level is", "PATD__LOG__LEVEL is meant"]);
    let message = refusal(flags(&[("log.lvel", "info")]));
    assert_says(&message, &["log.lvel (the command line)", "log.level is meant"]);
}

#[test]
fn a_file_that_cannot_be_read_or_parsed_is_refused_by_name() {
    let message = refusal(Sources { file: Some("/nowhere/patd.toml".into()), ..Sources::default() });
    assert_says(&message, &["/nowhere/patd.toml", "cannot be read"]);
    let message = file_refusal("[log]\nlevel = info\n");
    assert_says(&message, &["patd.toml, line 2 is not valid TOML"]);
    let message = file_refusal("[log]\nlevel = 'info'\nlevel = 'warn'\n");
    assert_says(&message, &["patd.toml, line 3 is not valid TOML", "duplicate"]);
    let message = file_refusal("# é\n[log]\nlevel = é\n");
    assert_says(&message, &["patd.toml, line 3 is not valid TOML"]);
    let message = file_refusal("[server]\n\nworkers = 99999999999999999999");
    assert_says(&message, &["patd.toml, line 3 is not valid TOML"]);
    let message = file_refusal("\nlog = 'info'");
    assert_says(&message, &["log (", "line 2)", "string", "a section, written [log]"]);
}

#[test]
fn a_wrong_type_is_refused_with_key_source_value_and_what_is_allowed() {
    let in_file = |section: &str, line: &str| file_refusal(&format!("[{section}]\n{line}"));
    for (section, line, parts) in [
        ("server", "head_timeout = 10", ["head_timeout", "integer 10", r#"a duration such as "500ms", "10s""#]),
        ("server", "head_timeout = '10'", ["head_timeout", r#"string "10""#, "a duration"]),
        ("server", "head_timeout = '10 s'", ["head_timeout", r#"string "10 s""#, "a duration"]),
        ("server", "head_timeout = '36501d'", ["head_timeout", "36501d", "at most \"36500d\""]),
        ("server", "head_timeout = '18446744073709551615d'", ["head_timeout", "string", "a duration"]),
        ("server", "body_limit = 1024", ["body_limit", "integer 1024", r#"a size such as "512B", "64KiB""#]),
        ("server", "body_limit = '64KB'", ["body_limit", "64KB", "a size"]),
        ("server", "workers = '2'", ["workers", r#"string "2""#, "an integer from 0"]),
        ("server", "workers = -1", ["workers", "integer -1", "an integer from 0"]),
        ("server", "workers = 1.5", ["workers", "float 1.5", "an integer from 0"]),
        ("server", "bind = 'localhost:80'", ["bind", "localhost:80", "an IP address and a port"]),
        ("server", "bind.port = 80", ["bind", "table", "an IP address and a port"]),
        ("server", "trusted_proxies = '::1'", ["trusted_proxies", "string", "an array of addresses"]),
        ("server", "trusted_proxies = ['::1', 'a']", ["trusted_proxies", "array", "its item 2 is not allowed"]),
        ("database", "path = ''", ["path", "string", "the path of a file"]),
        ("accounts", "registration = 'yes'", ["registration", "string \"yes\"", "a boolean"]),
        ("sessions", "prefix = 1", ["prefix", "integer 1", "a string"]),
        ("tokens", "abilities = [1]", ["abilities", "array [1]", "its item 1 is not allowed"]),
        ("tokens", "abilities = ['a:*', '*a']", ["abilities", "array", "its item 2 is not allowed"]),
        ("log", "level = 'off'", ["level", "string \"off\"", "\"error\", \"warn\""]),
        ("log", "format = 'pretty'", ["format", "string \"pretty\"", "\"text\" and \"json\""]),
    ] {
        let message = in_file(section, line);
        assert_says(&message, &parts);
        assert_says(&message, &[&format!("{section}.{} (", parts[0]), "patd.toml, line 2) is "]);
    }

    assert_eq!(
        refusal(environment(&[("PATD__SERVER__WORKERS", "many")])),
        "server.workers (PATD__SERVER__WORKERS) is the string \"many\"; it must be an integer from 0 to 4294967295"
    );
    let message = refusal(environment(&[("PATD__TOKENS__ABILITIES", "[calls")]));
    assert_says(&message, &["tokens.abilities (PATD__TOKENS__ABILITIES)", "string \"[calls\""]);
    let message = refusal(flags(&[("accounts.registration", "1")]));
    assert_says(&message, &["accounts.registration (the command line)", "a boolean"]);
}
