//! What every store must do, whatever stands behind it: one list of cases, run against each backend.
//!
//! A case sees a fresh store and nothing but the trait. What only SQLite can do wrong is tested beside it.

#![expect(clippy::unwrap_used, reason = "a failed case is told by its panic")]

#[path = "store_contract/attempts.rs"]
mod attempts;
#[path = "store_contract/audit.rs"]
mod audit;
#[path = "store_contract/environments.rs"]
mod environments;
#[path = "store_contract/limits.rs"]
mod limits;
#[path = "store_contract/lineage.rs"]
mod lineage;
#[path = "store_contract/pruning.rs"]
mod pruning;
#[path = "store_contract/rotation.rs"]
mod rotation;

use std::{collections::HashSet, ops::Deref, sync::Arc, time::Duration};

use futures_util::future::{BoxFuture, join_all};
use patd::{
    domain::{
        ability::{Abilities, Ability},
        account::{Email, PasswordHash, User},
        audit::{Action, Actor, Attribution, Entry, Event, Outcome, RequestSource, Target},
        environment::{Environment, EnvironmentAccess, MemberRole, Role, Successor},
        id::{EnvironmentId, SessionId, TokenId, UserId},
        secret::{CredentialKind, Hint, Plaintext, Prefixes, TokenHash},
        session::{NewSession, Session, SessionRecord},
        text::Name,
        time::Timestamp,
        token::{NewToken, Revocation, RevocationReason, Token, TokenRecord, TokenState},
        usage_limits::{Allowlist, UsageLimits},
    },
    store::{
        Backend, Conflict, EnvironmentQuery, PasswordChange, ProfileChange, Reply, SessionQuery, SignIn, Store,
        StoreError, TokenQuery, Uses,
        cache::Capacity,
        sqlite::{Access, SqliteSettings, SqliteStore},
    },
};
use uuid::Uuid;

use attempts::{
    an_address_changes_only_while_the_checked_password_is_the_stored_one, counters_are_remembered_until_they_rest,
    each_file_has_a_key_of_its_own, the_latest_time_is_what_was_recorded_or_that_of_a_later_event,
    the_longest_addresses_fit_into_the_trail, the_parameters_of_hashes_are_counted_in_a_sample,
};
use audit::{
    a_session_that_has_ended_changes_nothing_more, events_are_paged_newest_first, every_change_leaves_its_event,
    what_changes_nothing_leaves_no_event, what_is_refused_is_noted_in_its_trail_or_in_nobodys,
};
use limits::{
    a_token_is_disabled_and_enabled_by_its_owner_alone, many_tokens_end_in_one_moment,
    the_latest_five_addresses_of_a_token_are_kept, uses_of_a_quota_are_taken_until_none_is_left,
    uses_taken_at_once_are_never_more_than_the_quota, what_leaked_ends_and_its_owners_are_told,
};

use lineage::{
    a_successor_of_the_owner_is_named_and_left_alone, a_token_ends_or_stops_with_what_it_made_of_itself,
    a_token_that_ends_first_makes_nothing_of_itself, of_an_environments_token_its_successor_is_named,
    the_latest_successors_are_found_at_once, what_came_before_a_token_or_beside_it_goes_on,
};

use environments::{
    a_deleted_environment_takes_its_tokens_along, a_successor_takes_the_place_of_its_token,
    a_token_of_an_environment_is_apart_from_personal_ones, an_ended_session_changes_no_environment,
    an_environment_is_renamed_shared_and_deleted_by_role, an_environment_is_seen_by_its_owner_and_its_members,
    an_environments_limit_is_its_own, what_changes_no_environment_leaves_no_event,
    whoever_loses_an_environment_is_back_in_their_default_one,
};
use pruning::{
    a_successor_stays_while_what_it_replaces_is_good, events_are_pruned_from_the_oldest_on_and_no_younger_ones,
    tokens_are_pruned_after_their_end_and_the_first_of_a_family_last,
    tokens_of_environments_are_pruned_like_personal_ones,
    unused_tokens_are_pruned_but_not_one_that_was_used_or_replaced_meanwhile,
};
use rotation::{
    a_family_ends_together_and_no_other_with_it, a_grace_ends_no_later_than_the_token,
    a_list_counts_the_idle_as_expired, a_successor_is_like_what_it_replaces_and_lasts_no_longer,
    an_unused_successor_gives_way_to_one_that_lasts_no_longer, only_a_good_token_of_the_owner_is_rotated_and_once,
    the_first_use_of_a_successor_ends_what_it_replaces,
};

type Case = for<'s> fn(&'s TestStore) -> BoxFuture<'s, ()>;

/// What a case sees: the store, and the look-ups of credentials over it.
struct TestStore(Backend);

impl TestStore {
    fn token_by_hash(&self, hash: &TokenHash) -> Reply<'_, Option<Arc<TokenRecord>>> {
        self.0.credentials.token_by_hash(hash)
    }

    fn session_by_hash(&self, hash: &TokenHash) -> Reply<'_, Option<Arc<SessionRecord>>> {
        self.0.credentials.session_by_hash(hash)
    }
}

