//! What deleted users leave in the bytes of the file and its log: nothing.

use std::{collections::BTreeSet, fs, net::IpAddr};

use futures_util::future::join_all;

use super::{super::scrub::owed, *};
use crate::{
    domain::{
        annotations::{Description, Metadata},
        audit::{Action, Actor, Entry},
        deletion::EndsWithUser,
        id::SessionId,
        session::{NewSession, Session},
        use_location::{UseLocation, UserAgent},
    },
    store::{Erasure, LastAdmin, SessionQuery, SignIn, TokenChange, UserDeletion},
};

const USERS: u32 = 2000;
const AT_ONCE: usize = 250;

/// A word that occurs nowhere but in the data of this user.
fn word(user: u32) -> String {
    format!("zq{user:05}")
}

fn address(user: u32) -> IpAddr {
    format!("2001:db8:{user:x}::cafe").parse().unwrap()
}

/// The users whose data is in these bytes. The words can have any letter case.
fn found(bytes: &[u8]) -> BTreeSet<u32> {
    let digits = |at: usize, radix: u32, length: usize| {
        let text = std::str::from_utf8(bytes.get(at..at + length)?).ok()?;
        u32::from_str_radix(text.split(':').next()?, radix).ok()
    };
    let mut users = BTreeSet::new();
    for at in 0..bytes.len() {
        if bytes[at..].len() > 2 && bytes[at..at + 2].eq_ignore_ascii_case(b"zq") {
            users.extend(digits(at + 2, 10, 5));
        } else if bytes[at..].starts_with(b"2001:db8:") {
            users.extend(digits(at + 9, 16, 4));
        }
    }
    users
}

fn in_files(directory: &TempDir) -> BTreeSet<u32> {
    let path = database(directory);
    let mut users = found(&fs::read(&path).unwrap());
    for suffix in ["-wal", "-shm", "-watermark", "-journal"] {
        users.extend(found(&fs::read(identity::beside(&path, suffix)).unwrap_or_default()));
    }
    users
}

fn scrub(store: &SqliteStore) {
    while !wait(store.scrub()).unwrap() {}
}

fn delete(store: &SqliteStore, user: UserId) -> EndsWithUser {
    let how = UserDeletion { verified: None, transfer: None, last: LastAdmin::Stays };
    wait(store.delete_user(user, how, by())).unwrap()
}

fn expect_sound(directory: &TempDir) {
    let connection = Connection::open(database(directory)).unwrap();
    let outcome: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(outcome, "ok");
}

fn from(user: u32) -> Attribution {
    let origin = RequestSource { actor: Actor::Anonymous, address: Some(address(user)), request_id: None, keyed: None };
    Attribution { origin, at: Timestamp::from_unix(2) }
}

/// Ids in an order that splits pages everywhere.
fn scattered(number: u32) -> UserId {
    let hash = blake3::hash(&number.to_be_bytes());
    UserId::new(Uuid::from_slice(&hash.as_bytes()[..16]).unwrap())
}

fn user(number: u32) -> User {
    let word = word(number);
    User {
        id: scattered(number),
        name: Name::parse(&format!("First {word} {}", "n".repeat(number as usize % 90))).unwrap(),
        email: Email::parse(&format!("Old.{word}@Example.com")).unwrap(),
        ..person("somebody")
    }
}

fn second_email(number: u32) -> Email {
    Email::parse(&format!("New.{}@{}.example", word(number), "d".repeat(1 + number as usize % 40))).unwrap()
}

fn annotations(user: u32, round: u32) -> TokenChange {
    let word = word(user);
    let mut metadata = Metadata::default();
    for key in 0..(user % 5) * 3 * round {
        metadata.insert(&format!("key {key}"), &format!("{word} {}", "v".repeat(400))).unwrap();
    }
    TokenChange {
        name: Some(Name::parse(&format!("renamed {word} {}", "t".repeat(user as usize % 60))).unwrap()),
        description: Some(Some(Description::parse(&format!("For {word}, round {round}")).unwrap())),
        metadata: Some(metadata),
    }
}

fn all<'a, T: Unpin + Send>(replies: impl Iterator<Item = Reply<'a, T>>) -> Vec<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let replies: Vec<_> = replies.collect();
    runtime.block_on(join_all(replies)).into_iter().map(Result::unwrap).collect()
}

