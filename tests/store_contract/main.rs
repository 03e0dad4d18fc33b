//! The contract of the store: one list of cases that runs against each backend.
//!
//! A case gets a new store and uses only the trait. Tests of SQLite itself are beside its code.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]
#![expect(unreachable_pub, reason = "a test binary has no outside")]

mod accounts;
mod administrators;
mod attempts;
mod audit;
mod deletion;
mod environments;
mod fixtures;
mod keyed_requests;
mod limits;
mod lineage;
mod ownership;
mod postgres;
mod pruning;
mod races;
mod rotation;
mod service_accounts;
mod sessions;
mod sqlite;
#[path = "../support/mod.rs"]
mod support;
mod token_counts;
mod token_search;
mod tokens;
mod transfers;
mod usage;
mod users;

use std::{collections::HashSet, ops::Deref, sync::Arc, time::Duration};

use futures_util::future::{BoxFuture, join_all};
use patd::{
    domain::{
        ability::{Abilities, Ability},
        account::{Email, PasswordHash, Role as UserRole, User},
        annotations::{Annotations, Description, Metadata},
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
        Access, Backend, Conflict, Database, EnvironmentQuery, LastAdmin, PasswordChange, ProfileChange, Reply,
        SessionQuery, SignIn, Store, StoreError, TokenChange, TokenQuery, Uses, cache::Capacity,
    },
};
use uuid::Uuid;

use usage::{
    abilities_beyond_the_limit_are_counted_together, counts_of_old_days_are_left_out_and_pruned,
    each_process_repeats_its_last_batch_without_counting_twice, the_counts_of_a_batch_are_added_once,
    the_start_of_the_counting_stays_until_it_is_switched_off,
};

use attempts::{
    an_email_change_fails_if_the_password_changed_since_it_was_checked,
    attempt_counters_are_stored_until_they_are_at_rest,
    attempt_counters_of_a_subject_or_an_origin_are_cleared_with_an_event, each_database_has_its_own_key,
    password_hash_parameters_are_counted_in_a_sample, the_latest_time_is_the_recorded_time_or_that_of_a_later_event,
    the_longest_email_addresses_fit_into_the_audit_trail,
};
use audit::{
    a_change_without_effect_records_no_event, a_refused_sign_in_is_recorded_with_its_user_or_without_one,
    an_ended_session_cannot_make_changes, events_are_paged_newest_first, every_change_records_its_event,
};
use keyed_requests::{
    a_key_is_its_owners_and_free_again_after_a_day, each_verb_that_makes_something_makes_it_once_for_a_key,
};
use limits::{
    concurrent_reservations_never_exceed_the_quota, leaked_credentials_are_revoked_and_recorded_with_their_owners,
    many_tokens_are_revoked_in_one_change, only_the_owner_can_disable_and_enable_a_token,
    the_latest_five_addresses_of_a_token_are_kept, uses_can_be_reserved_until_the_quota_is_exhausted,
};
use token_counts::tokens_are_counted_in_parts_by_kind_and_state;

use lineage::{
    a_revocation_by_ability_includes_successors_that_the_owner_made_meanwhile,
    a_revoked_or_disabled_token_cannot_rotate_itself, a_successor_made_by_the_owner_is_named_and_unchanged,
    predecessors_and_unrelated_tokens_stay_valid, revoking_a_regenerated_token_names_its_successor,
    revoking_or_disabling_a_token_includes_its_lineage, the_latest_successors_of_many_tokens_are_found_in_one_query,
};