impl Deref for TestStore {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        &*self.0.store
    }
}

macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        const CASES: &[(&str, Case)] = &[$((stringify!($name), |store| Box::pin($name(store)))),*];

        mod on_sqlite {
            $(#[test] fn $name() { super::run(stringify!($name), super::Backend::new); })*
        }

        mod on_sqlite_with_a_cache {
            $(#[test] fn $name() { super::run(stringify!($name), super::with_cache); })*
        }

        mod on_sqlite_with_a_cache_for_one {
            $(#[test] fn $name() { super::run(stringify!($name), super::with_cache_for_one); })*
        }
    };
}

cases! {
    is_ready,
    a_user_is_found_as_added,
    an_unknown_user_is_not_found,
    an_address_is_taken_in_every_spelling,
    a_profile_changes_in_the_named_parts_alone,
    users_are_paged_in_the_order_of_their_ids,
    a_password_change_keeps_one_session_and_ends_the_others,
    a_password_change_on_a_stale_hash_conflicts,
    an_administrator_changes_a_password_without_the_old_one,
    disabling_ends_the_sessions_and_says_since_when,
    a_sign_in_stores_a_session_and_may_renew_the_hash,
    a_sign_in_on_a_stale_hash_or_a_disabled_account_conflicts,
    sessions_are_listed_newest_first_without_the_ended,
    a_session_is_ended_by_its_user_alone,
    the_other_sessions_end_and_are_counted,
    pruning_takes_what_has_ended_and_nothing_else,
    a_token_is_found_as_added,
    a_token_needs_an_enabled_owner,
    the_limit_counts_live_tokens_alone,
    a_hundred_creations_at_once_stop_at_the_limit,
    numbers_are_never_given_twice,
    a_revoked_token_stays_revoked,
    a_token_is_changed_by_its_owner_alone,
    a_state_narrows_the_list,
    the_list_is_paged_newest_first,
    a_search_takes_every_character_literally,
    uses_never_move_back,
    look_ups_by_secret_follow_every_change,
    a_refused_change_changes_nothing,
    every_change_leaves_its_event,
    what_changes_nothing_leaves_no_event,
    what_is_refused_is_noted_in_its_trail_or_in_nobodys,
    a_session_that_has_ended_changes_nothing_more,
    events_are_paged_newest_first,
    an_environment_is_seen_by_its_owner_and_its_members,
    an_environment_is_renamed_shared_and_deleted_by_role,
    whoever_loses_an_environment_is_back_in_their_default_one,
    a_deleted_environment_takes_its_tokens_along,
    a_token_of_an_environment_is_apart_from_personal_ones,
    an_environments_limit_is_its_own,
    a_successor_takes_the_place_of_its_token,
    an_ended_session_changes_no_environment,
    what_changes_no_environment_leaves_no_event,
    a_successor_is_like_what_it_replaces_and_lasts_no_longer,
    a_grace_ends_no_later_than_the_token,
    only_a_good_token_of_the_owner_is_rotated_and_once,
    the_first_use_of_a_successor_ends_what_it_replaces,
    a_token_ends_or_stops_with_what_it_made_of_itself,
    a_token_that_ends_first_makes_nothing_of_itself,
    a_successor_of_the_owner_is_named_and_left_alone,
    what_came_before_a_token_or_beside_it_goes_on,
    of_an_environments_token_its_successor_is_named,
    the_latest_successors_are_found_at_once,
    an_unused_successor_gives_way_to_one_that_lasts_no_longer,
    a_family_ends_together_and_no_other_with_it,
    tokens_are_pruned_after_their_end_and_the_first_of_a_family_last,
    a_successor_stays_while_what_it_replaces_is_good,
    tokens_of_environments_are_pruned_like_personal_ones,
    unused_tokens_are_pruned_but_not_one_that_was_used_or_replaced_meanwhile,
    events_are_pruned_from_the_oldest_on_and_no_younger_ones,
    a_list_counts_the_idle_as_expired,
    uses_of_a_quota_are_taken_until_none_is_left,
    uses_taken_at_once_are_never_more_than_the_quota,
    a_token_is_disabled_and_enabled_by_its_owner_alone,
    many_tokens_end_in_one_moment,
    what_leaked_ends_and_its_owners_are_told,
    the_latest_five_addresses_of_a_token_are_kept,
    counters_are_remembered_until_they_rest,
    the_latest_time_is_what_was_recorded_or_that_of_a_later_event,
    each_file_has_a_key_of_its_own,
    the_parameters_of_hashes_are_counted_in_a_sample,
    an_address_changes_only_while_the_checked_password_is_the_stored_one,
    the_longest_addresses_fit_into_the_trail,
}

fn with_cache(store: Arc<SqliteStore>) -> Backend {
    Backend::with_cache(store, Capacity { tokens: 1000, sessions: 1000, unknown: 1000 })
}

fn with_cache_for_one(store: Arc<SqliteStore>) -> Backend {
    Backend::with_cache(store, Capacity { tokens: 1, sessions: 1, unknown: 0 })
}

fn run(name: &str, wrap: impl FnOnce(Arc<SqliteStore>) -> Backend) {
    let directory = tempfile::tempdir().unwrap();
    let settings = SqliteSettings {
        path: directory.path().join("patd.db"),
        readers: 2,
        pool_timeout: Duration::from_secs(2),
        busy_timeout: Duration::from_secs(5),
        write_queue: 4096,
    };
    let store = TestStore(wrap(Arc::new(SqliteStore::open(&settings, Access::Server).unwrap())));
    let (_, case) = CASES.iter().find(|(case, _)| *case == name).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(case(&store));
}

const NOT_FOUND: StoreError = StoreError::NotFound;
const CREDENTIALS_CHANGED: StoreError = StoreError::Conflict(Conflict::CredentialsChanged);
const EMAIL_TAKEN: StoreError = StoreError::Conflict(Conflict::EmailTaken);
const REASON: RevocationReason = RevocationReason::RevokedByOwner;
const TOO_MANY: StoreError = StoreError::Conflict(Conflict::TooManyTokens);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(seconds)
}

