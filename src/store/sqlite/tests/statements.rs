//! Query plans, the threads of reads, and rows that must not be shown.

use super::*;

pub(super) fn plan(store: &SqliteStore, sql: &str) -> Vec<String> {
    let connection = store.pool.get().unwrap();
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let rows = statement.raw_query();
    rows.mapped(|row| row.get("detail")).map(Result::unwrap).collect()
}

#[test]
fn a_look_up_by_secret_searches_two_unique_indexes() {
    let directory = directory();
    let store = open(&directory);
    assert_eq!(
        plan(&store, tokens::BY_HASH),
        ["SEARCH t USING INDEX sqlite_autoindex_tokens_2 (hash=?)", "SEARCH u USING PRIMARY KEY (id=?)"]
    );
    assert_eq!(
        plan(&store, sessions::BY_HASH),
        ["SEARCH s USING INDEX sqlite_autoindex_sessions_2 (hash=?)", "SEARCH u USING PRIMARY KEY (id=?)"]
    );
}

/// The opcodes of a statement on a connection that may write. On a read-only connection, SQLite leaves out the opcodes of
/// CHECK constraints.
fn steps(store: &SqliteStore, sql: &'static str) -> Vec<String> {
    let explained = store.writer.submit(Vec::new(), move |connection| {
        let mut program = connection.prepare(&format!("EXPLAIN {sql}"))?;
        let steps = program.raw_query().mapped(|row| row.get("opcode"));
        Ok(steps.collect::<Result<_, _>>()?)
    });
    wait(explained).unwrap()
}

#[test]
fn recording_a_use_writes_the_table_and_the_index_of_last_uses() {
    let directory = directory();
    let store = open(&directory);
    assert_eq!(plan(&store, tokens::RECORD_USE), ["SEARCH tokens USING INTEGER PRIMARY KEY (rowid=?)"]);
    let steps = steps(&store, tokens::RECORD_USE);
    assert_eq!(steps.iter().filter(|step| *step == "OpenWrite").count(), 2, "{steps:?}");
}

#[test]
fn check_constraints_of_inserts_need_no_ephemeral_table() {
    let directory = directory();
    let store = open(&directory);
    for sql in [tokens::INSERT, audit::INSERT] {
        let steps = steps(&store, sql);
        assert!(steps.iter().any(|step| step == "PureFunc"), "nothing is checked: {steps:?}");
        assert!(!steps.iter().any(|step| step == "OpenEphemeral"), "{steps:?}");
    }
}

#[test]
fn live_tokens_are_counted_in_a_covering_index() {
    let directory = directory();
    let plan = plan(&open(&directory), tokens::COUNT_LIVE);
    let searches: Vec<&String> = plan.iter().filter(|step| step.contains(" tokens ")).collect();
    assert_eq!(
        searches,
        [
            "SEARCH tokens USING COVERING INDEX tokens_live_by_owner (owner_id=? AND expires_at=? AND revoked_at=? AND environment_id=?)",
            "SEARCH tokens USING COVERING INDEX tokens_live_by_owner (owner_id=? AND expires_at>?)"
        ]
    );
}

#[test]
fn live_tokens_of_an_environment_are_counted_in_a_covering_index() {
    let directory = directory();
    let plan = plan(&open(&directory), environment_tokens::COUNT_LIVE);
    let searches: Vec<&String> = plan.iter().filter(|step| step.contains(" tokens ")).collect();
    assert_eq!(
        searches,
        [
            "SEARCH tokens USING COVERING INDEX tokens_live_by_environment (environment_id=? AND expires_at=? AND revoked_at=?)",
            "SEARCH tokens USING COVERING INDEX tokens_live_by_environment (environment_id=? AND expires_at>?)"
        ]
    );
}

#[test]
fn another_administrator_is_found_in_the_index_of_administrators() {
    let directory = directory();
    assert_eq!(plan(&open(&directory), roles::OTHER_ADMIN), ["SCAN users USING INDEX users_admins"]);
}