use accounts::{
    a_change_of_an_account_is_made_as_a_whole_or_not_at_all,
    a_link_ends_with_a_new_address_and_with_a_password_from_elsewhere,
    a_reset_ends_the_password_the_sessions_and_earlier_links,
    an_administrator_without_a_password_does_not_replace_the_last_one,
    an_invited_user_sets_a_password_once_with_the_link, lists_of_accounts_agree_with_a_plain_model,
    the_sessions_of_one_user_end_together_and_are_counted,
};
use administrators::a_change_of_an_administrator_who_lost_the_role_is_not_made;
use environments::{
    a_regenerated_token_replaces_its_predecessor_at_once, a_user_who_loses_an_environment_returns_to_the_default_one,
    an_ended_session_cannot_change_an_environment, an_environment_change_without_effect_records_no_event,
    an_environment_is_renamed_shared_and_deleted_by_role, an_environment_is_seen_by_its_owner_and_its_members,
    deleting_an_environment_revokes_its_tokens, each_environment_has_its_own_token_limit,
    environment_tokens_are_separate_from_personal_ones,
};
use ownership::{
    a_refused_hand_over_changes_nothing, a_session_changes_only_what_its_user_owns_or_manages,
    environments_are_handed_over_with_their_tokens, what_is_handed_over_keeps_its_secret_and_its_family,
};
use pruning::{
    a_successor_is_kept_while_its_predecessor_is_valid, ended_tokens_are_pruned_and_the_first_of_a_family_last,
    only_the_oldest_events_are_pruned, tokens_of_environments_are_pruned_like_personal_ones,
    unused_tokens_are_pruned_unless_used_or_replaced_in_the_meantime,
};
use rotation::{
    a_grace_period_ends_no_later_than_the_token, a_list_shows_idle_tokens_as_expired,
    a_successor_has_the_rights_of_its_predecessor_and_expires_no_later,
    an_unused_successor_can_be_replaced_by_one_that_expires_no_later,
    only_a_valid_token_of_the_owner_can_be_rotated_and_only_once, revoking_a_family_ends_all_its_tokens_and_no_others,
    the_first_use_of_a_successor_ends_its_predecessor,
};
use transfers::{
    a_deletion_hands_over_first_and_ends_only_the_rest, a_user_is_disabled_and_hands_over_in_one_change_or_not_at_all,
};

use deletion::{
    a_deleted_user_ends_with_everything_they_own, a_deletion_keeps_what_happened_and_erases_from_where,
    a_deletion_needs_the_present_password_and_leaves_an_administrator,
};
use fixtures::*;
use service_accounts::{
    a_service_account_owns_tokens_and_its_state_counts_at_once,
    managers_have_the_rights_of_the_owner_in_environments_of_a_service_account,
    only_managers_and_administrators_act_for_a_service_account,
};
use sessions::{
    a_sign_in_on_a_stale_hash_or_a_disabled_account_conflicts, a_sign_in_stores_a_session_and_may_renew_the_hash,
    ending_the_other_sessions_answers_their_number, only_ended_sessions_are_pruned, only_its_user_can_end_a_session,
    sessions_are_listed_newest_first_without_the_ended,
};
use token_search::{
    an_administrator_disables_and_enables_a_token_of_an_environment, searches_of_tokens_agree_with_a_plain_model,
};
use tokens::{
    a_hundred_creations_at_once_stop_at_the_limit, a_revoked_token_stays_revoked,
    a_search_takes_every_character_literally, a_token_is_found_as_added, a_token_needs_an_enabled_owner,
    annotations_are_changed_one_by_one_and_searched, only_live_tokens_count_towards_the_limit,
    only_the_owner_can_change_a_token, the_list_can_be_filtered_by_state, the_list_is_paged_newest_first,
    the_time_of_last_use_never_moves_back, token_numbers_are_never_reused,
};
use users::{
    a_password_change_keeps_one_session_and_ends_the_others, a_password_change_on_a_stale_hash_conflicts,
    a_profile_change_affects_only_the_named_fields, a_user_is_found_as_added,
    an_administrator_changes_a_password_without_the_old_one, an_email_address_is_unique_in_every_spelling,
    an_unknown_user_is_not_found, disabling_a_user_ends_the_sessions_and_records_the_time,
    the_last_enabled_administrator_keeps_the_role, users_are_paged_in_the_order_of_their_ids,
};

type Case = for<'s> fn(&'s TestStore) -> BoxFuture<'s, ()>;

