//! The columns of a token's life and of environments: how they are read, and what the schema refuses.

use super::*;
use crate::domain::token::{Grace, Revocation};

fn execute(store: &SqliteStore, sql: &'static str) -> Result<usize, StoreError> {
    wait(store.writer.submit(Vec::new(), move |connection| Ok(connection.execute(sql, [])?)))
}

fn only(store: &SqliteStore, owner: UserId) -> Token {
    let list = TokenQuery { state: Some(TokenState::Revoked), limit: 9, ..TokenQuery::default() };
    let revoked = wait(store.tokens_of(owner, list, Timestamp::from_unix(1))).unwrap();
    let live = wait(store.tokens_of(owner, TokenQuery { limit: 9, ..TokenQuery::default() }, Timestamp::from_unix(1)));
    revoked.into_iter().chain(live.unwrap()).next().unwrap()
}

#[test]
fn each_column_is_read_correctly() {
    let directory = directory();
    let store = open(&directory);
    let ada = person("ada");
    wait(store.add_user(ada.clone(), password(), by())).unwrap();
    let mut new = new_token(ada.id);
    (new.family, new.rotated_from) = (TokenId::new(Uuid::now_v7()), Some(TokenId::new(Uuid::now_v7())));
    let mut expected = wait(store.add_token(new.clone(), 9, by())).unwrap();
    assert_eq!((expected.family, expected.rotated_from), (new.family, new.rotated_from));
    assert_eq!(only(&store, ada.id), expected);

    execute(&store, "UPDATE tokens SET grace_ends_at = 7").unwrap();
    expected.grace = Some(Grace { ends_at: Timestamp::from_unix(7), on_first_use: false });
    assert_eq!(only(&store, ada.id), expected);
    execute(&store, "UPDATE tokens SET ends_on_first_use = 1, disabled_at = 8").unwrap();
    expected.grace = Some(Grace { ends_at: Timestamp::from_unix(7), on_first_use: true });
    expected.disabled_at = Some(Timestamp::from_unix(8));
    assert_eq!(only(&store, ada.id), expected);
    assert_eq!(wait(store.token_by_hash(&new.hash)).unwrap().unwrap().token, expected);
    for reason in RevocationReason::ALL {
        execute(&store, "UPDATE tokens SET revoked_at = NULL, revoked_reason = NULL").unwrap();
        wait(store.revoke_token(ada.id, new.id, reason, by())).unwrap();
        expected.revoked = Some(Revocation { at: by().at, reason });
        assert_eq!(only(&store, ada.id), expected);
    }
}

#[test]
fn the_schema_refuses_invalid_tokens() {
    let directory = directory();
    let store = open(&directory);
    let ada = person("ada");
    wait(store.add_user(ada.clone(), password(), by())).unwrap();
    wait(store.add_token(new_token(ada.id), 9, by())).unwrap();
    for refused in [
        "UPDATE tokens SET revoked_at = 1",
        "UPDATE tokens SET revoked_reason = 'rotated'",
        "UPDATE tokens SET revoked_at = 1, revoked_reason = 'whim'",
        "UPDATE tokens SET ends_on_first_use = 1",
        "UPDATE tokens SET environment_id = zeroblob(16)",
        "UPDATE tokens SET family_id = NULL",
        "UPDATE tokens SET quota_used = -1",
        "UPDATE tokens SET requests_per_minute = 0",
        "UPDATE tokens SET ip_allowlist = ''",
        "UPDATE tokens SET description = ''",
        "UPDATE tokens SET metadata = ''",
        "UPDATE tokens SET canary = 2",
    ] {
        assert!(matches!(execute(&store, refused), Err(StoreError::Internal(_))), "{refused}");
    }
}

#[test]
fn a_token_has_one_live_successor_at_a_time() {
    let directory = directory();
    let store = open(&directory);
    let ada = person("ada");
    wait(store.add_user(ada.clone(), password(), by())).unwrap();
    let first = new_token(ada.id);
    wait(store.add_token(first.clone(), 9, by())).unwrap();
    let successor = || NewToken { family: first.id, rotated_from: Some(first.id), ..new_token(ada.id) };
    let second = wait(store.add_token(successor(), 9, by())).unwrap();
    let too_many = wait(store.add_token(successor(), 9, by()));
    assert!(matches!(too_many, Err(StoreError::Internal(_))), "{too_many:?}");
    wait(store.revoke_token(ada.id, second.id, RevocationReason::LeakReport, by())).unwrap();
    wait(store.add_token(successor(), 9, by())).unwrap();
}

#[test]
fn a_user_has_one_default_environment_and_deleting_it_deletes_its_tokens() {
    let directory = directory();
    let store = open(&directory);
    let ada = person("ada");
    wait(store.add_user(ada.clone(), password(), by())).unwrap();
    let second = "INSERT INTO environments SELECT randomblob(16), owner_id, name, 1, created_at FROM environments";
    assert!(matches!(execute(&store, second), Err(StoreError::Internal(_))));
    let other = "INSERT INTO environments SELECT randomblob(16), owner_id, 'Staging', 0, created_at FROM environments";
    execute(&store, other).unwrap();
    let token = NewToken { environment: Some(ada.current_environment), ..new_token(ada.id) };
    let personal = store.add_token(token.clone(), 9, by());
    assert!(matches!(wait(personal), Err(StoreError::Internal(_))));
    let token = wait(store.add_environment_token(ada.id, token, 1, by())).unwrap();
    assert_eq!(token.environment, Some(ada.current_environment));
    let events = wait(store.events_of(ada.id, None, 1)).unwrap();
    assert_eq!(events[0].entry.target.kind(), "environment_token");

    let left = |sql: &'static str| -> i64 {
        wait(store.read_point(move |connection| Ok(connection.query_row(sql, [], |row| row.get(0))?))).unwrap()
    };
    wait(store.writer.submit(Vec::new(), |connection| {
        // The user needs another first, at the latest by the end of the transaction.
        connection.execute("DELETE FROM environments WHERE is_default = 1", [])?;
        Ok(connection.execute("UPDATE users SET current_environment_id = (SELECT id FROM environments)", [])?)
    }))
    .unwrap();
    assert_eq!(left("SELECT count(*) FROM tokens"), 0);
    assert_eq!(left("SELECT count(*) FROM environments"), 1);
}
