//! Creations that share a transaction: what they ask, and what they send.

use super::{
    rules::{OWNER, by, token},
    *,
};
use crate::{
    domain::{
        audit::{Actor, Attribution},
        id::SessionId,
    },
    store::{
        Conflict, StoreError,
        sql::{
            connection::{Connection, NONE, named},
            headroom::Headroom,
            tokens,
        },
    },
};

const SESSION: SessionId = SessionId::new(Uuid::from_u128(3));

impl TestDatabase {
    /// With a session of the owner, and with a service account that the owner manages.
    fn with_session() -> Option<Self> {
        let database = Self::new()?;
        database.execute(
            "INSERT INTO sessions (id, user_id, hash, created_at, last_used_at, expires_at)
             VALUES ('00000000-0000-0000-0000-000000000003', '00000000-0000-0000-0000-000000000001', random_key(), 1, 1, 1000);
             INSERT INTO users (id, name, created_at, kind) VALUES ('00000000-0000-0000-0000-000000000004', 'Bot', 1, 'service_account');
             INSERT INTO service_account_managers (service_account_id, user_id, created_at)
             VALUES ('00000000-0000-0000-0000-000000000004', '00000000-0000-0000-0000-000000000001', 1)",
        );
        Some(database)
    }
}

fn by_session() -> Attribution {
    let mut by = by();
    by.origin.actor = Actor::Session { id: SESSION, user: Some(OWNER) };
    by
}

fn add(connection: &dyn Connection, headroom: &Headroom, owner: Uuid) -> Result<(i64, Uuid), StoreError> {
    let token = crate::domain::token::NewToken { owner: crate::domain::id::UserId::new(owner), ..token() };
    tokens::add(connection, &token, 1000, headroom, &by_session()).map(|token| (token.number, token.id.uuid()))
}

/// How often statements that contain `text` were executed on this connection.
fn executed(connection: &dyn Connection, text: &str) -> i64 {
    let counted = connection.one(
        "SELECT coalesce(sum(generic_plans + custom_plans), 0)::bigint FROM pg_prepared_statements
         WHERE instr(statement, :text) > 0 AND instr(statement, 'pg_prepared_statements') = 0",
        named! {":text": text},
        |row| row.get(0),
    );
    counted.expect("counted")
}

#[test]
fn creations_in_one_transaction_are_inserted_together_in_their_order_and_ask_once_who_may() {
    let Some(database) = TestDatabase::with_session() else { return };
    let connection = database.write_connection();
    let headroom = Headroom::default();
    connection.begin().expect("begun");
    connection.numbers.expect(50);
    let added: Result<Vec<_>, _> = (0..50).map(|_| add(&connection, &headroom, OWNER.uuid())).collect();
    let added = added.expect("added");
    // An answer that a statement waits for comes after all that were sent before it.
    let reader: &dyn Connection = &connection;
    assert_eq!(reader.one("SELECT count(*) FROM tokens", NONE, |row| row.get::<i64>(0)), Ok(50));
    let sent = ["INSERT INTO tokens", "INSERT INTO audit_events", "FROM sessions s LEFT JOIN users"];
    assert_eq!(sent.map(|text| executed(reader, text)), [1, 1, 1]);
    connection.commit(&[]).expect("committed");
    let stored: Vec<Uuid> = database.read("SELECT array_agg(id ORDER BY number) FROM tokens");
    assert_eq!(stored, added.iter().map(|(_, id)| *id).collect::<Vec<_>>());
    let numbers: Vec<i64> = database.read("SELECT array_agg(number ORDER BY number) FROM tokens");
    assert_eq!(numbers, added.iter().map(|(number, _)| *number).collect::<Vec<_>>());
    let events: Vec<Uuid> = database.read("SELECT array_agg(target_id ORDER BY seq) FROM audit_events");
    assert_eq!(events, stored);
}