/// What a case can use: the store, and the lookups of credentials in front of it.
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
            $(#[test] fn $name() { super::sqlite::run(stringify!($name), super::without_cache); })*
        }

        mod on_sqlite_with_a_cache {
            $(#[test] fn $name() { super::sqlite::run(stringify!($name), super::with_cache); })*
        }

        mod on_sqlite_with_a_cache_for_one {
            $(#[test] fn $name() { super::sqlite::run(stringify!($name), super::with_cache_for_one); })*
        }

        mod on_postgres {
            $(#[test] fn $name() { super::postgres::run(stringify!($name), super::without_cache); })*
        }

        mod on_postgres_with_a_cache {
            $(#[test] fn $name() { super::postgres::run(stringify!($name), super::with_cache); })*
        }
    };
}

cases! {
    is_ready,
    a_user_is_found_as_added,
    an_unknown_user_is_not_found,
    an_email_address_is_unique_in_every_spelling,
    a_profile_change_affects_only_the_named_fields,
    the_last_enabled_administrator_keeps_the_role,
    users_are_paged_in_the_order_of_their_ids,
    an_invited_user_sets_a_password_once_with_the_link,
    a_reset_ends_the_password_the_sessions_and_earlier_links,
    a_link_ends_with_a_new_address_and_with_a_password_from_elsewhere,
    a_change_of_an_account_is_made_as_a_whole_or_not_at_all,
    an_administrator_without_a_password_does_not_replace_the_last_one,
    the_sessions_of_one_user_end_together_and_are_counted,
    lists_of_accounts_agree_with_a_plain_model,
    a_deleted_user_ends_with_everything_they_own,
    a_deletion_keeps_what_happened_and_erases_from_where,
    a_deletion_needs_the_present_password_and_leaves_an_administrator,
    a_password_change_keeps_one_session_and_ends_the_others,
    a_password_change_on_a_stale_hash_conflicts,
    an_administrator_changes_a_password_without_the_old_one,
    disabling_a_user_ends_the_sessions_and_records_the_time,
    a_sign_in_stores_a_session_and_may_renew_the_hash,
    a_sign_in_on_a_stale_hash_or_a_disabled_account_conflicts,
    sessions_are_listed_newest_first_without_the_ended,
    only_its_user_can_end_a_session,
    ending_the_other_sessions_answers_their_number,
    only_ended_sessions_are_pruned,
    searches_of_tokens_agree_with_a_plain_model,
    an_administrator_disables_and_enables_a_token_of_an_environment,
    a_token_is_found_as_added,
    a_token_needs_an_enabled_owner,
    annotations_are_changed_one_by_one_and_searched,
    only_live_tokens_count_towards_the_limit,
    a_hundred_creations_at_once_stop_at_the_limit,
    token_numbers_are_never_reused,
    a_revoked_token_stays_revoked,
    only_the_owner_can_change_a_token,
    the_list_can_be_filtered_by_state,
    the_list_is_paged_newest_first,
    a_search_takes_every_character_literally,
    the_time_of_last_use_never_moves_back,
    lookups_by_hash_see_every_change,
    a_refused_change_changes_nothing,
    every_change_records_its_event,
    a_change_without_effect_records_no_event,
    a_refused_sign_in_is_recorded_with_its_user_or_without_one,
    an_ended_session_cannot_make_changes,
    events_are_paged_newest_first,
    a_service_account_owns_tokens_and_its_state_counts_at_once,
    only_managers_and_administrators_act_for_a_service_account,
    managers_have_the_rights_of_the_owner_in_environments_of_a_service_account,
    what_is_handed_over_keeps_its_secret_and_its_family,
    environments_are_handed_over_with_their_tokens,
    a_refused_hand_over_changes_nothing,
    a_deletion_hands_over_first_and_ends_only_the_rest,
    a_user_is_disabled_and_hands_over_in_one_change_or_not_at_all,
    a_change_of_an_administrator_who_lost_the_role_is_not_made,
    a_session_changes_only_what_its_user_owns_or_manages,
    an_environment_is_seen_by_its_owner_and_its_members,
    an_environment_is_renamed_shared_and_deleted_by_role,
    a_user_who_loses_an_environment_returns_to_the_default_one,
    deleting_an_environment_revokes_its_tokens,
    environment_tokens_are_separate_from_personal_ones,
    each_environment_has_its_own_token_limit,
    a_regenerated_token_replaces_its_predecessor_at_once,
    an_ended_session_cannot_change_an_environment,
    an_environment_change_without_effect_records_no_event,
    a_successor_has_the_rights_of_its_predecessor_and_expires_no_later,
    a_grace_period_ends_no_later_than_the_token,
    only_a_valid_token_of_the_owner_can_be_rotated_and_only_once,
    the_first_use_of_a_successor_ends_its_predecessor,
    a_revocation_by_ability_includes_successors_that_the_owner_made_meanwhile,
    revoking_or_disabling_a_token_includes_its_lineage,
    a_revoked_or_disabled_token_cannot_rotate_itself,
    a_successor_made_by_the_owner_is_named_and_unchanged,
    predecessors_and_unrelated_tokens_stay_valid,
    revoking_a_regenerated_token_names_its_successor,
    the_latest_successors_of_many_tokens_are_found_in_one_query,
    an_unused_successor_can_be_replaced_by_one_that_expires_no_later,
    revoking_a_family_ends_all_its_tokens_and_no_others,
    ended_tokens_are_pruned_and_the_first_of_a_family_last,
    a_successor_is_kept_while_its_predecessor_is_valid,
    tokens_of_environments_are_pruned_like_personal_ones,
    unused_tokens_are_pruned_unless_used_or_replaced_in_the_meantime,
    only_the_oldest_events_are_pruned,
    a_list_shows_idle_tokens_as_expired,
    each_verb_that_makes_something_makes_it_once_for_a_key,
    a_key_is_its_owners_and_free_again_after_a_day,
    uses_can_be_reserved_until_the_quota_is_exhausted,
    concurrent_reservations_never_exceed_the_quota,
    only_the_owner_can_disable_and_enable_a_token,
    many_tokens_are_revoked_in_one_change,
    leaked_credentials_are_revoked_and_recorded_with_their_owners,
    the_latest_five_addresses_of_a_token_are_kept,
    attempt_counters_are_stored_until_they_are_at_rest,
    attempt_counters_of_a_subject_or_an_origin_are_cleared_with_an_event,
    the_latest_time_is_the_recorded_time_or_that_of_a_later_event,
    each_database_has_its_own_key,
    password_hash_parameters_are_counted_in_a_sample,
    an_email_change_fails_if_the_password_changed_since_it_was_checked,
    the_longest_email_addresses_fit_into_the_audit_trail,
    the_counts_of_a_batch_are_added_once,
    each_process_repeats_its_last_batch_without_counting_twice,
    abilities_beyond_the_limit_are_counted_together,
    counts_of_old_days_are_left_out_and_pruned,
    the_start_of_the_counting_stays_until_it_is_switched_off,
    tokens_are_counted_in_parts_by_kind_and_state,
}

fn without_cache(database: Database) -> Backend {
    database.uncached()
}

fn with_cache(database: Database) -> Backend {
    database.cached(Capacity { tokens: 1000, sessions: 1000, unknown: 1000 })
}

fn with_cache_for_one(database: Database) -> Backend {
    database.cached(Capacity { tokens: 1, sessions: 1, unknown: 0 })
}

fn run(name: &str, backend: Backend) {
    let store = TestStore(backend);
    let (_, case) = CASES.iter().find(|(case, _)| *case == name).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(case(&store));
}

async fn is_ready(store: &TestStore) {
    store.ready().await.unwrap();
}

/// Each record is read before and after each change, so that a cache would hold the old one.
async fn lookups_by_hash_see_every_change(store: &TestStore) {
    let ada = add(store, "ada").await;
    let new = new_token(ada.id, "ci");
    let (id, hash) = (new.id, new.hash);
    let token = async || store.token_by_hash(&hash).await.unwrap();
    assert!(token().await.is_none() && token().await.is_none());
    store.add_token(new, 10, by(1000)).await.unwrap();
    assert_eq!(token().await.unwrap().token.name, name("ci"));
    store.change_token(ada.id, id, TokenChange::rename(name("deploy")), by(5)).await.unwrap();
    assert_eq!(token().await.unwrap().token.name, name("deploy"));
    let change = ProfileChange { name: Some(name("Ada L")), email: None, verified: None };
    store.change_profile(ada.id, change, by(5)).await.unwrap();
    assert_eq!(token().await.unwrap().owner.name(), &name("Ada L"));
    store.disable_user(ada.id, LastAdmin::MayGo, by(5)).await.unwrap();
    assert_eq!(token().await.unwrap().owner.disabled_at(), Some(at(5)));
    store.enable_user(ada.id, by(6)).await.unwrap();
    assert_eq!(token().await.unwrap().owner.disabled_at(), None);
    store.set_role(ada.id, UserRole::Admin, LastAdmin::Stays, by(6)).await.unwrap();
    assert_eq!(token().await.unwrap().owner.user().unwrap().role, UserRole::Admin);
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

/// Refused and accepted changes in the same batch.
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
