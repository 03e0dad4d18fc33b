//! Where settings come from, and `patd config check`.

use crate::support::place::Place;

#[test]
fn a_wrong_key_is_named_with_its_file() {
    let place = Place::new();
    place.write("config.toml", "[server]\nbnid = \"127.0.0.1:0\"\n");
    for command in [&["user", "list"][..], &["serve"], &["config", "check"]] {
        let ended = place.run(command);
        assert_eq!((ended.code, &*ended.stdout), (Some(6), ""), "{ended:?}");
        assert!(ended.stderr.contains("server.bnid (config.toml, line 2)"), "{ended:?}");
    }
}

#[test]
fn check_says_which_file_is_valid() {
    let place = Place::new();
    let check = |arguments: &[&str]| place.run(&[&["config", "check"], arguments].concat());
    assert_eq!(check(&[]).stdout, "the configuration (no file) is valid\n");
    place.write("config.toml", "[log]\nlevel = \"warn\"\n");
    let default = check(&[]);
    assert_eq!(default.stdout, "config.toml is valid\n");
    assert_eq!(default.stderr, "using ./config.toml\n");
    place.write("other.toml", "[log]\nlevel = \"loud\"\n");
    assert_eq!(check(&["other.toml"]).code, Some(6));
    assert_eq!(check(&["--config", "other.toml"]).code, Some(6));
    assert_eq!(check(&["missing.toml"]).code, Some(6));
    assert_eq!(check(&["config.toml", "--config", "other.toml"]).code, Some(0));
}

#[test]
fn check_reports_all_mistakes_at_once_without_their_consequences() {
    let place = Place::new().set("PATD__LOG__FROMAT", "json").set("PATD__CACHE__TOKENS", "many");
    let file = "\
[sever]
bind = 'localhost'

[server]
body_timeout = '20s'
request_deadline = 15
keep_alive = '0s'
bnid = '127.0.0.1:1'

[tokens]
pat_prefix = 'pat-'
default_lifetime = 7
allow_endless = false

[sessions]
prefix = ''
lifetime = '1d'
";
    place.write("config.toml", file);
    let ended = place.run(&["config", "check"]);
    assert_eq!((ended.code, &*ended.stdout), (Some(6), ""));
    let mut reported: Vec<&str> = ended.stderr.lines().skip(1).map(|line| line.split(" is ").next().unwrap()).collect();
    reported.sort_unstable();
    let expected = [
        "patd: PATD__LOG__FROMAT",
        "patd: cache.tokens (PATD__CACHE__TOKENS)",
        "patd: server.bnid (config.toml, line 8)",
        "patd: server.keep_alive (config.toml, line 7)",
        "patd: server.request_deadline (config.toml, line 6)",
        "patd: sessions.idle_lifetime (the default)",
        "patd: sessions.prefix (config.toml, line 16)",
        "patd: sever (config.toml, line 1)",
        "patd: tokens.default_lifetime (config.toml, line 12)",
        "patd: tokens.pat_prefix (config.toml, line 11)",
    ];
    assert_eq!(reported, expected, "{}", ended.stderr);

    place.write("config.toml", "[sever\n[log]\nlevel = 7\n");
    let ended = place.run(&["config", "check", "config.toml"]);
    assert!(ended.stderr.contains("line 1 is not valid TOML") && ended.stderr.lines().count() == 1, "{ended:?}");
}

#[test]
fn check_includes_the_environment_unless_a_file_is_named() {
    let place = Place::new().set("PATD__LOG__LEVEL", "loud");
    place.write("config.toml", "");
    assert_eq!(place.run(&["config", "check"]).code, Some(6));
    assert_eq!(place.run(&["config", "check", "config.toml"]).code, Some(0));
}

#[test]
fn the_file_is_found_or_named_and_a_flag_overrides_it() {
    let place = Place::new();
    place.write("config.toml", "[database]\npath = \"lying.db\"\n");
    place.write("named.toml", "[database]\npath = \"named.db\"\n");
    let missing = |place: &Place, arguments: &[&str]| {
        let ended = place.run(&[&["user", "list"], arguments].concat());
        assert_eq!(ended.code, Some(5));
        ended.stderr
    };
    let lying = missing(&place, &[]);
    assert!(lying.starts_with("using ./config.toml\n") && lying.contains("lying.db"), "{lying}");
    let named = missing(&place, &["--config", "named.toml"]);
    assert!(!named.contains("using") && named.contains("named.db"), "{named}");
    let flag = missing(&place, &["--config", "named.toml", "--database", "flag.db"]);
    assert!(flag.contains("flag.db"), "{flag}");
    let place = place.set("PATD_CONFIG", "named.toml");
    assert!(missing(&place, &[]).contains("named.db"));
    let place = place.set("PATD__DATABASE__PATH", "variable.db");
    assert!(missing(&place, &[]).contains("variable.db"));
    assert!(missing(&place, &["--database", "flag.db"]).contains("flag.db"));
}

#[test]
fn help_lists_the_exit_codes_and_wrong_usage_exits_with_2() {
    let place = Place::new();
    let help = place.run(&["--help"]);
    assert_eq!(help.code, Some(0));
    assert!(help.stdout.contains("Exit codes:"), "{}", help.stdout);
    assert_eq!(place.run(&["user", "list", "--loud"]).code, Some(2));
    assert_eq!(place.run(&[]).code, Some(2));
}