#[test]
fn every_order_of_accounts_is_that_of_an_index() {
    let directory = directory();
    let store = open(&directory);
    let created = |compared| format!("SEARCH users USING PRIMARY KEY (id{compared}?)");
    let name = |compared| format!("SEARCH users USING INDEX users_by_name (<expr>{compared}?)");
    let email = |compared| format!("SEARCH users USING INDEX sqlite_autoindex_users_2 (email_canonical{compared}?)");
    for (order, reversed, expected) in [
        (UserOrder::Created, false, created('>')),
        (UserOrder::Created, true, created('<')),
        (UserOrder::Name, false, name('>')),
        (UserOrder::Name, true, name('<')),
        (UserOrder::Email, false, email('>')),
        (UserOrder::Email, true, email('<')),
    ] {
        assert_eq!(plan(&store, &accounts::list_statement(order, reversed)), [expected], "{order:?} {reversed}");
    }
}

#[test]
fn a_password_link_and_what_belongs_to_a_user_are_found_by_indexes() {
    let directory = directory();
    let store = open(&directory);
    assert_eq!(
        plan(&store, password_links::BY_HASH),
        ["SEARCH l USING INDEX sqlite_autoindex_password_links_2 (hash=?)", "SEARCH u USING PRIMARY KEY (id=?)"]
    );
    assert_eq!(plan(&store, attempts::CLEAR_SUBJECT), ["SEARCH attempts USING PRIMARY KEY (scope=? AND subject=?)"]);
    for sql in [accounts::LAST_SIGN_IN, accounts::BELONGINGS] {
        let plan = plan(&store, sql);
        let scans = plan.iter().filter(|step| step.starts_with("SCAN") && !step.contains("CONSTANT ROW"));
        let unbounded: Vec<_> = scans.filter(|step| *step != "SCAN latest").collect();
        assert!(unbounded.is_empty(), "{plan:#?}");
    }
}

#[test]
fn finding_and_leaving_an_environment_uses_indexes() {
    let directory = directory();
    let store = open(&directory);
    let seen = plan(&store, environment_access::SEEN);
    assert!(plan(&store, environment_access::SEEN_WITHOUT_ROLE).iter().all(|step| seen.contains(step)));
    assert!(seen.iter().all(|step| !step.starts_with("SCAN")), "{seen:?}");
    let leave = plan(&store, current_environments::LEAVE);
    assert_eq!(leave[0], "SEARCH users USING INDEX users_by_current_environment (current_environment_id=?)");
    assert!(leave.iter().all(|step| !step.starts_with("SCAN")), "{leave:?}");
}

/// SQLite searches for foreign keys that refer to the environment. Query plans do not show these searches.
#[test]
fn deleting_an_environment_scans_no_table() {
    let directory = directory();
    let store = open(&directory);
    let user = person("ada");
    wait(store.add_user(user.clone(), password(), by())).unwrap();
    for n in 0..300 {
        wait(store.add_user(person(&format!("user{n}")), password(), by())).unwrap();
        wait(store.add_token(new_token(user.id), 1000, by())).unwrap();
    }
    let id = EnvironmentId::new(Uuid::now_v7());
    let name = Name::parse("e").unwrap();
    let at = Timestamp::from_unix(1);
    wait(store.add_environment(Environment { id, owner: user.id, name, is_default: false, created_at: at }, by()))
        .unwrap();
    let steps = wait(store.writer.submit(Vec::new(), move |connection| {
        let mut delete = connection.prepare("DELETE FROM environments WHERE id = ?1")?;
        delete.execute([id.uuid().into_bytes()])?;
        Ok(delete.get_status(rusqlite::StatementStatus::FullscanStep))
    }))
    .unwrap();
    assert_eq!(steps, 0);
}