/// A life of each of these users: created, signed in, renamed, moved to another address, with tokens and their locations.
fn lives(store: &SqliteStore, users: &[u32]) {
    for some in users.chunks(AT_ONCE) {
        let hash = |number| PasswordHash::new(format!("$argon2id${}", word(number)));
        all(some.iter().map(|number| store.add_user(user(*number), hash(*number), from(*number))));
        let mut sessions = Vec::new();
        let mut tokens = Vec::new();
        for number in some {
            let (owner, (hash, _)) = (scattered(*number), secret());
            let session = Session {
                id: SessionId::new(Uuid::now_v7()),
                user: owner,
                device_name: Some(Name::parse(&format!("device {}", word(*number))).unwrap()),
                created_at: Timestamp::from_unix(2),
                last_used_at: Timestamp::from_unix(2),
                expires_at: Timestamp::from_unix(9),
            };
            sessions.push((*number, NewSession { session, hash }));
            let name = Name::parse(&format!("token {}", word(*number))).unwrap();
            tokens.push((*number, NewToken { name, ..new_token(owner) }));
        }
        all(sessions.iter().map(|(number, session)| {
            let sign_in = SignIn { session: session.clone(), verified: hash(*number), rehashed: None };
            store.sign_in(sign_in, from(*number))
        }));
        all(tokens.iter().map(|(number, token)| store.add_token(token.clone(), 10, from(*number))));
        let locations = tokens.iter().map(|(number, token)| {
            let agent = UserAgent::clean(&format!("agent {}", word(*number)));
            (
                token.id,
                UseLocation { address: address(*number), user_agent: agent, last_used_at: Timestamp::from_unix(3) },
            )
        });
        wait(store.record_locations(locations.collect())).unwrap();
        // Half of the sessions end, and every profile changes to something longer or shorter.
        all(sessions
            .iter()
            .filter(|(number, _)| number % 2 == 0)
            .map(|(number, new)| store.end_session(new.session.user, new.session.id, from(*number))));
        all(some.iter().map(|number| {
            let word = word(*number);
            let name = Name::parse(&format!("Second {word} {}", "m".repeat((7 * number) as usize % 120))).unwrap();
            let change = ProfileChange { verified: None, name: Some(name), email: Some(second_email(*number)) };
            store.change_profile(scattered(*number), change, from(*number))
        }));
        // Twice, so that the annotations of some fill pages of their own (overflow pages) and then shrink.
        for round in [3, 1] {
            all(tokens.iter().map(|(number, token)| {
                store.change_token(token.owner, token.id, annotations(*number, round), from(*number))
            }));
        }
    }
}

#[test]
fn nothing_of_deleted_users_is_left_in_the_bytes_of_the_file_or_its_log() {
    let directory = directory();
    let store = open(&directory);
    let mut users: Vec<u32> = (0..USERS).collect();
    users.sort_by_key(|number| scattered(*number).uuid());
    users.reverse();
    lives(&store, &users);
    let deleted: BTreeSet<u32> = (0..USERS).filter(|number| number % 40 == 7).collect();
    assert!(in_files(&directory).is_superset(&deleted), "the search finds what is there");

    for number in &deleted {
        let ended = delete(&store, scattered(*number));
        let sessions = u64::from(number % 2 != 0);
        assert_eq!(
            ended,
            EndsWithUser { sessions, tokens: 1, environments: 1, environment_tokens: 0, handed_over: None }
        );
    }
    // Others go on meanwhile.
    let mut late = USERS;
    while !wait(store.scrub()).unwrap() {
        lives(&store, &[late]);
        late += 1;
    }
    let left: BTreeSet<u32> = in_files(&directory).intersection(&deleted).copied().collect();
    assert!(left.is_empty(), "while the store is open: {left:?}");
    for number in &deleted {
        let id = scattered(*number);
        assert_eq!(wait(store.user(id)), Err(StoreError::NotFound));
        let sessions = wait(store.sessions_of(id, SessionQuery { before: None, limit: 9 }, Timestamp::from_unix(0)));
        assert_eq!(sessions.unwrap(), []);
        let events = wait(store.events_of(id, None, 20)).unwrap();
        assert_eq!(events[0].entry.action, Action::UserDeleted);
        assert_eq!(events.last().unwrap().entry.action, Action::UserCreated, "what happened stays");
    }
    // Somebody else can take the address.
    let heir = User { id: UserId::new(Uuid::now_v7()), email: second_email(7), ..user(7) };
    wait(store.add_user(heir, password(), by())).unwrap();
    drop(store);
    settle(&database(&directory));
    expect_sound(&directory);
    let mut left: BTreeSet<u32> = in_files(&directory).intersection(&deleted).copied().collect();
    left.remove(&7);
    assert!(left.is_empty(), "after the end: {left:?}");
}