fn revoked(seconds: i64) -> Revocation {
    Revocation { at: at(seconds), reason: REASON }
}

/// Whoever holds the machine, at this time.
fn by(seconds: i64) -> Attribution {
    Attribution { origin: RequestSource::COMMAND_LINE, at: at(seconds) }
}

fn by_session(session: &NewSession, seconds: i64) -> Attribution {
    let origin = RequestSource { actor: Actor::Session(session.session.id), address: None, request_id: None };
    Attribution { origin, at: at(seconds) }
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn password(text: &str) -> PasswordHash {
    PasswordHash::new(format!("$argon2id${text}"))
}

fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

fn person(text: &str) -> User {
    User {
        id: UserId::new(Uuid::now_v7()),
        name: name(text),
        email: email(&format!("{text}@example.com")),
        created_at: at(1000),
        disabled_at: None,
        current_environment: EnvironmentId::new(Uuid::now_v7()),
    }
}

fn secret(kind: CredentialKind) -> (TokenHash, Hint) {
    let prefixes = Prefixes::new("ses_", "pat_", "talq_").unwrap();
    let plaintext = Plaintext::generate(kind, &prefixes).unwrap();
    (plaintext.hash(), plaintext.hint())
}

fn session(user: &User, created_at: i64, expires_at: i64) -> NewSession {
    NewSession {
        session: Session {
            id: SessionId::new(Uuid::now_v7()),
            user: user.id,
            device_name: Some(name("laptop")),
            created_at: at(created_at),
            last_used_at: at(created_at),
            expires_at: at(expires_at),
        },
        hash: secret(CredentialKind::Session).0,
    }
}

fn new_token(owner: UserId, called: &str) -> NewToken {
    let (hash, hint) = secret(CredentialKind::PersonalAccessToken);
    let id = TokenId::new(Uuid::now_v7());
    NewToken {
        id,
        environment: None,
        family: id,
        rotated_from: None,
        owner,
        name: name(called),
        abilities: Abilities::full(),
        hash,
        hint,
        created_at: at(1000),
        expires_at: None,
        limits: None,
    }
}

/// A user whose password hash is `password("old")`.
async fn add(store: &TestStore, text: &str) -> User {
    let user = person(text);
    store.add_user(user.clone(), password("old"), by(1000)).await.unwrap();
    user
}

async fn sign_in(store: &TestStore, user: &User, created_at: i64, expires_at: i64) -> NewSession {
    let session = session(user, created_at, expires_at);
    let sign_in = SignIn { session: session.clone(), verified: password("old"), rehashed: None };
    store.sign_in(sign_in, by(1)).await.unwrap();
    session
}

async fn is_signed_in(store: &TestStore, session: &NewSession) -> bool {
    let found = store.session_by_hash(&session.hash).await.unwrap();
    found.is_some()
}

async fn add_token(store: &TestStore, owner: &User, called: &str) -> Token {
    let token = new_token(owner.id, called);
    store.add_token(token, 1000, by(1000)).await.unwrap()
}

async fn names(store: &TestStore, owner: &User, query: TokenQuery, now: i64) -> Vec<String> {
    let tokens = store.tokens_of(owner.id, query, at(now)).await.unwrap();
    tokens.iter().map(|token| token.name.to_string()).collect()
}

fn all() -> TokenQuery {
    TokenQuery { limit: 100, ..TokenQuery::default() }
}

async fn is_ready(store: &TestStore) {
    store.ready().await.unwrap();
}

async fn a_user_is_found_as_added(store: &TestStore) {
    let mut ada = person("ada");
    ada.email = email("Ada@Example.COM");
    store.add_user(ada.clone(), password("old"), by(1000)).await.unwrap();
    assert_eq!(store.user(ada.id).await.unwrap(), ada);
    let by_id = store.credentials(ada.id).await.unwrap();
    let by_email = store.credentials_by_email(&email("ada@example.com")).await;
    for credentials in [by_id, by_email.unwrap().unwrap()] {
        assert_eq!(credentials.user, ada);
        assert_eq!(credentials.user.email.as_str(), "Ada@Example.COM");
        assert_eq!(credentials.password, password("old"));
    }
}

async fn an_unknown_user_is_not_found(store: &TestStore) {
    let nobody = person("nobody");
    let id = nobody.id;
    assert_eq!(store.user(id).await, Err(NOT_FOUND));
    assert_eq!(store.credentials(id).await.unwrap_err(), NOT_FOUND);
    let by_email = store.credentials_by_email(&nobody.email).await;
    assert!(by_email.unwrap().is_none());
    let change = ProfileChange { name: Some(name("x")), email: None, verified: None };
    assert_eq!(store.change_profile(id, change, by(5)).await, Err(NOT_FOUND));
    for verified in [None, Some(password("old"))] {
        let change = PasswordChange { verified, password: password("new") };
        assert_eq!(store.change_password(id, change, by(5)).await, Err(NOT_FOUND));
    }
    assert_eq!(store.disable_user(id, by(1)).await, Err(NOT_FOUND));
    assert_eq!(store.enable_user(id, by(6)).await, Err(NOT_FOUND));
    let sign_in = SignIn { session: session(&nobody, 1, 2), verified: password("old"), rehashed: None };
    assert_eq!(store.sign_in(sign_in, by(1)).await, Err(NOT_FOUND));
}

async fn an_address_is_taken_in_every_spelling(store: &TestStore) {
    let ada = add(store, "ada").await;
    let mut other = person("other");
    other.email = email("ＡＤＡ@EXAMPLE.com");
    let added = store.add_user(other.clone(), password("x"), by(1000)).await;
    assert_eq!(added, Err(EMAIL_TAKEN));
    assert_eq!(store.user(other.id).await, Err(NOT_FOUND));

    let bob = add(store, "bob").await;
    let change = ProfileChange { name: Some(name("Robert")), email: Some(email("ADA@example.com")), verified: None };
    assert_eq!(store.change_profile(bob.id, change, by(5)).await, Err(EMAIL_TAKEN));
    assert_eq!(store.user(bob.id).await.unwrap(), bob);
    // One's own address in another spelling is nobody else's.
    let respelled = ProfileChange { name: None, email: Some(email("ADA@example.com")), verified: None };
    let changed = store.change_profile(ada.id, respelled, by(5)).await.unwrap();
    assert_eq!(changed.email.as_str(), "ADA@example.com");
}

async fn a_profile_changes_in_the_named_parts_alone(store: &TestStore) {
    let mut ada = add(store, "ada").await;
    let change = ProfileChange { name: Some(name("Ada L")), email: None, verified: None };
    ada.name = name("Ada L");
    assert_eq!(store.change_profile(ada.id, change, by(5)).await.unwrap(), ada);
    let change = ProfileChange { name: None, email: Some(email("new@example.com")), verified: None };
    let before = std::mem::replace(&mut ada.email, email("new@example.com"));
    assert_eq!(store.change_profile(ada.id, change, by(5)).await.unwrap(), ada);
    assert_eq!(store.user(ada.id).await.unwrap(), ada);
    let by_old = store.credentials_by_email(&before).await.unwrap();
    assert!(by_old.is_none());
    let by_new = store.credentials_by_email(&ada.email).await.unwrap();
    assert_eq!(by_new.unwrap().user, ada);
    let nothing = store.change_profile(ada.id, ProfileChange::default(), by(5)).await;
    assert_eq!(nothing.unwrap(), ada);
}

async fn users_are_paged_in_the_order_of_their_ids(store: &TestStore) {
    let mut added = Vec::new();
    for text in ["c", "a", "b"] {
        added.push(add(store, text).await);
    }
    added.sort_by_key(|user| user.id);
    let first = store.users(None, 2).await.unwrap();
    assert_eq!(first, added[..2]);
    let second = store.users(Some(first[1].id), 2).await.unwrap();
    assert_eq!(second, added[2..]);
    assert!(store.users(Some(added[2].id), 2).await.unwrap().is_empty());
    assert!(store.users(None, 0).await.unwrap().is_empty());
}

async fn a_password_change_keeps_one_session_and_ends_the_others(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    let kept = sign_in(store, &ada, 1, 9).await;
    let ended = sign_in(store, &ada, 2, 9).await;
    let foreign = sign_in(store, &bob, 3, 9).await;
    let change = PasswordChange { verified: Some(password("old")), password: password("new") };
    store.change_password(ada.id, change, by_session(&kept, 5)).await.unwrap();
    assert!(is_signed_in(store, &kept).await);
    assert!(!is_signed_in(store, &ended).await);
    assert!(is_signed_in(store, &foreign).await);
    let stored = store.credentials(ada.id).await.unwrap().password;
    assert_eq!(stored, password("new"));
}

async fn a_password_change_on_a_stale_hash_conflicts(store: &TestStore) {
    let ada = add(store, "ada").await;
    let session = sign_in(store, &ada, 1, 9).await;
    let change = |verified| PasswordChange { verified: Some(password(verified)), password: password("new") };
    let changed = store.change_password(ada.id, change("older"), by(5)).await;
    assert_eq!(changed, Err(CREDENTIALS_CHANGED));
    assert!(is_signed_in(store, &session).await);
    let stored = store.credentials(ada.id).await.unwrap().password;
    assert_eq!(stored, password("old"));

    // Somebody who was disabled while the hash was computed may do nothing any more.
    store.disable_user(ada.id, by(5)).await.unwrap();
    let changed = store.change_password(ada.id, change("old"), by(5)).await;
    assert_eq!(changed, Err(CREDENTIALS_CHANGED));
}

async fn an_administrator_changes_a_password_without_the_old_one(store: &TestStore) {
    let ada = add(store, "ada").await;
    let session = sign_in(store, &ada, 1, 9).await;
    let change = |text| PasswordChange { verified: None, password: password(text) };
    store.change_password(ada.id, change("new"), by(5)).await.unwrap();
    assert!(!is_signed_in(store, &session).await);
    store.disable_user(ada.id, by(5)).await.unwrap();
    store.change_password(ada.id, change("newer"), by(5)).await.unwrap();
    let stored = store.credentials(ada.id).await.unwrap();
    assert_eq!(stored.password, password("newer"));
    assert_eq!(stored.user.disabled_at, Some(at(5)));
}

async fn disabling_ends_the_sessions_and_says_since_when(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    let session = sign_in(store, &ada, 1, 9).await;
    let foreign = sign_in(store, &bob, 1, 9).await;
    let new = new_token(ada.id, "ci");
    let hash = new.hash;
    store.add_token(new, 10, by(1000)).await.unwrap();
    let disabled = store.disable_user(ada.id, by(5)).await.unwrap();
    assert_eq!(disabled.disabled_at, Some(at(5)));
    assert!(!is_signed_in(store, &session).await);
    assert!(is_signed_in(store, &foreign).await);
    let record = store.token_by_hash(&hash).await.unwrap().unwrap();
    assert_eq!(record.owner.disabled_at, Some(at(5)));
    let again = store.disable_user(ada.id, by(7)).await.unwrap();
    assert_eq!(again.disabled_at, Some(at(5)));
    assert_eq!(store.enable_user(ada.id, by(6)).await.unwrap(), ada);
    assert_eq!(store.enable_user(ada.id, by(6)).await.unwrap(), ada);
    assert_eq!(store.user(ada.id).await.unwrap(), ada);
}

async fn a_sign_in_stores_a_session_and_may_renew_the_hash(store: &TestStore) {
    let ada = add(store, "ada").await;
    let mut new = session(&ada, 1, 9);
    new.session.device_name = None;
    let sign_in = SignIn { session: new.clone(), verified: password("old"), rehashed: Some(password("stronger")) };
    store.sign_in(sign_in, by(1)).await.unwrap();
    let record = store.session_by_hash(&new.hash).await.unwrap().unwrap();
    assert_eq!(record.session, new.session);
    assert_eq!(record.user, ada);
    let stored = store.credentials(ada.id).await.unwrap().password;
    assert_eq!(stored, password("stronger"));
    let (unknown, _) = secret(CredentialKind::Session);
    assert!(store.session_by_hash(&unknown).await.unwrap().is_none());
}

async fn a_sign_in_on_a_stale_hash_or_a_disabled_account_conflicts(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    store.disable_user(bob.id, by(5)).await.unwrap();
    for (user, verified) in [(&ada, "older"), (&bob, "old")] {
        let new = session(user, 1, 9);
        let sign_in =
            SignIn { session: new.clone(), verified: password(verified), rehashed: Some(password("stronger")) };
        assert_eq!(store.sign_in(sign_in, by(1)).await, Err(CREDENTIALS_CHANGED));
        assert!(!is_signed_in(store, &new).await);
        let stored = store.credentials(user.id).await.unwrap().password;
        assert_eq!(stored, password("old"));
    }
}

async fn sessions_are_listed_newest_first_without_the_ended(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    let older = sign_in(store, &ada, 1, 11).await;
    let newer = sign_in(store, &ada, 2, 12).await;
    sign_in(store, &ada, 3, 10).await;
    sign_in(store, &bob, 4, 99).await;
    let listed = store.sessions_of(ada.id, SessionQuery { before: None, limit: 9 }, at(10)).await.unwrap();
    assert_eq!(listed, [newer.session.clone(), older.session.clone()]);
    let page = |before| store.sessions_of(ada.id, SessionQuery { before, limit: 1 }, at(10));
    assert_eq!(page(None).await.unwrap(), std::slice::from_ref(&newer.session));
    let behind = |session: &Session| Some((session.created_at, session.id));
    assert_eq!(page(behind(&newer.session)).await.unwrap(), std::slice::from_ref(&older.session));
    assert_eq!(page(behind(&older.session)).await.unwrap(), []);
}

async fn a_session_is_ended_by_its_user_alone(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    let session = sign_in(store, &ada, 1, 9).await;
    let id = session.session.id;
    assert_eq!(store.end_session(bob.id, id, by(7)).await, Err(NOT_FOUND));
    assert!(is_signed_in(store, &session).await);
    store.end_session(ada.id, id, by(7)).await.unwrap();
    assert!(!is_signed_in(store, &session).await);
    assert_eq!(store.end_session(ada.id, id, by(7)).await, Err(NOT_FOUND));
}

async fn the_other_sessions_end_and_are_counted(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    let kept = sign_in(store, &ada, 1, 9).await;
    sign_in(store, &ada, 2, 9).await;
    sign_in(store, &ada, 3, 9).await;
    let foreign = sign_in(store, &bob, 4, 9).await;
    let end = || store.end_other_sessions(ada.id, kept.session.id, by(7));
    assert_eq!(end().await, Ok(2));
    assert_eq!(end().await, Ok(0));
    assert!(is_signed_in(store, &kept).await && is_signed_in(store, &foreign).await);
}

async fn pruning_takes_what_has_ended_and_nothing_else(store: &TestStore) {
    let ada = add(store, "ada").await;
    let ended = sign_in(store, &ada, 1, 10).await;
    let alive = sign_in(store, &ada, 1, 11).await;
    assert_eq!(store.prune_sessions(at(9)).await, Ok(0));
    assert_eq!(store.prune_sessions(at(10)).await, Ok(1));
    assert!(!is_signed_in(store, &ended).await);
    assert!(is_signed_in(store, &alive).await);
}

async fn a_token_is_found_as_added(store: &TestStore) {
    let ada = add(store, "ada").await;
    let several = ["calls:read", "a", "user:read"].map(|text| Ability::parse(text).unwrap());
    let sets = [Abilities::full(), Abilities::new([]).unwrap(), Abilities::new(several).unwrap()];
    let allowlist = ["192.0.2.0/24", "2001:db8::1"].map(|text| Allowlist::parse_network(text).unwrap());
    let limits = [
        None,
        UsageLimits { quota: Some(u32::MAX), ..UsageLimits::default() }.boxed(),
        UsageLimits { allowlist: Allowlist::new(allowlist).unwrap(), requests_per_minute: Some(60), quota: None }
            .boxed(),
    ];
    let expiries = [None, Some(at(5000)), Some(at(1))];
    for ((abilities, expires_at), limits) in sets.into_iter().zip(expiries).zip(limits) {
        let mut new = new_token(ada.id, "naïve 🦀 name");
        new.abilities = abilities.clone();
        new.expires_at = expires_at;
        new.limits = limits;
        let token = store.add_token(new.clone(), 10, by(1000)).await.unwrap();
        let expected = Token {
            id: new.id,
            number: token.number,
            owner: ada.id,
            environment: None,
            name: new.name,
            abilities,
            hint: new.hint,
            created_at: new.created_at,
            expires_at,
            last_used_at: None,
            family: new.id,
            rotated_from: None,
            grace: None,
            disabled_at: None,
            revoked: None,
            limits: new.limits,
        };
        assert_eq!(token, expected);
        assert_eq!(store.token(token.id).await.unwrap(), expected);
        let record = store.token_by_hash(&new.hash).await.unwrap().unwrap();
        assert_eq!((&record.token, &*record.owner), (&expected, &ada));
    }
    let (unknown, _) = secret(CredentialKind::PersonalAccessToken);
    assert!(store.token_by_hash(&unknown).await.unwrap().is_none());
    let unknown = TokenId::new(Uuid::now_v7());
    assert_eq!(store.token(unknown).await, Err(NOT_FOUND));
}

async fn a_token_needs_an_enabled_owner(store: &TestStore) {
    let nobody = new_token(person("nobody").id, "ci");
    assert_eq!(store.add_token(nobody, 10, by(1000)).await, Err(NOT_FOUND));
    let ada = add(store, "ada").await;
    store.disable_user(ada.id, by(1)).await.unwrap();
    let disabled = new_token(ada.id, "ci");
    assert_eq!(store.add_token(disabled, 10, by(1000)).await, Err(NOT_FOUND));
}

async fn the_limit_counts_live_tokens_alone(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    for expires_at in [1000, 1001] {
        let mut expiring = new_token(ada.id, "expiring");
        expiring.expires_at = Some(at(expires_at));
        store.add_token(expiring, 2, by(1000)).await.unwrap();
    }
    let third = || store.add_token(new_token(ada.id, "third"), 2, by(1000));
    let endless = third().await.unwrap();
    assert_eq!(third().await, Err(TOO_MANY));
    let foreign = store.add_token(new_token(bob.id, "bob's"), 2, by(1000)).await;
    foreign.unwrap();
    let revoked = store.revoke_token(ada.id, endless.id, REASON, by(1000)).await;
    revoked.unwrap();
    third().await.unwrap();
    assert_eq!(third().await, Err(TOO_MANY));
    let mut later = new_token(ada.id, "later");
    later.created_at = at(1001);
    store.add_token(later, 2, by(1000)).await.unwrap();
    let none_allowed = store.add_token(new_token(bob.id, "x"), 0, by(1000)).await;
    assert_eq!(none_allowed, Err(TOO_MANY));
}

async fn a_hundred_creations_at_once_stop_at_the_limit(store: &TestStore) {
    let ada = add(store, "ada").await;
    let attempts = (0..100).map(|n| store.add_token(new_token(ada.id, &format!("t{n}")), 10, by(1000)));
    let answers = join_all(attempts).await;
    let (made, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), 10);
    assert!(refused.iter().all(|answer| *answer == Err(TOO_MANY)));
    let numbers: HashSet<i64> = made.iter().flatten().map(|token| token.number).collect();
    assert_eq!(numbers.len(), 10);
    assert_eq!(names(store, &ada, all(), 1000).await.len(), 10);
}