#[test]
fn a_list_uses_its_index_without_sorting() {
    let directory = directory();
    let store = open(&directory);
    assert_eq!(plan(&store, tokens::LIST), ["SEARCH tokens USING INDEX tokens_by_owner (owner_id=? AND number<?)"]);
    assert_eq!(
        plan(&store, tokens::LIST_OF_ENVIRONMENT),
        ["SEARCH tokens USING INDEX tokens_by_environment (environment_id=? AND number<?)"]
    );
}

#[test]
fn point_reads_run_on_the_calling_thread_and_lists_on_others() {
    let directory = directory();
    let store = open(&directory);
    let (hash, user) = (secret().0, person("ada"));
    assert!(matches!(store.token_by_hash(&hash), Reply::Ready(_)));
    assert!(matches!(store.session_by_hash(&hash), Reply::Ready(_)));
    assert!(matches!(store.user(user.id), Reply::Ready(_)));
    assert!(matches!(store.credentials(user.id), Reply::Ready(_)));
    let by_email = store.credentials_by_email(&user.email);
    assert!(matches!(by_email, Reply::Ready(_)));
    // The latest write shows whether writes work.
    wait(store.add_user(user, password(), by())).unwrap();
    assert!(matches!(store.ready(), Reply::Ready(_)));
    assert!(matches!(store.users(None, 1), Reply::Pending(_)));
}

#[test]
fn an_environment_token_is_not_a_personal_access_token() {
    let directory = directory();
    let store = open(&directory);
    let user = person("ada");
    wait(store.add_user(user.clone(), password(), by())).unwrap();
    let new = || new_token(user.id);
    let token = new();
    wait(store.add_token(token.clone(), 1, by())).unwrap();
    wait(store.writer.submit(Vec::new(), |connection| {
        let sql = "UPDATE tokens SET environment_id = (SELECT id FROM environments)";
        Ok(connection.execute(sql, [])?)
    }))
    .unwrap();
    let now = Timestamp::from_unix(1);
    let list = TokenQuery { limit: 9, ..TokenQuery::default() };
    let record = wait(store.token_by_hash(&token.hash)).unwrap().unwrap();
    assert_eq!(record.token.kind(), CredentialKind::EnvironmentToken);
    assert!(wait(store.token(token.id)).unwrap().environment.is_some());
    assert_eq!(wait(store.disable_token(user.id, token.id, by())), Err(StoreError::NotFound));
    assert!(wait(store.tokens_of(user.id, list, now)).unwrap().is_empty());
    let renamed = store.change_token(user.id, token.id, TokenChange::rename(token.name), by());
    assert_eq!(wait(renamed), Err(StoreError::NotFound));
    let revoked = store.revoke_token(user.id, token.id, RevocationReason::RevokedByOwner, by());
    assert_eq!(wait(revoked), Err(StoreError::NotFound));
    wait(store.add_token(new(), 1, by())).unwrap();
}

