//! What every store must do, whatever stands behind it: one list of cases, run against each backend.
//!
//! A case sees a fresh store and nothing but the trait. What only SQLite can do wrong is tested beside it.

#![expect(clippy::unwrap_used, reason = "a failed case is told by its panic")]

mod attempts;
mod audit;
mod environments;
mod fixtures;
mod limits;
mod lineage;
mod pruning;
mod rotation;
mod sessions;
mod tokens;
mod users;

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

use fixtures::*;
use sessions::{
    a_session_is_ended_by_its_user_alone, a_sign_in_on_a_stale_hash_or_a_disabled_account_conflicts,
    a_sign_in_stores_a_session_and_may_renew_the_hash, pruning_takes_what_has_ended_and_nothing_else,
    sessions_are_listed_newest_first_without_the_ended, the_other_sessions_end_and_are_counted,
};
use tokens::{
    a_hundred_creations_at_once_stop_at_the_limit, a_revoked_token_stays_revoked,
    a_search_takes_every_character_literally, a_state_narrows_the_list, a_token_is_changed_by_its_owner_alone,
    a_token_is_found_as_added, a_token_needs_an_enabled_owner, numbers_are_never_given_twice,
    the_limit_counts_live_tokens_alone, the_list_is_paged_newest_first, uses_never_move_back,
};
use users::{
    a_password_change_keeps_one_session_and_ends_the_others, a_password_change_on_a_stale_hash_conflicts,
    a_profile_changes_in_the_named_parts_alone, a_user_is_found_as_added, an_address_is_taken_in_every_spelling,
    an_administrator_changes_a_password_without_the_old_one, an_unknown_user_is_not_found,
    disabling_ends_the_sessions_and_says_since_when, users_are_paged_in_the_order_of_their_ids,
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

async fn is_ready(store: &TestStore) {
    store.ready().await.unwrap();
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