async fn numbers_are_never_given_twice(store: &TestStore) {
    let ada = add(store, "ada").await;
    let first = add_token(store, &ada, "first").await;
    store.revoke_token(ada.id, first.id, REASON, by(1)).await.unwrap();
    let second = add_token(store, &ada, "second").await;
    assert!(second.number > first.number);
}

async fn a_revoked_token_stays_revoked(store: &TestStore) {
    let ada = add(store, "ada").await;
    let new = new_token(ada.id, "ci");
    let (id, hash) = (new.id, new.hash);
    store.add_token(new, 10, by(1000)).await.unwrap();
    store.revoke_token(ada.id, id, REASON, by(5)).await.unwrap();
    assert_eq!(store.revoke_token(ada.id, id, REASON, by(6)).await, Err(NOT_FOUND));
    assert_eq!(store.token(id).await, Err(NOT_FOUND));
    let renamed = store.rename_token(ada.id, id, name("other"), by(5)).await;
    assert_eq!(renamed, Err(NOT_FOUND));
    let record = store.token_by_hash(&hash).await.unwrap().unwrap();
    assert_eq!(record.token.revoked, Some(revoked(5)));
    assert_eq!(record.token.name, name("ci"));
}

async fn a_token_is_changed_by_its_owner_alone(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    let mut token = add_token(store, &ada, "ci").await;
    let stolen = store.rename_token(bob.id, token.id, name("mine"), by(5)).await;
    assert_eq!(stolen, Err(NOT_FOUND));
    let revoked = store.revoke_token(bob.id, token.id, REASON, by(5)).await;
    assert_eq!(revoked, Err(NOT_FOUND));
    assert_eq!(store.token(token.id).await.unwrap(), token);
    let renamed = store.rename_token(ada.id, token.id, name("deploy"), by(5)).await;
    token.name = name("deploy");
    assert_eq!(renamed.unwrap().token, token);
    assert_eq!(store.token(token.id).await.unwrap(), token);
    assert!(names(store, &bob, all(), 1000).await.is_empty());
}