#[test]
fn records_share_an_owner_and_abilities_only_while_these_are_equal() {
    let directory = directory();
    let store = open(&directory);
    let user = person("ada");
    wait(store.add_user(user.clone(), password(), by())).unwrap();
    let tokens = [new_token(user.id), new_token(user.id)];
    for token in &tokens {
        wait(store.add_token(token.clone(), 9, by())).unwrap();
    }
    let owner = |token: &NewToken| {
        let record = wait(store.token_by_hash(&token.hash)).unwrap().unwrap();
        assert_eq!(record.owner.user(), Some(&wait(store.user(user.id)).unwrap()));
        Arc::clone(&record.owner)
    };
    let (id, at) = (EnvironmentId::new(Uuid::now_v7()), Timestamp::from_unix(1));
    let other = Environment { id, owner: user.id, name: user.name.clone(), is_default: false, created_at: at };
    wait(store.add_environment(other, by())).unwrap();
    let changes = [
        "name = 'Ada L'",
        "email = 'Ada@example.com'",
        "created_at = created_at + 1",
        "disabled_at = 5",
        "disabled_at = NULL",
        "current_environment_id = (SELECT id FROM environments WHERE is_default = 0)",
    ];
    for change in changes {
        let before = owner(&tokens[0]);
        assert!(Arc::ptr_eq(&before, &owner(&tokens[1])));
        let sql = format!("UPDATE users SET {change}");
        wait(store.writer.submit(Vec::new(), move |connection| Ok(connection.execute(&sql, [])?))).unwrap();
        assert_ne!(before, owner(&tokens[1]), "{change}");
    }
    let sql = "UPDATE tokens SET abilities = 'calls:read' WHERE number = 2";
    wait(store.writer.submit(Vec::new(), move |connection| Ok(connection.execute(sql, [])?))).unwrap();
    let held = tokens.map(|token| wait(store.token_by_hash(&token.hash)).unwrap().unwrap().token.abilities.to_string());
    assert_eq!(held, ["*", "calls:read"]);
}

#[test]
fn an_invalid_row_is_an_internal_error_and_its_contents_are_not_shown() {
    let directory = directory();
    let store = open(&directory);
    let user = person("ada");
    wait(store.add_user(user.clone(), password(), by())).unwrap();
    wait(
        store.writer.submit(Vec::new(), |connection| Ok(connection.execute("UPDATE users SET email = 'canary'", [])?)),
    )
    .unwrap();
    match wait(store.user(user.id)) {
        Err(StoreError::Internal(text)) => assert!(!text.contains("canary"), "{text}"),
        other => panic!("{other:?}"),
    }
}

/// Earlier releases accepted them. The tokens of a user with such a name must still work.
#[test]
fn stored_names_and_addresses_with_hidden_characters_still_work() {
    let directory = directory();
    let store = open(&directory);
    let user = person("ada");
    wait(store.add_user(user.clone(), password(), by())).unwrap();
    let (name, address) = ("A\u{200d}da", "a\u{200b}da@example.com");
    let change = "UPDATE users SET name = ?1, email = ?2, email_canonical = ?2";
    wait(store.writer.submit(Vec::new(), move |connection| Ok(connection.execute(change, [name, address])?))).unwrap();
    let read = wait(store.user(user.id)).unwrap();
    assert_eq!((read.name.as_str(), read.email.as_str()), (name, address));
    let found = wait(store.credentials_by_email(&Email::parse_stored(address).unwrap())).unwrap();
    assert_eq!(found.unwrap().user.id, user.id);
}

#[test]
fn a_family_is_found_by_its_indexes() {
    let directory = directory();
    let store = open(&directory);
    let successors = plan(&store, rotation::SUCCESSORS);
    assert_eq!(successors, ["SEARCH tokens USING INDEX tokens_by_family (family_id=? AND rotated_from=?)"]);
    let family = plan(&store, rotation::END_FAMILY);
    let searches: Vec<&String> = family.iter().filter(|step| step.contains("tokens")).collect();
    assert_eq!(searches.len(), 3, "{family:?}");
    assert!(searches.iter().all(|step| step.starts_with("SEARCH")), "{family:?}");
    assert_eq!(
        plan(&store, lineage::LIVE),
        [
            "COMPOUND QUERY",
            "LEFT-MOST SUBQUERY",
            "SEARCH tokens USING INDEX sqlite_autoindex_tokens_1 (id=?)",
            "UNION ALL",
            "SEARCH tokens USING INDEX tokens_live_successor (family_id=? AND rotated_from>?)"
        ]
    );
}

#[test]
fn the_successor_of_a_token_is_found_by_indexes() {
    let directory = directory();
    assert_eq!(
        plan(&open(&directory), lineage::SUCCESSOR),
        [
            "SEARCH t USING INDEX sqlite_autoindex_tokens_1 (id=?)",
            "SEARCH c USING INDEX tokens_by_family (family_id=? AND rotated_from=?)"
        ]
    );
}

