//! What is ended again in a restored database, and what stays as it is.

use super::{
    copy::{end, full},
    *,
};
use crate::{
    domain::{environment::MemberRole, id::SessionId, replay::Replay},
    store::{Restored, Restoring, sql::restore::restore},
};

/// The identifiers of `copy.sql`.
fn id(kind: &str, number: u64) -> Uuid {
    Uuid::try_parse(&format!("{kind}00000000700080{number:014x}")).unwrap()
}

fn user(number: u64) -> UserId {
    UserId::new(id("0190", number))
}

fn environment(number: u64) -> EnvironmentId {
    EnvironmentId::new(id("0191", number))
}

fn token(number: u64) -> TokenId {
    TokenId::new(id("0192", number))
}

fn session(number: u64) -> SessionId {
    SessionId::new(id("0193", number))
}

const MISSING: u64 = 0xffff;
/// The service accounts.
const BUILDS: u64 = 0x1001;
const DEPLOYS: u64 = 0x1002;

fn restored(path: &Path, restoring: &Restoring) -> Restored {
    let by = Attribution { origin: RequestSource::COMMAND_LINE, at: Timestamp::from_unix(2000) };
    restore(&end(path, Access::CopySource), restoring, &by).unwrap()
}

fn changes(restored: &Restored) -> Vec<(&str, u64)> {
    restored.changes.iter().map(|(action, count)| (action.as_str(), *count)).collect()
}

/// The rows of a query, each as text.
fn rows(path: &Path, sql: &str) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection.prepare(sql).unwrap();
    let width = statement.column_count();
    let read = |row: &rusqlite::Row<'_>| {
        let values = (0..width).map(|at| {
            row.get_ref(at).map(|value| match value.data_type() {
                rusqlite::types::Type::Null => "-".to_owned(),
                rusqlite::types::Type::Integer => value.as_i64().unwrap().to_string(),
                _ => value.as_str().unwrap().to_owned(),
            })
        });
        values.collect::<Result<Vec<_>, _>>().map(|values| values.join(" "))
    };
    statement.query_map([], read).unwrap().map(Result::unwrap).collect()
}

/// The rows with one of these identifiers.
fn of(path: &Path, table: &str, columns: &str, ids: &[Uuid]) -> Vec<String> {
    let ids: Vec<String> = ids.iter().map(|id| format!("x'{}'", id.simple())).collect();
    rows(path, &format!("SELECT {columns} FROM {table} WHERE id IN ({}) ORDER BY id", ids.join(", ")))
}

#[test]
fn tokens_and_sessions_end_as_they_had_ended() {
    let directory = directory();
    let path = full(&directory);
    let at = Timestamp::from_unix;
    let ended = |reason| (at(500), reason);
    let replay = Replay {
        // The second one was revoked before, and the third one is an environment token.
        ended_tokens: [
            (1, RevocationReason::LeakReport),
            (8, RevocationReason::Rotated),
            (11, RevocationReason::Rotated),
        ]
        .map(|(number, reason)| (token(number), ended(reason)))
        .into_iter()
        .chain([(token(MISSING), ended(RevocationReason::Rotated))])
        .collect(),
        // The second one was disabled before, and the third one is revoked.
        disabled_tokens: [2, 13, 16, MISSING].map(token).into(),
        ended_sessions: [1, MISSING].map(session).into(),
        ..Replay::default()
    };
    let restoring = Restoring { replay: Some((replay, 5000)), ..Restoring::default() };
    let told = restored(&path, &restoring);
    assert_eq!(changes(&told), [("session.ended", 1), ("token.disabled", 1), ("token.revoked", 2)]);
    let tokens =
        of(&path, "tokens", "revoked_at, revoked_reason, disabled_at", &[1, 2, 8, 11, 13, 16].map(|n| id("0192", n)));
    assert_eq!(tokens, ["500 leaked -", "- - 2000", "17 leaked -", "500 rotated -", "- - 13", "25 leaked -"]);
    assert_eq!(of(&path, "sessions", "created_at", &[1, 2].map(|n| id("0193", n))), ["2"]);
    // The numbers go on behind those of the trail, and the last event says what was done.
    let events = rows(&path, "SELECT seq, action FROM audit_events WHERE seq > 1900 ORDER BY seq");
    assert_eq!(events.first().map(String::as_str), Some("5001 token.revoked"));
    assert_eq!(events.last().map(String::as_str), Some("5005 database.restored"));
}

