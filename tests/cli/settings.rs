//! Where settings come from, and `patd config check`.

use crate::harness::Place;

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
fn check_says_which_file_is_sound() {
    let place = Place::new();
    let check = |arguments: &[&str]| place.run(&[&["config", "check"], arguments].concat());
    assert_eq!(check(&[]).stdout, "the configuration (no file) is sound\n");
    place.write("config.toml", "[log]\nlevel = \"warn\"\n");
    let default = check(&[]);
    assert_eq!(default.stdout, "config.toml is sound\n");
    assert_eq!(default.stderr, "using ./config.toml\n");
    place.write("other.toml", "[log]\nlevel = \"loud\"\n");
    assert_eq!(check(&["other.toml"]).code, Some(6));
    assert_eq!(check(&["--config", "other.toml"]).code, Some(6));
    assert_eq!(check(&["missing.toml"]).code, Some(6));
    assert_eq!(check(&["config.toml", "--config", "other.toml"]).code, Some(0));
}

#[test]
fn check_of_everything_sees_the_environment_and_of_one_file_does_not() {
    let place = Place::new().set("PATD__LOG__LEVEL", "loud");
    place.write("config.toml", "");
    assert_eq!(place.run(&["config", "check"]).code, Some(6));
    assert_eq!(place.run(&["config", "check", "config.toml"]).code, Some(0));
}

#[test]
fn the_file_is_read_where_it_lies_or_is_named_and_a_flag_wins() {
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
fn help_lists_the_exit_codes_and_wrong_usage_is_two() {
    let place = Place::new();
    let help = place.run(&["--help"]);
    assert_eq!(help.code, Some(0));
    assert!(help.stdout.contains("Exit codes:"), "{}", help.stdout);
    assert_eq!(place.run(&["user", "list", "--loud"]).code, Some(2));
    assert_eq!(place.run(&[]).code, Some(2));
}