#[test]
fn who_may_create_is_asked_again_after_a_change_in_the_same_transaction() {
    let Some(database) = TestDatabase::with_session() else { return };
    let connection = database.write_connection();
    let bot = Uuid::from_u128(4);
    let (ended, gone) = (StoreError::Conflict(Conflict::SessionEnded), StoreError::NotFound);
    for (change, owner, refusal) in [
        ("DELETE FROM sessions", OWNER.uuid(), &ended),
        ("UPDATE users SET disabled_at = 1 WHERE id = '00000000-0000-0000-0000-000000000004'", bot, &gone),
        ("DELETE FROM service_account_managers", bot, &gone),
        ("WITH ended AS (DELETE FROM sessions RETURNING id) SELECT count(*) FROM ended", OWNER.uuid(), &ended),
    ] {
        for is_later in [true, false] {
            let headroom = Headroom::default();
            connection.begin().expect("begun");
            add(&connection, &headroom, owner).expect("added");
            add(&connection, &headroom, owner).expect("added");
            if is_later {
                connection.execute_later(change, NONE).expect("to be executed");
            } else {
                connection.execute(change, NONE).expect("executed");
            }
            assert_eq!(add(&connection, &headroom, owner).as_ref().map(drop), Err(refusal), "{change}");
            connection.roll_back();
            // What was remembered ends with the transaction.
            connection.begin().expect("begun");
            add(&connection, &headroom, owner).expect("added");
            connection.roll_back();
        }
    }
    // Answers are of one session and one owner.
    connection.begin().expect("begun");
    add(&connection, &Headroom::default(), bot).expect("added");
    assert_eq!(add(&connection, &Headroom::default(), Uuid::from_u128(9)).map(drop), Err(gone));
    connection.roll_back();
}

#[test]
fn rows_that_are_inserted_together_keep_the_values_of_each_type() {
    let Some(database) = TestDatabase::new() else { return };
    database.execute("CREATE TABLE values (n bigint, s integer, f boolean, t text, b bytea, i uuid)");
    let connection = database.write_connection();
    let insert = "INSERT INTO values (n, s, f, t, b, i)\n  VALUES (:n, :s, :f, :t, :b, :i)";
    connection.begin().expect("begun");
    let id = Uuid::from_u128(7);
    for text in ["Zoë", "", "{\"\\,}", "NULL", "a\0b"] {
        let all = named! {":n": i64::MIN, ":s": 3_i64, ":f": true, ":t": text, ":b": [9_u8; 32], ":i": id};
        connection.execute_later(insert, all).expect("to be inserted");
        let nothing = named! {
            ":n": None::<i64>, ":s": None::<i64>, ":f": None::<bool>, ":t": None::<&str>, ":b": None::<[u8; 32]>,
            ":i": None::<Uuid>
        };
        connection.execute_later(insert, nothing).expect("to be inserted");
    }
    connection.commit(&[]).expect("committed");
    assert_eq!(executed(&connection, "INSERT INTO values"), 1);
    let texts: Vec<String> = database.read("SELECT array_agg(t) FROM values WHERE t IS NOT NULL");
    assert_eq!(texts, ["Zoë", "", "{\"\\,}", "NULL", "a\u{1}b"]);
    let whole = "SELECT count(*) FROM values WHERE n = -9223372036854775808 AND s = 3 AND f AND octet_length(b) = 32
                     AND i = '00000000-0000-0000-0000-000000000007'";
    assert_eq!(database.read::<i64>(whole), 5);
    let nothing = "SELECT count(*) FROM values WHERE num_nonnulls(n, s, f, t, b, i) = 0";
    assert_eq!(database.read::<i64>(nothing), 5);
}

#[test]
fn only_an_insertion_of_one_row_of_parameters_is_made_for_several() {
    let Some(database) = TestDatabase::new() else { return };
    database.execute("CREATE TABLE made (number bigint PRIMARY KEY, other bigint)");
    let connection = database.write_connection();
    for (insert, made) in [
        ("INSERT INTO made (number) VALUES (:number + 1)", 6),
        ("INSERT INTO made (number, other) VALUES (:number, 1)", 3),
        ("INSERT INTO made (number, other) VALUES (:number, :number)", 3),
        ("INSERT INTO made (number) VALUES (:number) ON CONFLICT (number) DO NOTHING", 3),
        ("INSERT INTO made (number) SELECT :number", 3),
    ] {
        connection.begin().expect("begun");
        for number in [0_i64, 1, 2] {
            connection.execute_later(insert, named! {":number": number}).expect("to be inserted");
        }
        let connection: &WriteConnection = &connection;
        let reader: &dyn Connection = connection;
        assert_eq!(
            reader.one("SELECT sum(number)::bigint FROM made", NONE, |row| row.get::<i64>(0)),
            Ok(made),
            "{insert}"
        );
        connection.roll_back();
    }
}