async fn a_state_narrows_the_list(store: &TestStore) {
    let ada = add(store, "ada").await;
    let mut expiring = new_token(ada.id, "expiring");
    expiring.expires_at = Some(at(2000));
    store.add_token(expiring, 10, by(1000)).await.unwrap();
    add_token(store, &ada, "endless").await;
    let gone = add_token(store, &ada, "revoked").await;
    store.revoke_token(ada.id, gone.id, REASON, by(5)).await.unwrap();
    let mut both = new_token(ada.id, "revoked and expired");
    both.expires_at = Some(at(1500));
    let both = store.add_token(both, 10, by(1000)).await.unwrap();
    store.revoke_token(ada.id, both.id, REASON, by(5)).await.unwrap();
    let by_state = async |state, now| {
        let query = TokenQuery { state, ..all() };
        names(store, &ada, query, now).await
    };
    let gone = ["revoked and expired", "revoked"];
    assert_eq!(by_state(None, 2000).await, ["endless", "expiring"]);
    let active = Some(TokenState::Active);
    assert_eq!(by_state(active, 1999).await, ["endless", "expiring"]);
    assert_eq!(by_state(active, 2000).await, ["endless"]);
    let expired = Some(TokenState::Expired);
    assert!(by_state(expired, 1999).await.is_empty());
    assert_eq!(by_state(expired, 2000).await, ["expiring"]);
    assert_eq!(by_state(Some(TokenState::Revoked), 2000).await, gone);
}