/// Counts the steps of SQLite's virtual machine, because these do not depend on the load of the machine.
#[test]
fn the_cost_of_operations_on_a_family_does_not_grow_with_its_ended_tokens() {
    let steps = |ended: i64| {
        let directory = directory();
        let store = open(&directory);
        let ada = person("ada");
        wait(store.add_user(ada.clone(), password(), by())).unwrap();
        wait(store.writer.submit(Vec::new(), move |connection| {
            let rows = "WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < ?2)
                 INSERT INTO tokens (id, owner_id, hash, hint, name, abilities, created_at, family_id, rotated_from,
                                     revoked_at, revoked_reason)
                 SELECT unhex(printf('%032x', n)), ?1, randomblob(32), 'abcd', 'ci', '*', 1, zeroblob(16),
                        iif(n > 0, unhex(printf('%032x', n - 1)), NULL), iif(n < ?2, 1, NULL), iif(n < ?2, 'rotated', NULL)
                 FROM n";
            connection.execute(rows, (ada.id.uuid().into_bytes(), ended))?;
            let count = |sql: &str, parameters: &[(&str, &dyn rusqlite::ToSql)]| -> rusqlite::Result<i32> {
                let mut statement = connection.prepare(sql)?;
                let rows = statement.query_map(parameters, |_| Ok(()))?.count();
                assert!(rows > 0, "{sql}");
                Ok(statement.get_status(rusqlite::StatementStatus::VmStep))
            };
            let family = [0_u8; 16];
            // Before they are revoked.
            let live = count(lineage::LIVE, &[(":family_id", &family)])?;
            Ok([
                count(pruning::FIND, &[(":after", &(ended - 9)), (":ended_by", &9), (":unused_since", &9), (":stretch", &10)])?,
                count(
                    rotation::END_FAMILY,
                    &[(":at", &5), (":reason", &"leaked"), (":family_id", &family), (":owner_id", &ada.id.uuid().into_bytes())],
                )?,
                live,
            ])
        }))
        .unwrap()
    };
    assert_eq!(steps(20), steps(2000));
}

#[test]
fn counts_of_uses_are_read_by_token_and_pruned_by_day() {
    let directory = directory();
    let store = open(&directory);
    assert_eq!(
        plan(&store, token_usage::OF_TOKEN),
        ["SEARCH token_usage USING PRIMARY KEY (token_number=? AND day>?)"]
    );
    let pruned = plan(&store, token_usage::PRUNE);
    assert!(
        pruned.iter().any(|step| step == "SEARCH token_usage USING COVERING INDEX token_usage_by_day (day<?)"),
        "{pruned:?}"
    );
    assert!(pruned.iter().all(|step| !step.starts_with("SCAN")), "{pruned:?}");
    let names = plan(&store, token_usage::NAMES);
    assert!(names.iter().any(|step| step == "SEARCH token_usage USING PRIMARY KEY (token_number=?)"), "{names:?}");
    let added = plan(&store, token_usage::ADD);
    assert_eq!(added, ["SEARCH token_usage USING PRIMARY KEY (token_number=? AND day=? AND kind=? AND name=?)"]);
}

#[test]
fn the_history_of_a_token_is_found_by_its_family_and_its_owner() {
    let directory = directory();
    let store = open(&directory);
    let family = plan(&store, token_histories::FAMILY);
    assert!(family.iter().any(|step| step.contains("tokens_by_family (family_id=? AND rotated_from>?)")), "{family:?}");
    assert!(family.iter().all(|step| !step.starts_with("SCAN tokens")), "{family:?}");
    for statement in [token_histories::EVENTS, token_histories::CREATION] {
        assert_eq!(plan(&store, statement), ["SEARCH audit_events USING INDEX audit_events_by_user (user_id=?)"]);
    }
}