/// Rows that a release without `secure_delete` deleted: in free blocks, in gaps, and in free pages.
#[test]
fn what_earlier_releases_left_is_overwritten_too() {
    let directory = directory();
    let path = made(&directory);
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "PRAGMA secure_delete = OFF;
             INSERT INTO audit_pruning VALUES (1, 1000);
             WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 4999)
             INSERT INTO audit_events (at, actor_kind, action, target_kind, outcome, detail)
             SELECT 1, 'system', 'user.updated', 'user', 'success', printf('zq%05d %s', i, hex(randomblob(i % 240))) FROM n;
             DELETE FROM audit_events WHERE seq % 10 <> 0;
             DELETE FROM audit_events WHERE seq BETWEEN 1000 AND 4000;
             UPDATE audit_erasure SET user_id = user_id;
             DELETE FROM audit_pruning;",
        )
        .unwrap();
    let free: i64 = connection.query_row("PRAGMA freelist_count", [], |row| row.get(0)).unwrap();
    let live: BTreeSet<u32> = connection
        .prepare("SELECT substr(detail, 3, 5) FROM audit_events WHERE detail IS NOT NULL")
        .unwrap()
        .query_map([], |row| row.get::<_, String>(0))
        .unwrap()
        .map(|number| number.unwrap().parse().unwrap())
        .collect();
    drop(connection);
    settle(&path);
    assert!(free > 20, "{free}");
    assert!(in_files(&directory).len() > 2000);

    let store = open(&directory);
    let ada = wait(store.users(None, 1)).unwrap().remove(0);
    delete(&store, ada.id);
    scrub(&store);
    assert_eq!(in_files(&directory), live);
    drop(store);
    expect_sound(&directory);
}

#[test]
fn a_deleted_row_is_overwritten_where_it_was_without_a_scrub() {
    let directory = directory();
    let store = open(&directory);
    let write =
        |sql: &'static str| wait(store.writer.submit(Vec::new(), move |connection| Ok(connection.execute_batch(sql)?)));
    write("INSERT INTO attempts (scope, subject, origin, rests_at_micros) VALUES ('zq00077', zeroblob(16), zeroblob(16), 9)")
        .unwrap();
    assert!(in_files(&directory).contains(&77), "the search finds what is there");
    write("DELETE FROM attempts").unwrap();
    drop(store);
    assert!(!in_files(&directory).contains(&77));
}

#[test]
fn a_deletion_owes_two_reads_of_every_page() {
    let directory = directory();
    let store = open(&directory);
    lives(&store, &[1]);
    delete(&store, scattered(1));
    let owed = "SELECT pages_left = 2 * (SELECT page_count FROM pragma_page_count()) FROM owed_scrub";
    assert_eq!(
        wait(store.read_point(move |connection| Ok(connection.query_row(owed, [], |row| row.get(0))?))),
        Ok(true)
    );
}

#[test]
fn a_scrub_goes_on_after_a_restart_until_it_is_done() {
    let directory = directory();
    let store = open(&directory);
    let users: Vec<u32> = (0..300).collect();
    lives(&store, &users);
    delete(&store, scattered(8));
    drop(store);
    let is_owed = || owed(&Connection::open(database(&directory)).unwrap()).unwrap().is_some();
    assert!(is_owed());
    let store = open(&directory);
    scrub(&store);
    assert!(!is_owed());
    assert!(!in_files(&directory).contains(&8));
    assert!(in_files(&directory).contains(&9));
}

#[test]
fn a_scrub_waits_for_a_reader_of_the_log() {
    let directory = directory();
    let store = open(&directory);
    lives(&store, &[1, 2]);
    let reader = Connection::open(database(&directory)).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM users;").unwrap();
    delete(&store, scattered(1));
    scrub(&store);
    assert!(in_files(&directory).contains(&1), "the log still holds it");
    drop(reader);
    scrub(&store);
    assert!(!in_files(&directory).contains(&1));
}

#[test]
fn an_event_about_a_user_who_was_deleted_meanwhile_has_no_address() {
    let directory = directory();
    let store = open(&directory);
    lives(&store, &[3]);
    delete(&store, scattered(3));
    // A detail can be a user agent.
    let refused = Entry::refused(Some(scattered(3)), Action::TokenCanaryUsed, "");
    let refused = Entry { detail: Some(word(3).into()), ..refused };
    wait(store.record_refusal(refused, from(3))).unwrap();
    scrub(&store);
    assert!(!in_files(&directory).contains(&3));
    assert_eq!(wait(store.events_of(scattered(3), None, 1)).unwrap()[0].by.origin.address, None);
}
