//! `patd token list` and `patd user list`: content, order and format.

use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use crate::support::place::{EMAIL, PASSWORD, Place, create_user};

fn make(place: &Place, user: &str, name: &str, more: &[&str]) -> Value {
    let base = ["token", "create", "--json", "--user", user, "--name", name];
    let ended = place.run(&[&base[..], more].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    serde_json::from_str(&ended.stdout).unwrap()
}

/// Creates three tokens. Ada's Zoë expires in ten days and was used, Ada's alpha expires in one day, and Bob's Beta never
/// expires.
fn place() -> Place {
    let place = Place::new().with_user();
    assert_eq!(place.run_with(&create_user("bob@example.com"), PASSWORD).code, Some(0));
    let used = make(&place, EMAIL, "Zoë", &["--expires-in", "10d"]);
    make(&place, "bob@example.com", "Beta", &[]);
    make(&place, EMAIL, "alpha", &["--expires-in", "1d"]);
    let server = place.serve();
    assert_eq!(server.get("/api/user", used["token"].as_str().unwrap()), 200);
    assert_eq!(server.terminate().code, Some(0));
    place
}

fn names(place: &Place, arguments: &[&str]) -> Vec<String> {
    let list = place.run(&[arguments, &["--json"]].concat()).json_lines();
    list.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn tokens_can_be_sorted_filtered_and_limited() {
    let place = place();
    let list = |arguments: &[&str]| names(&place, &[&["token", "list"], arguments].concat());
    for (arguments, expected) in [
        (&[][..], &["alpha", "Beta", "Zoë"][..]),
        (&["--reverse"], &["Zoë", "Beta", "alpha"]),
        (&["--sort", "name"], &["alpha", "Beta", "Zoë"]),
        (&["--sort", "name", "--reverse"], &["Zoë", "Beta", "alpha"]),
        (&["--sort", "user"], &["Zoë", "alpha", "Beta"]),
        (&["--sort", "last-used"], &["Zoë", "alpha", "Beta"]),
        (&["--sort", "expires"], &["alpha", "Zoë", "Beta"]),
        (&["--sort", "expires", "--reverse"], &["Beta", "Zoë", "alpha"]),
        (&["--sort", "expires", "--limit", "1"], &["alpha"]),
        (&["--search", "ZOE\u{308}"], &["Zoë"]),
        (&["--search", "BOB@"], &["Beta"]),
        (&["--search", "%"], &[]),
        (&["--expires-before", "5d"], &["alpha"]),
        (&["--expires-before", "9999-01-01"], &["alpha", "Zoë"]),
        (&["--expires-before", "2020-01-01T00:00:00Z"], &[]),
        (&["--unused-since", "1h"], &[]),
        (&["--unused-since", "2999-01-01"], &["alpha", "Beta", "Zoë"]),
        (&["--state", "expired"], &[]),
    ] {
        assert_eq!(list(arguments), expected, "{arguments:?}");
    }
    for wrong in [&["--limit", "0"][..], &["--sort", "colour"], &["--unused-since", "soon"], &["--expires-before", "1"]]
    {
        assert_eq!(place.run(&[&["token", "list"], wrong].concat()).code, Some(2), "{wrong:?}");
    }
}

#[test]
fn an_unwritten_use_on_the_server_counts() {
    let place = Place::new().with_user();
    let token = make(&place, EMAIL, "CI", &[]);
    let server = place.serve();
    let unused = ["token", "list", "--unused-since", "2999-01-01"];
    assert_eq!(names(&place, &unused).len(), 1);
    assert_eq!(server.get("/api/user", token["token"].as_str().unwrap()), 200);
    let listed = &place.run(&["token", "list", "--json"]).json_lines()[0];
    assert!(listed["last_used_at"].is_string(), "{listed}");
    // The token was used within the last minute.
    assert_eq!(names(&place, &["token", "list", "--unused-since", "1m"]).len(), 0);
    server.terminate();
}

#[test]
fn users_can_be_sorted_filtered_and_limited() {
    let place = Place::new();
    for (email, name) in [("zoe@example.com", "Ada"), ("ada@example.com", "ZOË"), ("bob@example.com", "bob")] {
        let mut arguments = create_user(email);
        arguments[5] = name;
        assert_eq!(place.run_with(&arguments, PASSWORD).code, Some(0));
    }
    let list = |arguments: &[&str]| names(&place, &[&["user", "list"], arguments].concat());
    assert_eq!(list(&[]), ["Ada", "ZOË", "bob"]);
    assert_eq!(list(&["--reverse"]), ["bob", "ZOË", "Ada"]);
    assert_eq!(list(&["--sort", "name"]), ["Ada", "bob", "ZOË"]);
    assert_eq!(list(&["--sort", "email"]), ["ZOË", "bob", "Ada"]);
    assert_eq!(list(&["--search", "zoë"]), ["ZOË"]);
    assert_eq!(list(&["--search", "ZOE@", "--limit", "1"]), ["Ada"]);
}

#[test]
fn a_table_fits_80_columns_and_is_complete_in_a_pipe() {
    let long = "李雷".repeat(40);
    let mut place = place();
    for name in [&*long, "Zoe\u{308} combined", "⚙️ robot"] {
        make(&place, EMAIL, name, &[]);
    }
    let whole = place.run(&["token", "list"]).stdout;
    assert!(whole.contains(&long), "{whole}");
    place = place.set("COLUMNS", "80");
    let table = place.run(&["token", "list"]).stdout;
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 7, "{table}");
    assert!(lines.iter().all(|line| line.width() <= 80), "{table}");
    assert!(lines.iter().any(|line| line.ends_with('…')) && !table.contains(&long), "{table}");
    // The terminal column in which the address begins.
    let begins = |line: &&str, text: &str| line.find(text).map(|at| line[..at].width());
    let columns: Vec<_> =
        lines.iter().skip(1).map(|line| begins(line, "ada@").or(begins(line, "bob@")).unwrap()).collect();
    assert!(columns.windows(2).all(|pair| pair[0] == pair[1]), "{table}");
    let ids = place.run(&["token", "list", "--json"]).json_lines();
    assert!(ids.iter().all(|token| table.contains(token["id"].as_str().unwrap())), "the table lacks an id: {table}");

    let wide = place.run(&["token", "list", "--wide"]).stdout;
    assert!(wide.contains(&long) && wide.contains("ABILITIES") && wide.contains("HINT"), "{wide}");
    let users = place.run(&["user", "list"]).stdout;
    assert!(users.lines().all(|line| line.width() <= 80) && users.contains("STATE"), "{users}");
    assert_eq!(place.run(&["user", "list", "--wide", "--json"]).code, Some(2));
}

#[test]
fn the_memory_of_a_list_does_not_grow_with_the_tokens() {
    let place = Place::new().with_user();
    make(&place, EMAIL, "one of many", &["--ability", "calls:read"]);
    let multiply = |count: u32| {
        let database = rusqlite::Connection::open(place.path("patd.db")).unwrap();
        let copies = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
             INSERT INTO tokens (id, owner_id, hash, hint, name, abilities, created_at, family_id)
             SELECT randomblob(16), t.owner_id, randomblob(32), t.hint, t.name, t.abilities, t.created_at, randomblob(16)
             FROM n, (SELECT * FROM tokens LIMIT 1) t";
        database.execute(copies, [count]).unwrap();
    };
    // The peak memory of the server after a complete list and a sorted one.
    let peak = |expected: usize| {
        let server = place.serve();
        for arguments in [&["--json"][..], &["--json", "--sort", "name"]] {
            let list = place.run(&[&["token", "list"], arguments].concat());
            assert_eq!(list.stdout.lines().count(), expected);
        }
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.running.id())).unwrap();
        server.terminate();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<i64>().unwrap()
    };
    multiply(1_000);
    let few = peak(1_001);
    multiply(20_000);
    let many = peak(21_001);
    assert!(many - few < 8 * 1024, "{few} KiB for a thousand, {many} for twenty-one thousand");
}