#[test]
fn users_and_service_accounts_lose_again_what_they_had_lost() {
    let directory = directory();
    let path = full(&directory);
    // A user who is deleted must not own what another one has selected without being a member.
    let own = "UPDATE users SET current_environment_id =
                   (SELECT id FROM environments WHERE owner_id = users.id AND is_default) WHERE kind = 'user'";
    Connection::open(&path).unwrap().execute(own, []).unwrap();
    let sessions_of = |number: u64| {
        let user = id("0190", number).simple();
        rows(&path, &format!("SELECT count(*) > 0 FROM sessions WHERE user_id = x'{user}'")).remove(0)
    };
    let replay = Replay {
        // The second one has no password.
        ended_passwords: [3, 5, MISSING].map(user).into(),
        ended_password_links: [2, MISSING].map(user).into(),
        demoted_users: [50, MISSING].map(user).into(),
        // The second one was disabled before.
        disabled_users: [1, 9, MISSING].map(user).into(),
        deleted_users: [100, MISSING].map(user).into(),
        disabled_service_accounts: [DEPLOYS, MISSING].map(user).into(),
        deleted_service_accounts: [BUILDS, MISSING].map(user).into(),
        removed_managers: [(user(DEPLOYS), user(1)), (user(MISSING), user(1)), (user(DEPLOYS), user(2))].into(),
        ..Replay::default()
    };
    let told = restored(&path, &Restoring { replay: Some((replay, 5000)), ..Restoring::default() });
    let users = [1, 2, 3, 5, 9, 50, 100].map(|n| id("0190", n));
    let users = of(&path, "users", "created_at, password_hash IS NOT NULL, role, disabled_at", &users);
    assert_eq!(
        users,
        ["1 1 member 2000", "2 1 member -", "3 0 member -", "5 0 member -", "9 1 member 9", "50 0 member -"]
    );
    assert_eq!([3, 5].map(sessions_of), ["0", "1"], "those of a password that ended");
    assert_eq!(rows(&path, "SELECT count(*) FROM password_links"), ["0"]);
    let accounts = rows(&path, "SELECT name, disabled_at FROM users WHERE kind = 'service_account'");
    assert_eq!(accounts, ["deploys 2000"]);
    assert_eq!(rows(&path, "SELECT count(*) FROM service_account_managers"), ["0"]);
    for (action, count) in [
        ("service_account.deleted", 1),
        ("service_account.disabled", 1),
        ("user.deleted", 1),
        ("user.password_changed", 1),
    ] {
        assert_eq!(told.changes.get(action), Some(&count), "{action}: {told:?}");
    }
}

#[test]
fn environments_and_roles_end_and_no_role_becomes_wider() {
    let directory = directory();
    let path = full(&directory);
    let (first, second) = (environment(1), environment(2));
    let replay = Replay {
        // A default environment ends only with its owner.
        deleted_environments: [environment(BUILDS), first, environment(MISSING)].into(),
        members: [
            ((first, user(6)), Some(MemberRole::Viewer)),
            ((first, user(9)), Some(MemberRole::Admin)),
            ((first, user(12)), None),
            ((first, user(15)), Some(MemberRole::Viewer)),
            ((first, user(MISSING)), None),
            // It is the environment that this one has selected.
            ((second, user(193)), None),
        ]
        .into(),
        ..Replay::default()
    };
    let roles = "SELECT u.created_at, m.role FROM environment_members m JOIN users u ON u.id = m.user_id
                 WHERE u.created_at IN (6, 9, 12, 15, 193) ORDER BY u.created_at";
    assert_eq!(rows(&path, roles), ["6 admin", "9 viewer", "12 admin", "15 viewer", "193 viewer"]);
    let told = restored(&path, &Restoring { replay: Some((replay, 5000)), ..Restoring::default() });
    assert_eq!(rows(&path, roles), ["6 viewer", "9 viewer", "15 viewer"]);
    let selected = "SELECT e.created_at FROM users u JOIN environments e ON e.id = u.current_environment_id
                    WHERE u.created_at = 193";
    assert_eq!(rows(&path, selected), ["193"], "the default environment");
    assert_eq!(rows(&path, "SELECT count(*) FROM environments WHERE created_at = 1"), ["1"]);
    assert_eq!(rows(&path, "SELECT count(*) FROM environments WHERE NOT is_default"), ["0"]);
    // One in the trail of the owner, and one in that of the member.
    let counts =
        ["environment.deleted", "environment.shared", "environment.unshared"].map(|action| told.changes[action]);
    assert_eq!(counts, [1, 2, 4], "{told:?}");
}

#[test]
fn all_sessions_and_valid_tokens_get_an_end_and_none_a_later_one() {
    let directory = directory();
    let path = full(&directory);
    let valid = "SELECT count(*) FROM tokens WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > 1000100)";
    let expiring: u64 = rows(&path, valid)[0].parse().unwrap();
    let restoring =
        Restoring { replay: None, end_sessions: true, tokens_end_at: Some(Timestamp::from_unix(1_000_100)) };
    let told = restored(&path, &restoring);
    assert!(expiring > 0);
    assert_eq!(told.expiring, expiring);
    assert_eq!(told.changes.get("session.ended"), Some(&310), "{told:?}");
    assert_eq!(rows(&path, valid), ["0"]);
    // Those that end before, that have no end, that end later, and that are revoked.
    let tokens = of(&path, "tokens", "expires_at", &[50, 51, 202, 248].map(|n| id("0192", n)));
    assert_eq!(tokens, ["1000050", "1000100", "1000100", "1000248"]);
    assert_eq!(rows(&path, "SELECT count(*) FROM sessions"), ["0"]);
}