async fn the_list_is_paged_newest_first(store: &TestStore) {
    let (ada, bob) = (add(store, "ada").await, add(store, "bob").await);
    let mut added = Vec::new();
    for n in 0..5 {
        added.push(add_token(store, &ada, &format!("t{n}")).await);
        add_token(store, &bob, "other").await;
    }
    added.reverse();
    let mut query = TokenQuery { limit: 2, ..all() };
    let mut seen: Vec<Token> = Vec::new();
    for _ in 0..9 {
        let page = store.tokens_of(ada.id, query.clone(), at(1000)).await;
        let page = page.unwrap();
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        query.before = Some(last.number);
        seen.extend(page);
    }
    assert_eq!(seen, added);
}

async fn a_search_takes_every_character_literally(store: &TestStore) {
    let ada = add(store, "ada").await;
    for called in ["Deploy", "100%", "100 of 100", "a_b", "axb", r"c:\d", "ÄRGER"] {
        add_token(store, &ada, called).await;
    }
    let search = async |text: &str| {
        let query = TokenQuery { search: Some(text.to_owned()), ..all() };
        names(store, &ada, query, 1000).await
    };
    assert_eq!(search("dePLO").await, ["Deploy"]);
    assert_eq!(search("0%").await, ["100%"]);
    assert_eq!(search("_").await, ["a_b"]);
    assert_eq!(search("a_b").await, ["a_b"]);
    assert_eq!(search(r"\").await, [r"c:\d"]);
    assert_eq!(search("Ärg").await, ["ÄRGER"]);
    assert_eq!(search("ärger").await, ["ÄRGER"]);
    assert_eq!(search("").await.len(), 7);
    for nothing in ["y%", "\0", "y\0", &"x".repeat(60_000)] {
        assert!(search(nothing).await.is_empty());
    }
}

async fn uses_never_move_back(store: &TestStore) {
    let ada = add(store, "ada").await;
    let token = add_token(store, &ada, "ci").await;
    let session = sign_in(store, &ada, 100, 999).await;
    for (noted, expected) in [(200, 200), (150, 200), (201, 201)] {
        let gone = Uuid::now_v7();
        let uses = Uses {
            tokens: vec![(i64::MAX, at(noted)), (token.number, at(noted))],
            sessions: vec![(SessionId::new(gone), at(noted)), (session.session.id, at(noted))],
        };
        store.record_uses(uses).await.unwrap();
        let stored = store.token(token.id).await.unwrap();
        assert_eq!(stored.last_used_at, Some(at(expected)));
        let stored = store.session_by_hash(&session.hash).await.unwrap();
        assert_eq!(stored.unwrap().session.last_used_at, at(expected));
    }
    store.record_uses(Uses::default()).await.unwrap();
}

/// Each is asked before and after, so that a store which remembers has something to forget.
async fn look_ups_by_secret_follow_every_change(store: &TestStore) {
    let ada = add(store, "ada").await;
    let new = new_token(ada.id, "ci");
    let (id, hash) = (new.id, new.hash);
    let token = async || store.token_by_hash(&hash).await.unwrap();
    assert!(token().await.is_none() && token().await.is_none());
    store.add_token(new, 10, by(1000)).await.unwrap();
    assert_eq!(token().await.unwrap().token.name, name("ci"));
    store.rename_token(ada.id, id, name("deploy"), by(5)).await.unwrap();
    assert_eq!(token().await.unwrap().token.name, name("deploy"));
    let change = ProfileChange { name: Some(name("Ada L")), email: None, verified: None };
    store.change_profile(ada.id, change, by(5)).await.unwrap();
    assert_eq!(token().await.unwrap().owner.name, name("Ada L"));
    store.disable_user(ada.id, by(5)).await.unwrap();
    assert_eq!(token().await.unwrap().owner.disabled_at, Some(at(5)));
    store.enable_user(ada.id, by(6)).await.unwrap();
    assert_eq!(token().await.unwrap().owner.disabled_at, None);
    store.revoke_token(ada.id, id, REASON, by(6)).await.unwrap();
    assert_eq!(token().await.unwrap().token.revoked, Some(revoked(6)));

    let sessions = [session(&ada, 1, 9), session(&ada, 2, 9), session(&ada, 3, 9), session(&ada, 4, 9)];
    let live = async || {
        let mut live = Vec::new();
        for session in &sessions {
            live.push(is_signed_in(store, session).await);
        }
        live
    };
    assert_eq!(live().await, [false; 4]);
    for session in &sessions {
        let sign_in = SignIn { session: session.clone(), verified: password("old"), rehashed: None };
        store.sign_in(sign_in, by(1)).await.unwrap();
    }
    assert_eq!(live().await, [true; 4]);
    store.end_session(ada.id, sessions[0].session.id, by(7)).await.unwrap();
    assert_eq!(live().await, [false, true, true, true]);
    let change = PasswordChange { verified: None, password: password("new") };
    store.change_password(ada.id, change, by_session(&sessions[2], 5)).await.unwrap();
    assert_eq!(live().await, [false, false, true, false]);
    store.prune_sessions(at(9)).await.unwrap();
    assert_eq!(live().await, [false; 4]);
}

/// Changes that are refused in one breath with changes that are made.
async fn a_refused_change_changes_nothing(store: &TestStore) {
    let ada = add(store, "ada").await;
    let added = join_all((0..20).map(|n| {
        let mut user = person(&format!("user{n}"));
        if n % 2 == 1 {
            user.email = ada.email.clone();
        }
        store.add_user(user, password("x"), by(1000))
    }));
    for (n, answer) in added.await.into_iter().enumerate() {
        let expected = if n % 2 == 1 { Err(EMAIL_TAKEN) } else { Ok(()) };
        assert_eq!(answer, expected);
    }
    assert_eq!(store.users(None, 100).await.unwrap().len(), 11);
}
