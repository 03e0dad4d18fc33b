//! What errors of the server mean.

use super::{
    super::error::{Stage, store_error},
    TestDatabase,
};
use crate::store::{Conflict, StoreError};

#[test]
fn an_error_before_the_commit_changes_nothing_and_one_after_it_leaves_that_unknown() {
    let Some(database) = TestDatabase::new() else { return };
    let error = |sql: &str| database.try_execute(sql).expect_err(sql);
    let raise = |code: &str| error(&format!("DO $$ BEGIN RAISE EXCEPTION SQLSTATE '{code}'; END $$"));
    let outages = [
        "08006", "25006", "25P02", "40001", "40P01", "53100", "53300", "55P03", "57014", "57P01", "57P03", "58030",
        "XX001",
    ];
    for code in outages {
        assert!(matches!(store_error(&raise(code), Stage::Work), StoreError::NotMade(_)), "{code}");
        assert!(matches!(store_error(&raise(code), Stage::Commit), StoreError::Unavailable(_)), "{code}");
    }
    let closed = error("SELECT pg_terminate_backend(pg_backend_pid())");
    assert!(matches!(store_error(&closed, Stage::Work), StoreError::NotMade(_)));
    assert!(matches!(store_error(&closed, Stage::Commit), StoreError::Unavailable(_)));
    for sql in ["SELECT nothing", "INSERT INTO clock VALUES (2, 1, 1)"] {
        assert!(matches!(store_error(&error(sql), Stage::Work), StoreError::Internal(_)), "{sql}");
    }
}

#[test]
fn an_address_that_is_taken_is_a_conflict() {
    let Some(database) = TestDatabase::new() else { return };
    let sql = "INSERT INTO users (id, name, email, email_canonical, created_at, current_environment_id)
         VALUES (gen_random_uuid(), 'B', 'A@example.com', 'a@example.com', 1, '00000000-0000-0000-0000-000000000002')";
    let error = database.try_execute(sql).expect_err("taken");
    assert_eq!(store_error(&error, Stage::Work), StoreError::Conflict(Conflict::EmailTaken));
}

#[test]
fn a_message_holds_no_values_of_rows() {
    let Some(database) = TestDatabase::new() else { return };
    let error = database.try_execute("INSERT INTO attempts_key VALUES (1, 'a secret key')").expect_err("taken");
    assert!(error.as_db_error().is_some_and(|error| error.detail().is_some()));
    let StoreError::Internal(message) = store_error(&error, Stage::Work) else { panic!("{error:?}") };
    assert!(message.contains("23") && !message.contains("secret"), "{message}");
}
